"""Short-lived connections to PostgreSQL databases that are not the console's own.

Every connection is autocommitting and read-only unless asked otherwise, has a statement timeout, speaks UTC and never
keeps prepared plans: one plan cannot fit organizations of ten and of ten million tasks. Errors become one sentence that
names host and database, and never what libpq says about a failed connection, which can repeat parts of the URL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import RLock
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Format

from opsconsole.arrays import BinaryArray, BinaryArrayDumper
from opsconsole.closing import Closing
from opsconsole.env import KEEPALIVES
from opsconsole.errors import ConsoleError, OutsideDataError, UnavailableError
from opsconsole.estate.model import TableName
from opsconsole.processes import connection_name, process_name
from opsconsole.visible import cut

Query: TypeAlias = sql.SQL | sql.Composed
Values: TypeAlias = Sequence[object] | dict[str, object]

T = TypeVar("T")

FETCH_ROWS = 2_000

# Beyond what a datetime can hold: `infinity`, years over 9999 and before Christ.
LATEST, EARLIEST = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)

_REASONS = {
    "Connection refused": "nothing listens there",
    "timeout expired": "no answer in time",
    "could not translate host name": "the host name is not known",
    "failed to resolve host": "the host name is not known",
    "No such file or directory": "there is no such socket",
    "password authentication failed": "the role's password was refused",
    "no password supplied": "a password is needed",
    "no pg_hba.conf entry": "the server does not let this role in from here",
    "too many clients": "the server has no free connection",
    "too many connections": "the server has no free connection",
    "remaining connection slots": "the server has no free connection",
    "starting up": "the server is starting",
    "shutting down": "the server is shutting down",
    "SSL": "the TLS connection could not be made",
}
LONGEST_SAID = 1_000
# Classes of errors that pass by themselves: connection, resources, operator intervention, system, transaction rollback.
_PASSING = ("08", "53", "57", "58", "40")


class _SafeLoader(Loader):
    """Dates and times that Python cannot hold (`infinity`, year 10000) come as the server's own text."""

    def __init__(self, oid: int, context: Any = None) -> None:
        super().__init__(oid, context)
        # The fast loader cannot be subclassed to this end: psycopg would call its C function past the override.
        inner = psycopg.adapters.get_loader(oid, Format.TEXT)
        assert inner is not None
        self._inner = inner(oid, context)

    def load(self, data: Buffer) -> Any:
        try:
            return self._inner.load(data)
        except psycopg.DataError:
            return bytes(data).decode()


def as_datetime(value: object) -> datetime | None:
    """A loaded timestamp as an aware datetime in UTC; what Python cannot hold becomes LATEST or EARLIEST."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value)
    return EARLIEST if text.startswith("-") or text.endswith("BC") else LATEST


def table_identifier(name: TableName) -> sql.Identifier:
    """`tasks`, `crm.tasks` or the parts, quoted."""
    return sql.Identifier(*(part.replace("%", "%%") for part in name_parts(name)))


def name_parts(name: TableName) -> Sequence[str]:
    return name.split(".") if isinstance(name, str) else name


def identifier(name: str) -> sql.Identifier:
    """A column's name, quoted. Percent signs are doubled: `Database` gives every query parameters, if only none."""
    return sql.Identifier(name.replace("%", "%%"))


def trusted(condition: str) -> sql.SQL:
    """SQL that the estate's author wrote (`where`, `deleted`). Percent signs are doubled: it is no parameter."""
    return sql.SQL(condition.replace("%", "%%"))


def place(url: str) -> str:
    """Where `url` leads, fit for a message: database and host, no role, no password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "an unreadable address"
    host = str(parts.get("host") or parts.get("hostaddr") or "the local socket")
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or parts.get('user') or 'postgres'} on {host}{port}"


def connect(
    url: str, what: str, *, statement_timeout: float = 30.0, connect_timeout: float = 5.0, read_only: bool = True
) -> psycopg.Connection[tuple[Any, ...]]:
    """A new connection; timeouts in seconds. `what` names the system in messages ("the source").

    Raises UnavailableError, or OutsideDataError where the URL names a role or database that is not there.
    """
    options = f"-c statement_timeout={max(1, round(statement_timeout * 1000))} -c TimeZone=UTC -c DateStyle=ISO"
    if read_only:
        options += " -c default_transaction_read_only=on"
    parts = conninfo_to_dict(url)
    own = parts.get("options")
    keepalives: dict[str, Any] = {name: value for name, value in KEEPALIVES.items() if name not in parts}
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            prepare_threshold=None,
            options=f"{own} {options}" if own else options,
            application_name=connection_name(process_name(), os.getpid()),
            connect_timeout=max(1, round(connect_timeout)),
            **keepalives,
        )
    except psycopg.Error as error:
        raise _refused(error, what, url) from None
    for kind in ("timestamptz", "timestamp", "date"):
        connection.adapters.register_loader(kind, _SafeLoader)
    connection.adapters.register_dumper(BinaryArray, BinaryArrayDumper)
    return connection


def _refused(error: psycopg.Error, what: str, url: str) -> ConsoleError:
    text = str(error)
    if "does not exist" in text:
        subject = "role" if "role " in text else "database"
        return OutsideDataError(f"{_capital(what)} ({place(url)}) does not know the {subject} that its URL names.")
    reason = next((sentence for sign, sentence in _REASONS.items() if sign in text), "the connection failed")
    return UnavailableError(f"{_capital(what)} ({place(url)}) cannot be reached: {reason}.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def explain(error: psycopg.Error, what: str, url: str, statement_timeout: float) -> ConsoleError:
    """The console's own error for a failed query."""
    subject = f"{_capital(what)} ({place(url)})"
    primary = cut((error.diag.message_primary or "").rstrip("."), LONGEST_SAID)  # it may quote a value of any length
    if isinstance(error, errors.QueryCanceled) and "user request" in primary:
        return UnavailableError(f"{subject} cancelled a query because somebody asked it to.")
    if isinstance(error, errors.QueryCanceled):
        return UnavailableError(f"{subject} ended a query after the statement timeout of {statement_timeout:g} s.")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return OutsideDataError(f"{subject} refused to write: {primary}.")
    if error.sqlstate is None and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return UnavailableError(f"{subject} dropped the connection.")
    if (error.sqlstate or "")[:2] in _PASSING or isinstance(error, errors.LockNotAvailable):
        return UnavailableError(f"{subject} could not answer: {primary}.")
    return OutsideDataError(f"{subject} refused a query: {primary or type(error).__name__}.")


