"""The source: the system of record, read through the estate's names by a role that can only read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from psycopg import sql

from opsconsole import estate
from opsconsole.closing import Closing
from opsconsole.errors import OutsideDataError
from opsconsole.estate import model
from opsconsole.keys import Key
from opsconsole.postgres import EARLIEST, Database, as_datetime, identifier, table_identifier, trusted
from opsconsole.times import Window
from opsconsole.visible import cut
from sync.engine.rows import Row
from sync.taskrows import KeyColumn, TaskRows, TaskShape, window_values

LONGEST_NAME = 300
"""Characters of an organization's name that are kept and shown."""


def _name(text: str | None) -> str:
    return cut(text or "", LONGEST_NAME)


class AffectedOrganization(NamedTuple):
    """An organization with updates in a window: how many tasks, how many of them completed, first and last update. A
    tuple, since they come by the hundred thousand."""

    key: Key
    name: str
    updated: int
    completed: int
    first_update: datetime
    last_update: datetime


@dataclass(frozen=True, slots=True)
class UpdatedTask:
    """A task updated in a window; `values` are the compared columns in the estate's order, None for NULL."""

    key: Key
    status: str
    updated_at: datetime
    deleted: bool
    values: tuple[object, ...]


def source_shape(source: model.Source) -> TaskShape:
    """The source's tasks; a source without a version column has the microseconds of `updated_at` for it."""
    tasks = source.tasks
    return TaskShape(
        table=tasks.table,
        id=tasks.id,
        organization=tasks.organization,
        values=tasks.compare,
        id_kind=tasks.id_type,
        organization_kind=source.organizations.id_type,
        version=tasks.version,
        updated_at=tasks.updated_at,
        deleted=tasks.deleted,
        where=tasks.where,
        version_from_updated_at=not tasks.version,
    )


