"""`manage.py stage_orgs`: put organizations into the set that waits for a batch."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit
from opsconsole.commands import ConsoleCommand, lines_of
from opsconsole.words import counted
from sync.operations import staging


class Command(ConsoleCommand):
    help = "Stage organizations for a batch: all of the given ids or, where one is bad or unknown, none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="Organization ids in any shape; - reads standard input."
        )
        parser.add_argument("--clear", action="store_true", help="Empty the set first; without ids, only that.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        actor = audit.actor_of_command()
        if options["clear"] and not options["ids"]:
            removed = staging.clear(actor)
            self.say(f"{counted(removed, 'organization')} taken out of the set.")
            return {"cleared": removed, "staged": 0}
        result = staging.stage(
            lines_of(options["ids"]), actor, origin="command stage_orgs", clear_first=options["clear"]
        )
        self.say(result.sentence())
        return {
            "staged": result.staged,
            "already": result.already,
            "active": list(result.active),
            "skipped": list(result.skipped),
        }
