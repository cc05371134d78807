"""`manage.py skip_list`: the skip list as a CSV, out and in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit, estate
from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.csvfile import csv_lines
from opsconsole.errors import UsageError
from opsconsole.keys import KeyKind
from opsconsole.words import counted
from sync.operations.ids import decode
from sync.operations.skipfile import COLUMNS, MOST_CHARACTERS, cells_of
from sync.operations.skipimport import ImportPlan, apply_import, plan_import
from sync.operations.skiplist import listed

ROWS_AT_ONCE = 2_000
SHOWN_AT_MOST = 1_000


class Command(ConsoleCommand):
    help = (
        "Write the skip list to a CSV, or read it from one. An import does all of it or, where a row is wrong, "
        "nothing; with --dry-run it only says what would change. Columns: " + ", ".join(COLUMNS) + "."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["export", "import"])
        parser.add_argument("file", metavar="FILE", help="The CSV; - is standard output, or standard input.")
        parser.add_argument("--all", action="store_true", help="Export the resolved entries too.")
        parser.add_argument("--dry-run", action="store_true", help="Import: only say what would change.")
        add_reason(parser, "Import: why, for the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["act"] == "export":
            return self._export(options["file"], open_only=not options["all"])
        return self._import(options)

    def _export(self, name: str, *, open_only: bool) -> dict[str, Any]:
        prefix = estate.current().source.id_prefix
        entries = listed(open_only=open_only)
        lines = csv_lines(tuple(COLUMNS), (cells_of(one, prefix) for one in entries.iterator(ROWS_AT_ONCE)))
        total = entries.count()
        audit.exported(audit.actor_of_command(), "skip_list", entries=total)
        if name == "-":
            for piece in lines:
                self.stdout.write(piece, ending="")
            return {"written": total}
        try:
            with Path(name).open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        except OSError as error:
            raise UsageError(f"The file {name!r} cannot be written: {error}.") from error
        self.say(f"{counted(total, 'entry', 'entries')} written.")
        return {"written": total}

    def _import(self, options: dict[str, Any]) -> dict[str, Any]:
        text = decode(_read(options["file"]), KeyKind.TEXT, "The file")
        actor = self.actor(options)
        plan = plan_import(text, actor)
        for error in plan.errors[:SHOWN_AT_MOST]:
            self.stderr.write(f"line {error.line:,}: {error.text!r} {error.why}")
        if plan.errors:
            raise UsageError(f"{plan.sentence()} Nothing was done.")
        if not options["dry_run"]:
            plan = apply_import(text, plan.digest, actor, options["reason"])
        self.say(f"{plan.sentence()}{' Nothing was done.' if options['dry_run'] else ''}")
        return _result(plan) | {"dry_run": options["dry_run"]}


def _result(plan: ImportPlan) -> dict[str, Any]:
    return {"new": plan.new, "changed": plan.changed, "unchanged": plan.unchanged, "history": plan.history}


def _read(name: str) -> bytes:
    """One byte more than is read, at most. Raises UsageError."""
    most = 4 * MOST_CHARACTERS + 1
    try:
        if name == "-":
            return sys.stdin.buffer.read(most)
        with Path(name).open("rb") as file:
            return file.read(most)
    except (OSError, ValueError) as error:
        raise UsageError(f"The file {name!r} cannot be read: {error}.") from error
