"""The index in a PostgreSQL table that the indexing service writes."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from opsconsole.closing import Closing
from opsconsole.estate.model import Estate
from opsconsole.keys import Key
from opsconsole.postgres import Database
from sync.engine.rows import Row
from sync.taskrows import TaskRows, TaskShape


def index_shape(estate: Estate) -> TaskShape:
    """The index's tasks under its own names. Without version columns on both sides, `updated_at` stands for both."""
    index, tasks = estate.index, estate.source.tasks
    return TaskShape(
        table=index.table,
        id=index.id,
        organization=index.organization,
        values=tuple(index.fields.get(name, name) for name in tasks.compare),
        id_kind=tasks.id_type,
        organization_kind=estate.source.organizations.id_type,
        version=index.version,
        updated_at=index.updated_at,
        version_from_updated_at=not tasks.version and not index.version,
    )


def status_name(estate: Estate) -> str:
    """What the index calls the column of the task's status."""
    name = estate.source.tasks.status
    return estate.index.fields.get(name, name)


class PostgresIndex(Closing):
    """Reads the index's table; connects with the first read."""

    def __init__(self, estate: Estate) -> None:
        self.database = Database(
            estate.index.url,
            "the index",
            statement_timeout=estate.index.timeout,
            connect_timeout=estate.index.connect_timeout,
        )
        self.tasks = TaskRows(self.database, index_shape(estate))
        self._status = status_name(estate)

    def close(self) -> None:
        self.database.close()

    def ping(self) -> str:
        version = str(self.database.row(sql.SQL("SHOW server_version"))[0]).split(" ")[0]
        return f"PostgreSQL {version} answers"

    def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
        """At most `limit` tasks of `organization` with key > `after`, in key order. One query."""
        return self.tasks.page(organization, after, limit)

    def by_keys(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The tasks with these keys, whatever their organization. One query for each 5,000."""
        return self.tasks.by_keys(keys)

    def search(self, status: str, limit: int) -> Sequence[Row]:
        """The first tasks, by key, that the index has in `status`: at most `limit`. One query."""
        return self.tasks.having(self._status, status, limit)
