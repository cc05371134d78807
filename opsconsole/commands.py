"""What all the console's commands share: exit status 0, 1 or 2, one clear sentence on an error, `--json`, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError
from redis.exceptions import RedisError

from opsconsole.audit import LONGEST_TICKET, Actor, actor_of_command
from opsconsole.errors import ConsoleError, UnavailableError, UsageError
from opsconsole.visible import one_line, visible


class ConsoleCommand(BaseCommand):
    """Exit status: 0 done, 1 failed (an outside system, or work that did not succeed), 2 the request was wrong.

    With `--json` the last line of standard output is one JSON object; an error is `{"error": …}` there as well.
    Subclasses implement `act` and return the object; what people read goes out through `say`.
    """

    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="Print one JSON object on the last line.")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        self._json: bool = options["json"]
        try:
            with outside_errors():
                result = self.act(options)
        except ConsoleError as error:
            self._fail(str(error), error.exit_status)
        except BrokenPipeError:
            # Whoever read our output (`head`) has gone. Python would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except KeyboardInterrupt:
            self._fail("Interrupted.", 130)
        else:
            if self._json:
                self.stdout.write(json.dumps(result, default=str))
            if result.get("failed"):
                sys.exit(1)

    def actor(self, options: dict[str, Any]) -> Actor:
        """Who acts, and for which ticket. Raises UsageError where that is too long."""
        ticket = str(options.get("ticket") or "").strip()
        if len(ticket) > LONGEST_TICKET:
            raise UsageError(f"--ticket has {len(ticket)} characters; at most {LONGEST_TICKET} are kept.")
        return actor_of_command(ticket)

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do the work. The result is printed with `--json`; a true `failed` in it makes the exit status 1."""
        raise NotImplementedError

    def say(self, line: str) -> None:
        """A line for people: on standard output, or on standard error where that carries JSON."""
        (self.stderr if self._json else self.stdout).write(visible(line))

    def show_progress(self, line: str) -> None:
        """Overwrite the present line of a terminal; nothing where nobody watches."""
        if sys.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{one_line(line)}", ending="")
            self.stderr.flush()

    def end_progress(self) -> None:
        if sys.stderr.isatty():
            self.stderr.write("\r\x1b[K", ending="")

    def _fail(self, sentence: str, status: int) -> None:
        self.stderr.write(self.style.ERROR(visible(sentence)))
        if self._json:
            self.stdout.write(json.dumps({"error": sentence}))
        sys.exit(status)


def add_reason(parser: CommandParser, meaning: str) -> None:
    """`--reason` and, as everywhere beside it, `--ticket`."""
    parser.add_argument("--reason", default="", help=meaning)
    parser.add_argument("--ticket", default="", help="Its number in another system; kept on the audit log.")


@contextmanager
def outside_errors() -> Iterator[None]:
    """The console's own stores being away is an outage to be told in a sentence, not a stack trace."""
    try:
        yield
    except OperationalError as error:
        raise UnavailableError(f"The console's database cannot be used: {first_line(error)}.") from error
    except RedisError as error:
        raise UnavailableError(f"Redis cannot be reached: {first_line(error)}.") from error


def first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")


def lines_of(arguments: Sequence[str]) -> Iterable[str]:
    """Ids given as arguments, or standard input where the one argument is `-`. Raises UsageError for nothing at all."""
    if list(arguments) == ["-"]:
        return sys.stdin
    if not arguments:
        raise UsageError("No ids were given; name them as arguments, or pass - to read them from standard input.")
    return arguments


def lines_of_file(name: str, what: str) -> list[str]:
    """The lines of a file, or of standard input for `-`. Raises UsageError."""
    if name == "-":
        return sys.stdin.readlines()
    try:
        return Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what} {name!r} cannot be read: {error}.") from error
