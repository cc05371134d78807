"""The skip list as a CSV: what is written, and what is read back. Pure; no database, no source."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from opsconsole.cells import as_written
from opsconsole.errors import UsageError
from opsconsole.times import parse_time
from sync.models import SkippedOrganization, SkipReason
from sync.operations.ids import IdRules, Subject
from sync.operations.ids.columns import is_usual, normal
from sync.operations.ids.words import BadWordError, WordReader
from sync.operations.skiplist import LONGEST_NOTE, tidy_note

MOST_ROWS = 20_000
MOST_CHARACTERS = 5_000_000
LONGEST_PERSON = 150
LONGEST_SHOWN = 80
SEPARATORS = ",;\t"

COLUMNS: Mapping[str, str] = {
    "organization_id": "The organization, its id in any shape. The only column that is needed.",
    "name": "Written for people. Not read: names come from the source.",
    "reason": f"One of {', '.join(SkipReason.values)}. Empty, or no such column: by_hand for a new entry.",
    "job": "The number of the job that led to it. Empty: none.",
    "note": "Free text. Empty: none.",
    "skipped_by": "The person. Empty: whoever imports, for a new entry.",
    "skipped_at": "When, as yyyy-mm-dd hh:mm:ss in UTC or ISO 8601 with a zone. Empty: now, for a new entry.",
    "resolved_at": "Written for entries that are off the list. A row that has it is history, and changes nothing.",
    "resolved_by_job": "Written, not read.",
    "resolution": "Written, not read.",
}


def cells_of(entry: SkippedOrganization, prefix: str) -> tuple[object, ...]:
    """One entry as a row, in the order of COLUMNS. Makes no query."""
    return (
        f"{prefix}{entry.organization_id}",
        entry.name,
        entry.reason,
        _or_nothing(entry.job_id),
        entry.note,
        entry.skipped_by,
        _written(entry.skipped_at),
        _written(entry.resolved_at),
        _or_nothing(entry.resolved_by_job_id),
        entry.resolution,
    )


def _or_nothing(number: int | None) -> object:
    return "" if number is None else number


def _written(moment: datetime | None) -> str:
    """To the microsecond, so that what is read back is the same."""
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class SkipRow:
    """One row of a file. A field is None where the file leaves it alone; `job` 0 is no job."""

    line: int
    organization_id: str
    reason: SkipReason | None
    job: int | None
    note: str | None
    skipped_by: str | None
    skipped_at: datetime | None
    resolved: bool


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be used: where it begins, what stands there, and a verb phrase why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class SkipFile:
    rows: tuple[SkipRow, ...]
    errors: tuple[RowError, ...]


class _BadCellError(ValueError):
    """A cell that cannot be used; the message is a verb phrase."""


def read_skip_file(text: str, rules: IdRules, now: datetime) -> SkipFile:
    """The rows of a CSV with commas, semicolons or tabs between cells, and what is wrong with the others.

    Raises UsageError where the whole cannot be read: no header, unknown columns, broken quotes, too long.
    """
    assert rules.subject is Subject.ORGANIZATIONS
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"The file has {len(text):,} characters; allowed are {MOST_CHARACTERS:,}.")
    lines = _lines(text.lstrip("\ufeff"))
    try:
        header = next(lines, None)
        if header is None:
            raise UsageError("There is nothing in it; the first line must name the columns.")
        places = _places(header[1], rules)
        rows: list[SkipRow] = []
        errors: list[RowError] = []
        reader = WordReader(rules)
        for line, cells in lines:
            if len(rows) + len(errors) >= MOST_ROWS:
                raise UsageError(f"There are more than {MOST_ROWS:,} rows; allowed are {MOST_ROWS:,} at once.")
            try:
                rows.append(_row(line, _named(cells, places), reader, now))
            except (_BadCellError, BadWordError) as error:
                errors.append(RowError(line, ", ".join(cells)[:LONGEST_SHOWN], str(error)))
    except csv.Error as error:
        raise UsageError(f"This is no CSV that can be read: {error}.") from error
    return _without_repeated(rows, errors)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line on which each begins; empty ones are left out."""
    first = text.split("\n", 1)[0].rstrip("\r").lower()
    before = 0
    if first.startswith("sep=") and len(first) == len("sep=;"):
        text, before = text.partition("\n")[2], 1
        separator = first[-1]
    else:
        head = text.lstrip().split("\n", 1)[0]
        separator = max(SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    begin = 0
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield before + begin + 1, cells
        begin = reader.line_num


def _places(header: list[str], rules: IdRules) -> list[str]:
    """The known name of each column. Raises UsageError."""
    names = [normal(cell) for cell in header]
    if "organization_id" not in names:
        usual = [place for place, name in enumerate(names) if name not in COLUMNS and is_usual(name, rules)]
        if len(usual) != 1:
            raise UsageError(
                f"No column has the organizations: the first line must name it organization_id; it has "
                f"{', '.join(names)[:LONGEST_SHOWN]!r}."
            )
        names[usual[0]] = "organization_id"
    wrong = [name for name in names if name not in COLUMNS]
    if wrong:
        raise UsageError(f"The column {wrong[0][:LONGEST_SHOWN]!r} is not known; allowed are {', '.join(COLUMNS)}.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"The column {twice[0]!r} is there twice.")
    return names


def _named(cells: list[str], places: list[str]) -> dict[str, str]:
    if len(cells) != len(places):
        raise _BadCellError(f"has {len(cells)} cells where the first line has {len(places)}")
    return {name: as_written(cell).strip() for name, cell in zip(places, cells, strict=True)}


def _row(line: int, cells: Mapping[str, str], reader: WordReader, now: datetime) -> SkipRow:
    return SkipRow(
        line=line,
        organization_id=str(reader.key(cells["organization_id"])),
        reason=_reason(cells.get("reason", "")),
        job=_job(cells.get("job")),
        note=_note(cells.get("note")),
        skipped_by=_person(cells.get("skipped_by", "")),
        skipped_at=_time(cells.get("skipped_at", ""), now),
        resolved=bool(cells.get("resolved_at")),
    )


def _reason(cell: str) -> SkipReason | None:
    if not cell:
        return None
    wanted = normal(cell)
    found = next((one for one in SkipReason if wanted in (one.value, normal(one.label))), None)
    if found is None:
        raise _BadCellError(f"has the reason {cell[:LONGEST_SHOWN]!r}; allowed are {', '.join(SkipReason.values)}")
    return found


def _job(cell: str | None) -> int | None:
    if not cell:
        return None if cell is None else 0
    if not (cell.isascii() and cell.isdigit() and len(cell) <= len(str(2**62)) - 1 and int(cell)):
        raise _BadCellError(f"has the job {cell[:LONGEST_SHOWN]!r}; allowed are the numbers that the job list shows")
    return int(cell)


def _note(cell: str | None) -> str | None:
    if cell is None:
        return None
    note = tidy_note(cell)
    if len(note) > LONGEST_NOTE or "\x00" in note:
        raise _BadCellError(f"has a note that cannot be kept; allowed are {LONGEST_NOTE:,} characters of text")
    return note


def _person(cell: str) -> str | None:
    if not cell:
        return None
    if len(cell) > LONGEST_PERSON or not cell.isprintable():
        raise _BadCellError(f"has a person that cannot be kept; allowed are {LONGEST_PERSON} visible characters")
    return cell


def _time(cell: str, now: datetime) -> datetime | None:
    if not cell:
        return None
    try:
        moment = parse_time(cell, "skipped_at")[0]
    except UsageError as error:
        raise _BadCellError(f"has {str(error).removesuffix('.')}") from error
    if moment > now:
        raise _BadCellError(f"was skipped at {cell}, which has not come yet")
    return moment


def _without_repeated(rows: Iterable[SkipRow], errors: list[RowError]) -> SkipFile:
    """An organization is on the list once; history may name it more often."""
    first: dict[str, int] = {}
    kept: list[SkipRow] = []
    for row in rows:
        line = row.line if row.resolved else first.setdefault(row.organization_id, row.line)
        if line == row.line:
            kept.append(row)
        else:
            errors.append(RowError(row.line, row.organization_id, f"is on line {line:,} already"))
    return SkipFile(tuple(kept), tuple(sorted(errors, key=lambda error: error.line)))
