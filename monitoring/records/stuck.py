"""Which records are stuck: counted, listed, and whose they are.

Raises UnavailableError and OutsideDataError; `problems.py` makes of them what a page says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from psycopg import sql

from monitoring.records.query import RecordTable
from opsconsole.keys import Key
from opsconsole.postgres import EARLIEST, as_datetime, identifier
from opsconsole.times import Window
from opsconsole.visible import cut
from sync.taskrows import KeyColumn

HOUR, DAY = "hour", "day"
LONGEST_TITLE = 300
LONGEST_TEXT = 2_000
"""Characters of a text of the source that are read: a link is the longest."""


@dataclass(frozen=True, slots=True)
class StuckRecord:
    """`since` is when it last changed, or was made where the source keeps no last change."""

    key: Key
    status: str
    created: datetime
    since: datetime
    organization: str
    title: str
    link: str


@dataclass(frozen=True, slots=True)
class StuckCount:
    """How many records made from `start` on, for an hour or a day, are stuck in a status."""

    start: datetime
    status: str
    count: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class StuckQuestion:
    """Which records are stuck: made in `made`, and in one of the statuses since before its moment."""

    made: Window
    since: Mapping[str, datetime]
    organization: Key | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The record after which (or, backward, before which) a page begins."""

    created: datetime
    key: Key
    backward: bool = False


class StuckRecords:
    """Questions to one record table about the records that are stuck."""

    def __init__(self, table: RecordTable) -> None:
        self.source = table.source
        self._table = table
        self._database = table.database
        self._from, self._created, self._status = table.table, table.created, table.status

    @cached_property
    def _keys(self) -> KeyColumn:
        source = self.source
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(identifier(source.id), self._from)
        return KeyColumn.of(source.id, source.id_type, self._database.columns(query)[0].type_code)

    @property
    def _since(self) -> sql.Composable:
        changed = self.source.updated_at
        return sql.SQL("coalesce({}, {})").format(identifier(changed), self._created) if changed else self._created

    def counts(self, question: StuckQuestion, each: str = HOUR) -> list[StuckCount]:
        """Stuck records by status and by the hour or day they were made in, oldest first. One query."""
        if not question.since:
            return []
        query = sql.SQL(
            "SELECT date_trunc(%(each)s, {created}), {status}, count(*), min({created}) FROM {table} WHERE {stuck}"
            " GROUP BY 1, 2 ORDER BY 1, 2"
        ).format(created=self._created, status=self._status, table=self._from, stuck=self._stuck(question))
        rows = self._database.rows(query, self._stuck_values(question) | {"each": each})
        return [
            StuckCount(as_datetime(start) or EARLIEST, status, count, as_datetime(oldest) or EARLIEST)
            for start, status, count, oldest in rows
        ]

    def page(self, question: StuckQuestion, place: Place | None, limit: int) -> list[StuckRecord]:
        """At most `limit` stuck records after `place` (before it where it is backward), oldest first. One query."""
        if not question.since:
            return []
        backward = place is not None and place.backward
        order = sql.SQL("{created} {way}, {key} {way}").format(
            created=self._created, key=self._keys.order, way=sql.SQL("DESC" if backward else "ASC")
        )
        beyond = sql.SQL("") if place is None else self._beyond(backward)
        query = sql.SQL("{select} WHERE {stuck}{beyond} ORDER BY {order} LIMIT %(limit)s").format(
            select=self._select_records(), stuck=self._stuck(question), beyond=beyond, order=order
        )
        values = self._stuck_values(question) | {"limit": limit}
        if place is not None:
            values |= {"place_created": place.created, "place_key": self._keys.dump(place.key)}
        found = [self._record(row) for row in self._database.rows(query, values)]
        return found[::-1] if backward else found

    def stream(self, question: StuckQuestion) -> Iterator[StuckRecord]:
        """All stuck records, oldest first, through a server-side cursor."""
        if not question.since:
            return
        query = sql.SQL("{select} WHERE {stuck} ORDER BY {created}, {key}").format(
            select=self._select_records(),
            stuck=self._stuck(question),
            created=self._created,
            key=self._keys.order,
        )
        for row in self._database.stream(query, self._stuck_values(question)):
            yield self._record(row)

    def organizations(self, question: StuckQuestion, limit: int) -> list[str]:
        """At most `limit` organizations with stuck records. One query."""
        organization = sql.SQL("{}::text").format(identifier(self.source.organization))
        query = sql.SQL("SELECT DISTINCT {organization} FROM {table} WHERE {stuck} ORDER BY 1 LIMIT %(limit)s").format(
            organization=organization, table=self._from, stuck=self._stuck(question)
        )
        rows = self._database.rows(query, self._stuck_values(question) | {"limit": limit})
        return [organization for (organization,) in rows if organization is not None]

    def organizations_of(self, keys: Sequence[Key]) -> list[str]:
        """The organizations of these records, each once. One query."""
        query = sql.SQL("SELECT DISTINCT {organization}::text FROM {table} WHERE {key} = {any_of} ORDER BY 1").format(
            organization=identifier(self.source.organization),
            table=self._from,
            key=self._keys.match,
            any_of=self._keys.any_of,
        )
        rows = self._database.rows(query, (self._keys.array(keys),))
        return [organization for (organization,) in rows if organization is not None]

    def _beyond(self, backward: bool) -> sql.Composable:
        return sql.SQL(" AND ({created}, {key}) {further} (%(place_created)s, %(place_key)s)").format(
            created=self._created, key=self._keys.order, further=sql.SQL("<" if backward else ">")
        )

    def _select_records(self) -> sql.Composable:
        optional = (self.source.organization, self.source.title, self.source.link_column)
        texts = [
            sql.SQL("left({}::text, {})").format(identifier(name), sql.Literal(LONGEST_TEXT + 1))
            if name
            else sql.SQL("''")
            for name in optional
        ]
        columns = (self._keys.match, self._status, self._created, self._since, *texts)
        return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), self._from)

    def _record(self, row: tuple[object, ...]) -> StuckRecord:
        key, status, created, since, organization, title, link = row
        return StuckRecord(
            key=self._keys.load(key),
            status=str(status),
            created=as_datetime(created) or EARLIEST,
            since=as_datetime(since) or EARLIEST,
            organization=str(organization or ""),
            title=cut(str(title or ""), LONGEST_TITLE),
            link=str(link or ""),
        )

    def _stuck(self, question: StuckQuestion) -> sql.Composable:
        """In a status for too long: each status with its own moment."""
        each = [
            sql.SQL("({status} = {name} AND {since} < {moment})").format(
                status=self._status,
                name=sql.Placeholder(f"status{number}"),
                since=self._since,
                moment=sql.Placeholder(f"since{number}"),
            )
            for number in range(len(question.since))
        ]
        conditions = [
            sql.SQL("{0} >= %(start)s AND {0} < %(end)s").format(self._created),
            sql.SQL("({})").format(sql.SQL(" OR ").join(each)),
        ]
        if question.organization is not None:
            conditions.append(sql.SQL("{}::text = %(organization)s").format(identifier(self.source.organization)))
        return sql.SQL("{}{}").format(sql.SQL(" AND ").join(conditions), self._table.condition)

    def _stuck_values(self, question: StuckQuestion) -> dict[str, object]:
        values = {"start": question.made.start, "end": question.made.end} | self._table.seen_values
        for number, (status, moment) in enumerate(question.since.items()):
            values |= {f"status{number}": status, f"since{number}": moment}
        return values | ({} if question.organization is None else {"organization": str(question.organization)})
