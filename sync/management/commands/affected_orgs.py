"""`manage.py affected_orgs`: organizations with tasks updated in a window."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import estate
from opsconsole.commands import ConsoleCommand, lines_of_file
from opsconsole.times import parse_window
from sync.operations.affected import affected_organizations


class Command(ConsoleCommand):
    help = "List the organizations with tasks updated in the window [from, to), so that they can be staged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", required=True, help="Start: yyyy-mm-dd hh:mm:ss in UTC, included.")
        parser.add_argument("--to", dest="end", required=True, help="End: yyyy-mm-dd hh:mm:ss in UTC, not included.")
        parser.add_argument("--exclude", metavar="FILE", help="A file of organization ids to leave out; - for stdin.")
        parser.add_argument(
            "--ids-only", action="store_true", help="Print ids alone, one a line, to pipe into stage_orgs."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        window, notes = parse_window(options["start"], options["end"])
        exclude = lines_of_file(options["exclude"], "--exclude") if options["exclude"] else ()
        for note in notes:
            self.stderr.write(note)
        prefix = estate.current().source.id_prefix
        found = []
        for organization in affected_organizations(window, exclude):
            shown = f"{prefix}{organization.key}"
            found.append(
                {
                    "id": shown,
                    "name": organization.name,
                    "updated": organization.updated,
                    "completed": organization.completed,
                    "first_update": organization.first_update.isoformat(),
                    "last_update": organization.last_update.isoformat(),
                }
            )
            self.say(shown if options["ids_only"] else _line(found[-1]))
        self.stderr.write(f"{len(found):,} organizations with tasks updated in {window}.")
        return {"window": {"from": window.start.isoformat(), "to": window.end.isoformat()}, "organizations": found}


def _line(row: dict[str, Any]) -> str:
    return f"{row['id']}  {row['updated']:>8,} updated  {row['completed']:>8,} completed  {row['name']}"
