"""One run of a query in a thread of the web process: read the source, keep the rows, end the run.

Nobody waits for the thread but the page that looks at its row. A second thread tells every other process that the run
is alive, and passes a wish to cancel on: a statement that was not yet under way when it was cancelled is caught there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

from django.db import Error as DatabaseError
from django.db import connection, connections, transaction
from psycopg import errors

from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.words import counted
from sync.models import AffectedRow, Job, JobKind, JobState, QueryRun, RunState
from sync.operations.affected import AffectedQuery, affected_organizations
from sync.source import AffectedOrganization, open_source

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 4
MOST_ORGANIZATIONS = 100_000
ROWS_PER_COPY = 2_000
BEAT_SECONDS = 2.0

slots = threading.BoundedSemaphore(MOST_AT_ONCE)
"""Whoever starts a thread has taken one; the thread gives it back."""

COPY = (
    f"COPY {AffectedRow._meta.db_table} "
    "(run_id, organization_id, name, updated, completed, first_update, last_update) FROM STDIN"
)
LAST_CHECKS = f"""
    UPDATE {AffectedRow._meta.db_table} AS row SET last_checked_at = job.ended_at, last_check_found = job.found
    FROM (
        SELECT DISTINCT ON (organization_id) organization_id, ended_at, stale + missing + orphan AS found
        FROM {Job._meta.db_table}
        WHERE kind = %(kind)s AND state = %(state)s
          AND organization_id IN (SELECT organization_id FROM {AffectedRow._meta.db_table} WHERE run_id = %(run)s)
        ORDER BY organization_id, id DESC
    ) AS job
    WHERE row.run_id = %(run)s AND row.organization_id = job.organization_id
"""  # noqa: S608  (the names are the models' own)


class _NotWantedError(Exception):
    """The run was cancelled, or ended by the clock: stop reading."""


def start_thread(run_id: int, query: AffectedQuery) -> None:
    """Run `query` in the background. The caller holds one of `slots`."""
    threading.Thread(target=_act, args=(run_id, query), name=f"query-run-{run_id}", daemon=True).start()


def _act(run_id: int, query: AffectedQuery) -> None:
    try:
        with _Pulse(run_id):
            state, sentence = _outcome(run_id, query)
            QueryRun.objects.end(run_id, state, sentence)
    except Exception:  # the outermost call of this thread: the page must not show a run that nobody works on
        logger.exception("query run %s failed", run_id)
        _end_failed(run_id)
    finally:
        connections.close_all()
        slots.release()


def _end_failed(run_id: int) -> None:
    try:
        connection.close()
        QueryRun.objects.end(run_id, RunState.FAILED, "It failed in a way nobody expected; the server's log says how.")
    except DatabaseError:
        logger.warning("the console's database is away; the clock will end query run %s", run_id)


def _outcome(run_id: int, query: AffectedQuery) -> tuple[RunState, str]:
    """Read everything and keep it. How that ended, and the sentence for it."""
    found = affected_organizations(query, opened=partial(_connected, run_id))
    try:
        whole = _keep(run_id, found)
    except _NotWantedError:
        return RunState.CANCELLED, ""
    except ConsoleError as error:
        return _judged(run_id, error)
    _note_last_checks(run_id)
    if whole:
        return RunState.DONE, ""
    return RunState.CUT_OFF, f"Cut off at {MOST_ORGANIZATIONS:,} organizations: there are more. {_INCOMPLETE}"


_INCOMPLETE = "The result is not complete; narrow the window, or ask for more updates."


def _judged(run_id: int, error: ConsoleError) -> tuple[RunState, str]:
    # The server says "query canceled" both for its own timeout and for a person's wish; the run knows of the wish.
    if not isinstance(error.__cause__, errors.QueryCanceled):
        return RunState.FAILED, str(error)
    run = QueryRun.objects.get(pk=run_id)
    if run.status is not RunState.RUNNING:
        return RunState.CANCELLED, ""
    _note_last_checks(run_id)
    timeout = estate.current().source.statement_timeout
    found = f"{counted(run.organizations, 'organization')} found before that"
    return RunState.CUT_OFF, f"Cut off after {timeout:g} s by the source's statement timeout: {found}. {_INCOMPLETE}"


def _connected(run_id: int, backend_pid: int) -> None:
    if not QueryRun.objects.connect(run_id, backend_pid):
        raise _NotWantedError


def _keep(run_id: int, found: Iterator[AffectedOrganization]) -> bool:
    """Copy what is found into the run's rows, chunk by chunk. False where there was more than a run may keep."""
    kept = tasks = 0
    for chunk in _chunks(found):
        some = chunk[: MOST_ORGANIZATIONS - kept]
        kept += len(some)
        tasks += sum(organization.updated for organization in some)
        with transaction.atomic():
            _copy(run_id, some)
            if not QueryRun.objects.progress(run_id, kept, tasks):
                raise _NotWantedError
        if len(some) < len(chunk):
            return False
    return True


def _chunks(found: Iterable[AffectedOrganization]) -> Iterator[list[AffectedOrganization]]:
    """Lists of at most ROWS_PER_COPY; what came before an error comes before the error."""
    chunk: list[AffectedOrganization] = []
    try:
        for organization in found:
            chunk.append(organization)
            if len(chunk) == ROWS_PER_COPY:
                yield chunk
                chunk = []
    except ConsoleError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def _copy(run_id: int, organizations: list[AffectedOrganization]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for one in organizations:
            copy.write_row(
                (run_id, str(one.key), one.name, one.updated, one.completed, one.first_update, one.last_update)
            )


def _note_last_checks(run_id: int) -> None:
    """What the console knows of each row's latest whole check, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_CHECKS, {"run": run_id, "kind": JobKind.ORGANIZATION.value, "state": JobState.DONE.value})


def cancel_at_source(run_id: int) -> None:
    """Cancel the run's statement at the source's server. Raises UnavailableError. Nothing where none is under way."""
    backend_pid = QueryRun.objects.values_list("backend_pid", flat=True).get(pk=run_id)
    if backend_pid is not None:
        with open_source() as source:
            source.cancel_statement(backend_pid)


class _Pulse(threading.Thread):
    """Says every two seconds that the run is alive, and repeats to the source that it was cancelled."""

    def __init__(self, run_id: int) -> None:
        super().__init__(name=f"query-run-{run_id}-pulse", daemon=True)
        self._run_id = run_id
        self._done = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        try:
            while not self._done.wait(BEAT_SECONDS):
                self._beat()
        finally:
            connections.close_all()

    def _beat(self) -> None:
        try:
            QueryRun.objects.beat(self._run_id)
            if QueryRun.objects.filter(pk=self._run_id, state=RunState.CANCELLING).exists():
                cancel_at_source(self._run_id)
        except (DatabaseError, ConsoleError) as error:
            logger.warning("query run %s: %s", self._run_id, str(error).strip())
            connection.close()
