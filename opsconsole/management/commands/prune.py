"""`manage.py prune`: clear away what is older than the settings keep."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from opsconsole import retention
from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.words import counted


class Command(ConsoleCommand):
    help = "Clears away, in small steps, what is older than the settings keep. May be interrupted anywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--list", action="store_true", help="Only say what is kept for how long.")
        add_reason(parser, "Why, for the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["list"]:
            return self._list()
        now = timezone.now()
        pruned = retention.prune(
            self.actor(options), options["reason"], now, say=self.show_progress, stop=lambda: False
        )
        self.say(pruned.sentence())
        return {"removed": dict(pruned.removed)}

    def _list(self) -> dict[str, Any]:
        for one in retention.kinds():
            self.say(f"{one.summary}: {kept_for(one)}.")
        return {"kept_days": {one.name: one.days for one in retention.kinds()}}


def kept_for(one: retention.Kind) -> str:
    """In words, with the setting that says so."""
    if one.days is None:
        return "removed when they are of no use any more"
    return f"{counted(one.days, 'day')} ({one.setting})" if one.days else f"for ever ({one.setting})"
