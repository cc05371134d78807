"""`manage.py throttle_batch NUMBER`: change how fast a batch under way publishes."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser

from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.errors import UsageError
from sync.models import Batch
from sync.operations import batches

NO_LIMIT = "none"
LIMITS = ("messages_per_second", "lag_limit")


def limit(text: str) -> int | None:
    """A whole number, or `none`."""
    if text == NO_LIMIT:
        return None
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no whole number; allowed is one, or {NO_LIMIT}") from None


class Command(ConsoleCommand):
    help = (
        "Change how fast a batch publishes. Its jobs go by it within a few seconds. A limit not given stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int, help="The batch's number.")
        parser.add_argument(
            "--messages-per-second",
            type=limit,
            default=SUPPRESS,
            metavar="N",
            help="Of all its jobs together; 0 lets nothing out, none leaves it to the estate.",
        )
        parser.add_argument(
            "--lag-limit",
            type=limit,
            default=SUPPRESS,
            metavar="N",
            help="Wait while the indexer is more messages behind; none leaves it to the estate.",
        )
        add_reason(parser, "Why; kept on the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        batch = Batch.objects.filter(pk=options["number"]).first()
        if batch is None:
            raise UsageError(f"There is no batch {options['number']}.")
        wanted = {name: options.get(name, getattr(batch, name)) for name in LIMITS}
        batches.throttle(batch, **wanted, actor=self.actor(options), reason=options["reason"])
        shown = {name: "none of its own" if value is None else f"{value:,}" for name, value in wanted.items()}
        self.say(f"Batch {batch.pk}: messages a second {shown['messages_per_second']}, lag limit {shown['lag_limit']}.")
        return {"batch": batch.pk, **wanted}