class Source(Closing):
    """One connection to the source, made with the first read; a context manager, and one Side of a comparison.

    Raises UnavailableError (try again) and OutsideDataError (it will not help). One per process: never across a fork.
    """

    def __init__(self, settings: model.Source) -> None:
        self._settings = settings
        self.database = Database(
            settings.url,
            "the source",
            statement_timeout=settings.statement_timeout,
            connect_timeout=settings.connect_timeout,
        )
        self.tasks = TaskRows(self.database, source_shape(settings))
        self._task_table = table_identifier(settings.tasks.table)
        self._organization_table = table_identifier(settings.organizations.table)

    def close(self) -> None:
        self.database.close()

    def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
        """At most `limit` tasks of `organization` with key > `after`, in key order. One query."""
        return self.tasks.page(organization, after, limit)

    def window_page(self, organization: Key, window: Window, after: Key | None, limit: int) -> Sequence[Row]:
        """As `page`, but only tasks updated in `window`."""
        return self.tasks.page(organization, after, limit, window)

    def by_keys(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The tasks with these keys, whatever their organization. One query for each 5,000."""
        return self.tasks.by_keys(keys)

    def version(self) -> str:
        """The server's version, "15.4". One query."""
        return str(self.database.row(sql.SQL("SHOW server_version"))[0]).split(" ")[0]

    def ping(self) -> str:
        """One sentence about the source that answered. Raises UnavailableError."""
        return f"PostgreSQL {self.version()} answers"

    @cached_property
    def _organization_key(self) -> KeyColumn:
        table = self._settings.organizations
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(identifier(table.id), self._organization_table)
        return KeyColumn.of(table.id, table.id_type, self.database.columns(query)[0].type_code)

    @cached_property
    def _organization_condition(self) -> sql.Composable:
        where = self._settings.organizations.where
        return sql.SQL("({})").format(trusted(where)) if where else sql.SQL("true")

    def existing_organizations(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Names of those of `keys` that are organizations by the estate's `where`; the others are absent. One query."""
        return self._names(keys, self._organization_condition)

    def organization_names(self, keys: Sequence[Key]) -> dict[Key, str]:
        """Names to show, also of organizations that the estate's `where` leaves out. One query."""
        return self._names(keys, sql.SQL("true"))

    def organizations_named(self, text: str, limit: int) -> dict[Key, str]:
        """At most `limit` of those with `text` in their name, capitals aside, in the order of keys. One query over as
        many organizations as there are: give it a short statement timeout."""
        column = self._organization_key
        query = sql.SQL(
            "SELECT {}, {} FROM {} WHERE strpos(lower({}::text), lower(%s)) > 0 AND {} ORDER BY {} LIMIT %s"
        )
        parts = (column.match, self._organization_name, self._organization_table)
        name = identifier(self._settings.organizations.name)
        whole = query.format(*parts, name, self._organization_condition, column.match)
        return {column.load(key): _name(name) for key, name in self.database.rows(whole, (text, limit))}

    @property
    def _organization_name(self) -> sql.Composable:
        """Cut by the server, with one character more than is kept: so a cut one is told from a whole one."""
        return sql.SQL("left({}::text, {})").format(
            identifier(self._settings.organizations.name), sql.Literal(LONGEST_NAME + 1)
        )

    def _names(self, keys: Sequence[Key], condition: sql.Composable) -> dict[Key, str]:
        if not keys:
            return {}
        column = self._organization_key
        query = sql.SQL("SELECT {}, {} FROM {} WHERE {} = ANY(%s) AND {}").format(
            column.match,
            self._organization_name,
            self._organization_table,
            column.match,
            condition,
        )
        rows = self.database.rows(query, ([column.dump(key) for key in keys],))
        return {column.load(key): _name(name) for key, name in rows}

    def task_counts(self, organization_keys: Sequence[Key], window: Window | None = None) -> dict[Key, int]:
        """How many tasks each organization has (where given, updated in `window`), without those marked deleted. One
        query, bounded by the statement timeout; every given key is in the result."""
        if not organization_keys:
            return {}
        _, owner = self.tasks.keys
        query = sql.SQL(
            "SELECT {}, count(*) FROM {} WHERE {} = ANY(%(keys)s) AND {} AND NOT {} AND {} GROUP BY 1"
        ).format(
            owner.match,
            self._task_table,
            owner.match,
            self.tasks.condition,
            self.tasks.deleted,
            self.tasks.updated_in(window),
        )
        values: dict[str, object] = {"keys": [owner.dump(key) for key in organization_keys]}
        rows = self.database.rows(query, values | window_values(window))
        return dict.fromkeys(organization_keys, 0) | {owner.load(key): count for key, count in rows}

    def task_count(self, organization: Key, most: int) -> tuple[int, bool]:
        """About how many tasks an organization has, and whether that is exact: up to `most` they are counted, beyond it
        is the server's estimate, which costs nothing. One or two queries."""
        _, owner = self.tasks.keys
        tasks = sql.SQL("SELECT FROM {} WHERE {} = %(organization)s AND {} AND NOT {}").format(
            self._task_table, owner.match, self.tasks.condition, self.tasks.deleted
        )
        values: dict[str, object] = {"organization": owner.dump(organization), "most": most + 1}
        query = sql.SQL("SELECT count(*) FROM ({} LIMIT %(most)s) tasks").format(tasks)
        (count,) = self.database.row(query, values)
        if count <= most:
            return count, True
        ((plans,),) = self.database.rows(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(tasks), values)
        return max(count, int(plans[0]["Plan"]["Plan Rows"])), False

    def affected_organizations(
        self,
        window_from: datetime,
        window_to: datetime,
        *,
        statuses: Collection[str] = (),
        minimum: int = 1,
        exclude: Collection[Key] = frozenset(),
        only: Collection[Key] | None = None,
        opened: Callable[[int], None] | None = None,
    ) -> Iterator[AffectedOrganization]:
        """Organizations with tasks updated in [window_from, window_to), ordered by key, streamed from the server.

        `statuses` keeps only tasks with one of them now; `minimum` is how many of those it takes; `exclude` leaves
        organizations out, `only` all others. Deleted tasks count: their deletion is an update too. Runs on a connection
        of its own; `opened` is told its server process before the statement starts.
        """
        if window_from.tzinfo is None or window_to.tzinfo is None:
            raise ValueError("window bounds need a time zone")
        values = self._affected_values(Window(window_from, window_to), statuses, minimum, exclude)
        values["only"] = [self.tasks.keys[1].dump(key) for key in only or ()]
        query = self._affected_query(by_status=bool(statuses), excluding=bool(exclude), among=only is not None)
        for key, name, updated, completed, first, last in self.database.stream(query, values, opened=opened):
            yield AffectedOrganization(
                key=self._organization_key.load(key),
                name=_name(name),
                updated=updated,
                completed=completed,
                first_update=as_datetime(first) or EARLIEST,
                last_update=as_datetime(last) or EARLIEST,
            )

    def _affected_values(
        self, window: Window, statuses: Collection[str] = (), minimum: int = 1, exclude: Collection[Key] = frozenset()
    ) -> dict[str, object]:
        return {
            "from": window.start,
            "to": window.end,
            "completed": list(self._settings.tasks.completed),
            "statuses": list(statuses),
            "minimum": minimum,
            "excluded": [self.tasks.keys[1].dump(key) for key in exclude],
        }

    def affected_plan(self, window: Window) -> Mapping[str, Any]:
        """The planner's plan for `affected_organizations`, as EXPLAIN gives it in JSON. Planned, and not run."""
        query = sql.SQL("EXPLAIN (FORMAT JSON) {}").format(self._affected_query(by_status=False, excluding=False))
        found = self.database.row(query, self._affected_values(window))[0]
        plan: Mapping[str, Any] = found[0]["Plan"]
        return plan

    def _affected_query(self, *, by_status: bool, excluding: bool, among: bool = False) -> sql.Composed:
        """Counts first, names after: the join meets one row for each organization, not one for each task."""
        _, owner = self.tasks.keys
        organization = self._organization_key
        if owner.as_text != organization.as_text:
            raise OutsideDataError("The source keeps organization ids as text in one table and not in the other.")
        tasks = self._settings.tasks
        status = identifier(tasks.status)
        moment = identifier(tasks.updated_at)
        conditions = [
            sql.SQL("{0} >= %(from)s AND {0} < %(to)s").format(moment),
            self.tasks.condition,
            sql.SQL("{} IS NOT NULL").format(owner.match),
        ]
        if by_status:
            conditions.append(sql.SQL("{}::text = ANY(%(statuses)s)").format(status))
        if excluding:
            conditions.append(sql.SQL("{} <> ALL(%(excluded)s)").format(owner.match))
        if among:
            conditions.append(sql.SQL("{} = ANY(%(only)s)").format(owner.match))
        return sql.SQL(
            "SELECT o.key, o.name, t.updated, t.completed, t.first, t.last FROM ("
            "SELECT {owner} AS key, count(*) AS updated,"
            " count(*) FILTER (WHERE {status}::text = ANY(%(completed)s)) AS completed,"
            " min({moment}) AS first, max({moment}) AS last"
            " FROM {tasks} WHERE {conditions} GROUP BY 1 HAVING count(*) >= %(minimum)s) t"
            " JOIN (SELECT {id} AS key, {name} AS name FROM {organizations} WHERE {organization_condition}) o"
            " ON o.key = t.key ORDER BY {order}"
        ).format(
            owner=owner.match,
            status=status,
            moment=moment,
            tasks=self._task_table,
            conditions=sql.SQL(" AND ").join(conditions),
            id=organization.match,
            name=self._organization_name,
            organizations=self._organization_table,
            organization_condition=self._organization_condition,
            order=sql.SQL('o.key COLLATE "C"') if organization.as_text else sql.SQL("o.key"),
        )

    def updated_tasks(
        self,
        organization: Key,
        window_from: datetime,
        window_to: datetime,
        *,
        statuses: Collection[str] = (),
        limit: int = 50,
    ) -> list[UpdatedTask]:
        """The first tasks of `organization` updated in [window_from, window_to), oldest update first. One query."""
        task, owner = self.tasks.keys
        tasks = self._settings.tasks
        moment, status = identifier(tasks.updated_at), sql.SQL("{}::text").format(identifier(tasks.status))
        query = sql.SQL(
            "SELECT {columns} FROM {tasks} WHERE {owner} = %(organization)s AND {condition}"
            " AND {moment} >= %(from)s AND {moment} < %(to)s AND (%(all)s OR {status} = ANY(%(statuses)s))"
            " ORDER BY {moment}, {order} LIMIT %(limit)s"
        ).format(
            columns=sql.SQL(", ").join(
                (task.match, status, moment, self.tasks.deleted, *(identifier(name) for name in tasks.compare))
            ),
            tasks=self._task_table,
            owner=owner.match,
            condition=self.tasks.condition,
            moment=moment,
            status=status,
            order=task.order,
        )
        values: dict[str, object] = {
            "organization": owner.dump(organization),
            "from": window_from,
            "to": window_to,
            "all": not statuses,
            "statuses": list(statuses),
            "limit": limit,
        }
        return [
            UpdatedTask(task.load(key), str(state), as_datetime(at) or EARLIEST, deleted, tuple(compared))
            for key, state, at, deleted, *compared in self.database.rows(query, values)
        ]

    def cancel_statement(self, backend_pid: int) -> bool:
        """End the statement that another connection of this role has under way. False where there is none any more."""
        query = sql.SQL(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE pid = %s AND usename = current_user AND application_name LIKE %s"
        )
        return any(done for (done,) in self.database.rows(query, (backend_pid, "opsconsole %")))


def open_source(settings: model.Source | None = None) -> Source:
    """The source of `settings`, of the current estate by default. Connects with the first read."""
    return Source(settings or estate.current().source)
