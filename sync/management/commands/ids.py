"""`manage.py ids`: a list of ids in any shape in, the same list in the shape asked for out."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from opsconsole import estate
from opsconsole.commands import ConsoleCommand
from opsconsole.errors import UsageError
from sync.operations.ids import MOST_CHARACTERS, Output, Subject, decode, rules_of
from sync.operations.ids.conversion import Conversion, convert

SHOWN_AT_MOST = 1_000

HELP = """\
Read ids in any shape and print them in the one asked for. The list goes to standard output; what was wrong, each with
its line, to standard error.

FILE may hold ids bare, with the estate's prefix, quoted, separated by commas, blanks, semicolons, tabs or line ends; a
CSV with a header; JSON; an SQL IN list; links to customers' pages. Duplicates are removed, the order is kept. At most
100,000 different ids, and 20 MB.

--to:
  bare      one id a line, without the prefix (the default)
  prefixed  one line, commas between, with the prefix, without quotes
  quoted    the same, each in single quotes
  sql       a list for IN: ('…', '…'), without the prefix; numbers without quotes; (NULL) for no id at all
  csv       a header and one id with the prefix a line

Exit status: 0 every id is in the list; 1 the source could not be asked, nothing is printed; 2 something is malformed
or unknown to the source and was left out (the good ones are printed), or the request itself was wrong (nothing is
printed).
"""


class _Formatter(RawDescriptionHelpFormatter):
    """The text as it is written above; Django's own would fold it."""


class Command(ConsoleCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=_Formatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="The file with the ids; - reads standard input.")
        parser.add_argument(
            "--of", choices=[one.value for one in Subject], default=Subject.ORGANIZATIONS.value, help="Whose ids."
        )
        parser.add_argument(
            "--to", choices=[one.value for one in Output], default=Output.BARE.value, help="The shape of the list."
        )
        parser.add_argument(
            "--column", default="", metavar="NAME", help="The column of a CSV, or its number; the key of JSON objects."
        )
        parser.add_argument("--no-lookup", action="store_true", help="Do not ask the source which ids it knows.")

    def handle(self, *args: Any, **options: Any) -> None:
        self._flawed = False
        super().handle(*args, **options)
        if self._flawed:
            sys.exit(UsageError.exit_status)

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        subject = Subject(options["of"])
        kind = rules_of(subject, estate.current().source).kind
        text = decode(_read(options["file"]), kind, _called(options["file"]))
        found = convert(
            text, subject, to=Output(options["to"]), column=options["column"], ask_source=not options["no_lookup"]
        )
        self._tell(found)
        if not options["json"] and found.text:
            self.stdout.write(found.text)
        self._flawed = found.flawed
        return found.as_json()

    def _tell(self, found: Conversion) -> None:
        """What was wrong, in the order of the lines, the summary last."""
        prefix = found.report.rules.prefix
        unknown = found.looked_up.unknown if found.looked_up else ()
        wrong = [(bad.line, bad.sentence) for bad in found.report.malformed]
        wrong += [(one.line, f"line {one.line:,}: {prefix}{one.key} is not in the source") for one in unknown]
        wrong.sort(key=lambda pair: pair[0])
        for _, sentence in wrong[:SHOWN_AT_MOST]:
            self.stderr.write(sentence)
        more = found.report.malformed_total + len(unknown) - min(len(wrong), SHOWN_AT_MOST)
        if more:
            self.stderr.write(f"and {more:,} more")
        self.stderr.write(found.sentence())


def _called(name: str) -> str:
    return "Standard input" if name == "-" else f"The file {name!r}"


def _read(name: str) -> bytes:
    """A byte more than is allowed, at most: enough to see that it is too long. Raises UsageError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MOST_CHARACTERS + 1)
        with Path(name).open("rb") as file:
            return file.read(MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{_called(name)} cannot be read: {error}.") from error
