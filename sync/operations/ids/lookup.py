"""Which of the ids the source knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from opsconsole import estate, scope
from opsconsole.estate import model
from opsconsole.estate.model import TableName
from opsconsole.keys import Key
from opsconsole.postgres import table_identifier
from sync.operations.ids.model import IdReport, Subject
from sync.source import Source

KEYS_PER_QUERY = 10_000


@dataclass(frozen=True, slots=True)
class UnknownId:
    """A well-formed id that the source does not have, and the line on which it stood first."""

    line: int
    key: Key


@dataclass(frozen=True, slots=True)
class LookUp:
    """`known` and `unknown` in the order given. `names` of the known organizations; empty for tasks."""

    known: tuple[Key, ...]
    unknown: tuple[UnknownId, ...]
    names: Mapping[Key, str]


def look_up(report: IdReport, settings: model.Source | None = None) -> LookUp:
    """Ask the source which of the report's keys it has, by the estate's `where`; tasks marked deleted count as known,
    and what lies outside of what the person is limited to as unknown.

    One query for each 10,000 keys, on a connection of its own; the current estate's source where none is given. Raises
    UnavailableError and OutsideDataError.
    """
    of_organizations = report.rules.subject is Subject.ORGANIZATIONS
    settings = settings or estate.current().source
    names: dict[Key, str] = {}
    with Source(settings) as source:
        for start in range(0, len(report.keys), KEYS_PER_QUERY):
            some = report.keys[start : start + KEYS_PER_QUERY]
            if of_organizations:
                seen = [key for key in some if scope.current().allows_organization(str(key))]
                names |= source.existing_organizations(seen)
            else:
                names |= dict.fromkeys(_existing_tasks(source, settings.tasks.table, some), "")
    return LookUp(
        known=tuple(key for key in report.keys if key in names),
        unknown=tuple(
            UnknownId(line, key) for key, line in zip(report.keys, report.lines, strict=True) if key not in names
        ),
        names=names if of_organizations else {},
    )


def _existing_tasks(source: Source, table: TableName, keys: Sequence[Key]) -> Iterator[Key]:
    """Keys alone: a whole row for each of 100,000 tasks would be most of the time."""
    column, owner = source.tasks.keys
    seen = scope.current().organizations
    query = sql.SQL(
        "SELECT {} FROM {} WHERE {} = ANY(%(keys)s) AND {} AND (%(all)s OR {}::text = ANY(%(seen)s))"
    ).format(column.match, table_identifier(table), column.match, source.tasks.condition, owner.match)
    values = {"keys": [column.dump(key) for key in keys], "all": seen is None, "seen": sorted(seen or ())}
    for (key,) in source.database.rows(query, values):
        yield column.load(key)
