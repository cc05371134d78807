"""A CSV with a header: whether a text is one, how it is separated, which column has the ids, and its cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from opsconsole.errors import UsageError
from opsconsole.keys import KeyKind
from sync.operations.ids import columns
from sync.operations.ids.collector import Collector
from sync.operations.ids.model import AmbiguousColumnError, IdReport, IdRules, Shape, shorten
from sync.operations.ids.words import BadWordError, WordReader

SEPARATORS = "\t;,|"
SEPARATOR_LINE = re.compile(r"\s*\"?sep=([^\n])\"?[ \t]*\n", re.IGNORECASE)
LONGEST_HEADER = 10_000
LONGEST_NAME = 80
MOST_DIGITS_IN_A_NAME = 6
SAMPLE_ROWS = 200
# Rulers and row counts that psql and other tools draw around rows.
DRAWN = re.compile(r"[|+:\s]*+--[-|+:\s]*|\s*\(\d+ rows?\)\s*")
# A spreadsheet runs a cell that begins so; the writer puts a quote in front, and the reader takes it off again.
GUARDED = re.compile(r"'+[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Header:
    """`body` is where the rows begin in the text, `line` the number of their first line."""

    names: tuple[str, ...]
    separator: str
    body: int
    line: int


def read(text: str, rules: IdRules, column: str) -> IdReport | None:
    """The ids of a CSV; None where the text is none. Raises AmbiguousColumnError and UsageError."""
    header = _header(text, rules, column)
    if header is None:
        return None
    place = _column(text, header, rules, column)
    if place is None:
        return None
    collector = Collector(rules)
    for line, row in _rows(text, header):
        for cell in _cells(row, place, alone=len(header.names) == 1):
            collector.add_cell(line, cell[1:] if GUARDED.match(cell) else cell)
        if place >= len(row):
            collector.refuse(line, header.separator.join(row), f"has no column {place + 1}")
    return collector.report(Shape.TABLE, header.names[place])


def _cells(row: list[str], place: int, *, alone: bool) -> list[str]:
    """The cell to read; where the header has only one name, all of the row."""
    return [cell for cell in row if cell.strip()] or row[:1] if alone else row[place : place + 1]


def _header(text: str, rules: IdRules, column: str) -> Header | None:
    """The header, where the first line is one: it has a usual name, or names and no id, or the column asked for."""
    told = SEPARATOR_LINE.match(text)
    body = told.end() if told else 0
    while (end := text.find("\n", body)) >= 0 and not text[body:end].strip():
        body = end + 1
    line = text[body : end if end >= 0 else len(text)]
    if not line.strip() or len(line) > LONGEST_HEADER:
        return None
    names, separator = _split(line, told[1] if told else "", rules, column)
    after = end + 1 if end >= 0 else len(text)
    header = Header(names, separator, after, text.count("\n", 0, after) + 1)
    place = _number(column, header) if column and columns.by_name(names, column) is None else None
    if place is not None and _is_id(names[place], WordReader(rules)):
        numbers = tuple(str(number) for number in range(1, len(names) + 1))
        return Header(numbers, separator, body, text.count("\n", 0, body) + 1)  # rows, and no header above them
    return header if _is_header(header, text, rules, column) else None


def _split(line: str, told: str, rules: IdRules, column: str) -> tuple[tuple[str, ...], str]:
    """The names in a header, by the separator that gives a wanted or usual name, or else the most names."""

    def worth(separator: str) -> tuple[bool, bool, int]:
        names = _names(line, separator)
        wanted = bool(column) and columns.by_name(names, column) is not None
        return wanted, any(columns.is_usual(name, rules) for name in names), len(names)

    separator = told or max(
        (one for one in SEPARATORS if one in line), key=worth, default="\t"
    )  # one name: no key has a tab
    return _names(line, separator), separator


def _names(line: str, separator: str) -> tuple[str, ...]:
    rows = list(csv.reader([line], delimiter=separator, skipinitialspace=True))
    return tuple(name.strip() for name in rows[0]) if rows else ()


def _is_header(header: Header, text: str, rules: IdRules, column: str) -> bool:
    if column:
        return columns.by_name(header.names, column) is not None or _number(column, header) is not None
    has_rows = bool(text[header.body : header.body + LONGEST_HEADER].strip())
    if any(columns.is_usual(name, rules) for name in header.names):
        # One line of text keys that has the word "id" in it is a list; there are no rows below it.
        return has_rows or rules.kind is not KeyKind.TEXT
    if rules.kind is KeyKind.TEXT or len(header.names) < 2 or not has_rows:  # noqa: PLR2004
        return False
    reader = WordReader(rules)
    return all(_looks_like_name(name) and not _is_id(name, reader) for name in header.names)


def _looks_like_name(text: str) -> bool:
    """Broken ids in the first line of a list are no names: they have more digits than names have, or no letter."""
    digits = sum(character.isdigit() for character in text)
    some_letter = not text or any(character.isalpha() for character in text)  # an index column may have no name
    return some_letter and len(text) <= LONGEST_NAME and digits <= MOST_DIGITS_IN_A_NAME and "://" not in text


def _is_id(cell: str, reader: WordReader) -> bool:
    try:
        reader.keys(cell)
    except BadWordError:
        return False
    return True


def _column(text: str, header: Header, rules: IdRules, column: str) -> int | None:
    """The place of the id column, counted from 0; None where no row looks like a row of this header."""
    if column:
        named = columns.by_name(header.names, column)
        return _number(column, header) if named is None else named
    sample = _sample(text, header, rules)
    if sample is None:
        return None
    reader = WordReader(rules)
    plausible = [place for place in range(len(header.names)) if _has_ids(sample, place, reader)]
    named = _by_usual_names(header.names, plausible if sample else [], rules)
    return _by_content(header, plausible, rules) if named is None else named


def _number(column: str, header: Header) -> int | None:
    digits = column.strip()
    if digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= len(header.names):
        return int(digits[:6]) - 1
    return None


def _sample(text: str, header: Header, rules: IdRules) -> list[list[str]] | None:
    """The first rows; None where names that are not usual stand above what is no table of theirs."""
    usual = any(columns.is_usual(name, rules) for name in header.names)
    try:
        rows = [row for _, row in islice(_rows(text, header), SAMPLE_ROWS)]
    except UsageError:
        if usual:
            raise
        return None
    return rows if usual or (rows and {len(row) for row in rows} == {len(header.names)}) else None


def _has_ids(sample: Sequence[list[str]], place: int, reader: WordReader) -> bool:
    """Are at least half of the column's filled cells ids?"""
    cells = [row[place] for row in sample if place < len(row) and row[place].strip()]
    return bool(cells) and 2 * sum(_is_id(cell, reader) for cell in cells) >= len(cells)