class Database(Closing):
    """One outside database, connected on first use. A context manager. Threads take turns; not for use across a fork.

    A connection that was dropped while idle (a server restart, a firewall) is opened anew and the read repeated once.
    """

    def __init__(
        self,
        url: str,
        what: str,
        *,
        statement_timeout: float = 30.0,
        connect_timeout: float = 5.0,
        read_only: bool = True,
    ) -> None:
        self.url = url
        self.what = what
        self.statement_timeout = statement_timeout
        self._connect_timeout = connect_timeout
        self._read_only = read_only
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._turn = RLock()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The open connection, made now where there is none. Raises UnavailableError."""
        if self._connection is None or self._connection.closed:
            self._connection = self._new_connection()
        return self._connection

    def _new_connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        return connect(
            self.url,
            self.what,
            statement_timeout=self.statement_timeout,
            connect_timeout=self._connect_timeout,
            read_only=self._read_only,
        )

    def rows(self, query: Query, values: Values = (), *, binary: bool = False) -> list[tuple[Any, ...]]:
        """All rows of one query. Raises UnavailableError, or OutsideDataError for a query that cannot work."""

        def read() -> list[tuple[Any, ...]]:
            with self.connection().cursor(binary=binary) as cursor:
                cursor.execute(query, values)
                return cursor.fetchall()

        return self._retried(read)

    def row(self, query: Query, values: Values = ()) -> tuple[Any, ...]:
        """The first row of a query that always has one."""
        return self.rows(query, values)[0]

    def columns(self, query: Query) -> list[psycopg.Column]:
        """The columns that a query would give; it is run, so write it with LIMIT 0."""

        def read() -> list[psycopg.Column]:
            with self.connection().cursor() as cursor:
                cursor.execute(query, ())
                return list(cursor.description or ())

        return self._retried(read)

    def cancel_statements(self, processes: Sequence[tuple[str, int]]) -> int:
        """End what these processes, each given by its worker's name and its number, have under way at the server.

        Only connections of the same role that `connect` has made. Returns how many statements were told to end.
        """
        names = [connection_name(worker, pid) for worker, pid in processes]
        query = sql.SQL(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = ANY(%s)"
            " AND usename = current_user AND state = 'active' AND pid <> pg_backend_pid()"
        )
        return sum(told for (told,) in self.rows(query, (names,)))

    def _retried(self, read: Callable[[], T]) -> T:
        with self._turn:
            return self._tried_twice(read)

    def _tried_twice(self, read: Callable[[], T]) -> T:
        used_before = self._connection is not None
        try:
            return read()
        except psycopg.Error as error:
            dropped = self._connection is not None and self._connection.closed
            if not (used_before and dropped and self._read_only):
                raise self._explained(error) from error
        with self._telling():
            return read()

    def stream(
        self,
        query: Query,
        values: Values = (),
        *,
        size: int = FETCH_ROWS,
        opened: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of one statement, read as the server sends them on a connection of its own, `size` in memory: the
        one that is open, where there is one, which ends with the stream.

        No server-side cursor: for that PostgreSQL plans no parallel scan, and for the first tenth of the rows only. The
        statement timeout therefore covers the whole of it, with the time that the taker of the rows needs. A stream
        that is closed early is cancelled. `opened` is told the server process of that connection before anything is
        asked; what it raises ends the stream.
        """
        with self._turn:
            taken, self._connection = self._connection, None
        connection = self._new_connection() if taken is None or taken.closed else taken
        try:
            if opened is not None:
                opened(connection.info.backend_pid)
            with self._telling(), connection.cursor() as cursor:
                yield from cursor.stream(query, values, size=size)
        finally:
            connection.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: psycopg.Error) -> ConsoleError:
        return explain(error, self.what, self.url, self.statement_timeout)
