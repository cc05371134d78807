"""`manage.py channels`: where alerts go, and a test that goes the way of alerts."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from monitoring.alerts.models import Channel, ChannelKind
from monitoring.alerts.operations import channels
from opsconsole import audit
from opsconsole.commands import ConsoleCommand
from opsconsole.errors import UsageError

MOST_LISTED = 1_000


class Command(ConsoleCommand):
    help = "List the channels of alerts, add one that is told of everything, or send a test to one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "add", "test"], help="list them, add one, or send a test to one")
        parser.add_argument("name", nargs="?", help="the channel's name")
        parser.add_argument("kind", nargs="?", choices=ChannelKind.values, help="to add one: what it is")
        parser.add_argument("address", nargs="?", help="an address, or env:ALERT_… for the variable that holds it")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        name, kind, address = (options[what] for what in ("name", "kind", "address"))
        match options["action"]:
            case "add" if name and kind and address:
                return self._add(name, ChannelKind(kind), address)
            case "test" if name:
                return self._test(name)
            case "list":
                return self._list()
        raise UsageError("Give a name, and to add a channel its kind and its address, too.")

    def _list(self) -> dict[str, Any]:
        found = list(Channel.objects.order_by("name")[:MOST_LISTED])
        for one in found:
            off = f", off: {one.off_because}" if one.off_because else ""
            self.say(f"{one.name:<30} {one.kind:<10} {one.shown_address}{off}")
        return {"channels": [{"name": one.name, "kind": one.kind, "state": one.state.value} for one in found]}

    def _add(self, name: str, kind: ChannelKind, address: str) -> dict[str, Any]:
        actor = audit.actor_of_command()
        with transaction.atomic():
            made = channels.add_channel(name, kind, address, actor, timezone.now())
            channels.subscribe(made, {}, actor)
        self.say(f"{name} is added and is told of everything.")
        return {"channel": made.pk}

    def _test(self, name: str) -> dict[str, Any]:
        found = Channel.objects.filter(name=name).first()
        if found is None:
            raise UsageError(f"There is no channel {name!r}; `channels list` has them.")
        row = channels.send_test(found, audit.actor_of_command(), timezone.now())
        self.say(f"A test to {name} is queued; the clock sends it, and the outbox says what became of it.")
        return {"notification": row.pk, "key": row.key}