def _by_usual_names(names: tuple[str, ...], plausible: list[int], rules: IdRules) -> int | None:
    """The column named as id columns are, by the most trusted name that has ids below it."""
    every = [
        [place for place, name in enumerate(names) if columns.normal(name) in usual] for usual in columns.tiers(rules)
    ]
    for places in every:
        likely = [place for place in places if place in plausible]
        if len(likely) > 1:
            raise _ambiguous(names, likely, rules, "several are called so")
        if likely:
            return likely[0]
    # No column has ids: the best name is told what is wrong with its cells.
    return next((places[0] for places in every if places), None) if not plausible else None


def _by_content(header: Header, plausible: list[int], rules: IdRules) -> int | None:
    """The only column whose cells are UUIDs. Integers may be counts, so their column has to be named."""
    own = [place for place in plausible if not columns.of_another(header.names[place], rules)]
    if len(own) == 1 and rules.kind is KeyKind.UUID:
        return own[0]
    if not plausible:
        return None
    why = "several could have them" if len(own) > 1 else "none is called as such columns are"
    raise _ambiguous(header.names, own or plausible, rules, why)


def _ambiguous(names: tuple[str, ...], places: list[int], rules: IdRules, why: str) -> AmbiguousColumnError:
    likely = ", ".join(repr(shorten(names[place])) for place in places[:5])
    return AmbiguousColumnError(names, rules.subject, f"{why} ({likely})")


def _rows(text: str, header: Header) -> Iterator[Row]:
    """Filled rows with the number of their first line. Raises UsageError for quotes that do not close."""
    # Strict: a forgiving reader takes everything up to the next quote, rows and all, for one cell.
    rows = csv.reader(
        io.StringIO(text[header.body :], newline=""), delimiter=header.separator, skipinitialspace=True, strict=True
    )
    line = header.line
    try:
        for row in rows:
            if any(cell.strip() for cell in row) and not DRAWN.fullmatch(header.separator.join(row)):
                yield line, row
            line = header.line + rows.line_num
    except csv.Error as error:
        raise UsageError(f"Line {line:,} cannot be read as CSV: {error}.") from error
