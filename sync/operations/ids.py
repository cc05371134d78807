"""Reading lists of ids as people paste them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from opsconsole.errors import UsageError
from opsconsole.keys import BadKeyError, Key, KeyKind, parse_key

SEPARATORS = re.compile(r"[\s,;]+")
QUOTES = "'\"`"
NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Malformed:
    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class ParsedIds:
    """`keys` in the order given, each once; `duplicates` counts what was dropped."""

    keys: tuple[Key, ...]
    duplicates: int
    malformed: tuple[Malformed, ...]


def parse_ids(lines: Iterable[str], kind: KeyKind, prefix: str = "") -> ParsedIds:
    """Ids separated by commas, blanks, semicolons or line ends, quoted or not, with the estate's prefix or without."""
    keys: dict[Key, None] = {}
    malformed: list[Malformed] = []
    seen = 0
    for number, line in enumerate(lines, start=1):
        for word in filter(None, SEPARATORS.split(line)):
            try:
                key = parse_key(kind, strip_id(word, prefix))
            except BadKeyError as error:
                malformed.append(Malformed(number, word, str(error)))
            else:
                seen += 1
                keys[key] = None
    return ParsedIds(tuple(keys), seen - len(keys), tuple(malformed))


def strip_id(word: str, prefix: str) -> str:
    return word.strip(QUOTES).removeprefix(prefix)


def require_keys(lines: Iterable[str], kind: KeyKind, prefix: str, what: str) -> tuple[Key, ...]:
    """The keys, where all are well-formed and there is at least one. Raises UsageError naming the bad ones."""
    parsed = parse_ids(lines, kind, prefix)
    if parsed.malformed:
        raise UsageError(
            f"{some_of([f'line {bad.line}: {bad.why}' for bad in parsed.malformed])}; allowed are ids of {what}s, "
            f"{kind.value}{f', with or without {prefix!r} in front' if prefix else ''}. Nothing was done."
        )
    if not parsed.keys:
        raise UsageError(f"No {what} ids were given.")
    return parsed.keys


def some_of(things: list[str]) -> str:
    """The first few, and how many more."""
    more = len(things) - NAMED_AT_MOST
    return "; ".join(things[:NAMED_AT_MOST]) + (f"; and {more:,} more" if more > 0 else "")
