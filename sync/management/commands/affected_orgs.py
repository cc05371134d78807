"""`manage.py affected_orgs`: organizations with tasks updated in a window."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit, estate
from opsconsole.commands import ConsoleCommand, lines_of_file
from opsconsole.errors import UsageError
from opsconsole.times import Window, parse_time, parse_window
from opsconsole.words import counted
from sync.operations.affected import AffectedQuery, affected_organizations


class Command(ConsoleCommand):
    help = "List the organizations with tasks updated in the window [from, to), so that they can be staged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", required=True, help="Start: yyyy-mm-dd hh:mm:ss in UTC, included.")
        parser.add_argument("--to", dest="end", required=True, help="End: yyyy-mm-dd hh:mm:ss in UTC, not included.")
        parser.add_argument("--exclude", metavar="FILE", help="A file of organization ids to leave out; - for stdin.")
        parser.add_argument("--status", action="append", help="Only tasks with this status now; may be repeated.")
        parser.add_argument("--min", type=int, default=1, metavar="N", help="At least so many updated tasks.")
        parser.add_argument("--exclude-staged", action="store_true", help="Leave out what is staged.")
        parser.add_argument("--exclude-skipped", action="store_true", help="Leave out what is on the skip list.")
        parser.add_argument("--checked-since", metavar="TIME", help="Leave out what was checked at TIME or later.")
        parser.add_argument(
            "--ids-only", action="store_true", help="Print ids alone, one a line, to pipe into stage_orgs."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        window, notes = parse_window(options["start"], options["end"])
        query = _query(window, options)
        for note in notes:
            self.stderr.write(note)
        audit.record(audit.actor_of_command(), "data.exported", "affected", window=str(query.window))
        prefix = estate.current().source.id_prefix
        found = []
        for organization in affected_organizations(query):
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
        self.stderr.write(f"{counted(len(found), 'organization')} with tasks updated in {window}.")
        return {"window": {"from": window.start.isoformat(), "to": window.end.isoformat()}, "organizations": found}


def _query(window: Window, options: dict[str, Any]) -> AffectedQuery:
    if options["min"] < 1:
        raise UsageError(f"--min {options['min']} cannot be used; allowed are whole numbers from 1.")
    since = options["checked_since"]
    return AffectedQuery(
        window,
        statuses=tuple(options["status"] or ()),
        minimum=options["min"],
        exclude_staged=options["exclude_staged"],
        exclude_skipped=options["exclude_skipped"],
        checked_since=parse_time(since, "--checked-since")[0] if since else None,
        exclude=tuple(lines_of_file(options["exclude"], "--exclude") if options["exclude"] else ()),
    )


def _line(row: dict[str, Any]) -> str:
    return f"{row['id']}  {row['updated']:>8,} updated  {row['completed']:>8,} completed  {row['name']}"
