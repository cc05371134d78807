"""Runs of a query for affected organizations: start one, cancel it, and what the clock does about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.errors import UsageError
from sync.models import AffectedRow, QueryRun, SavedQuery
from sync.operations.affected import AffectedQuery
from sync.querythread import MOST_AT_ONCE, cancel_at_source, slots, start_thread

SILENT_SECONDS = 20.0
"""Ten heartbeats: no pause of a living process is that long."""

ROWS_KEPT = timedelta(days=7)
ROWS_PER_STATEMENT = 10_000
LOST = "The web process that ran it ended before the query did. Run it again."


def start_run(
    query: AffectedQuery, parameters: Mapping[str, Sequence[str]], actor: audit.Actor, saved: SavedQuery | None = None
) -> QueryRun:
    """Start `query` in a thread of this process. `parameters` are those of the address, kept to run it again.

    Commits; must not be called inside a transaction. Raises UsageError where this process has enough to do.
    """
    if not slots.acquire(blocking=False):
        raise UsageError(f"{MOST_AT_ONCE} queries are running already; wait for one to end, or cancel one.")
    try:
        run = _create(query, parameters, actor, saved)
        start_thread(run.pk, query)
    except BaseException:
        slots.release()
        raise
    return run


def _create(
    query: AffectedQuery, parameters: Mapping[str, Sequence[str]], actor: audit.Actor, saved: SavedQuery | None
) -> QueryRun:
    # Durable: the thread reads the row on a connection of its own, so it must have been committed.
    with transaction.atomic(durable=True):
        run = QueryRun.objects.create(
            saved_query=saved,
            parameters={name: list(values) for name, values in parameters.items()},
            window_from=query.window.start,
            window_to=query.window.end,
            started_by=actor.name,
            within=None if query.within is None else sorted(query.within),
        )
        audit.record(actor, "query.started", f"query_run:{run.pk}", window=str(query.window))
    return run


def cancel_run(run: QueryRun, actor: audit.Actor) -> None:
    """Ask the run to end, and cancel its statement at the source. The run's own thread then ends it.

    Raises UsageError where the run has ended already, UnavailableError where the source cannot be told; the run ends
    all the same, with its next rows or by its own thread's trying again.
    """
    with transaction.atomic():
        if not QueryRun.objects.ask_to_cancel(run.pk):
            run.refresh_from_db(fields=["state"])
            raise UsageError(f"The query is not running any more: it is {run.status.label.lower()}.")
        audit.record(actor, "query.cancelled", f"query_run:{run.pk}")
    cancel_at_source(run.pk)


def fail_lost_runs() -> int:
    """End the runs whose thread is gone. Returns how many. A duty of the clock."""
    return QueryRun.objects.end_silent(SILENT_SECONDS, LOST)


def drop_old_rows() -> int:
    """Clear away the rows of one run that ended long ago; the run itself stays. Returns how many rows went.

    A duty of the clock: one run at a time, in bounded statements, so that it holds nothing up.
    """
    old = QueryRun.objects.filter(ended_at__lt=Now() - ROWS_KEPT, rows_dropped_at=None)
    run = old.order_by("pk").first()
    if run is None:
        return 0
    dropped = 0
    while deleted := _drop_some(run):
        dropped += deleted
    QueryRun.objects.filter(pk=run.pk).update(rows_dropped_at=Now())
    return dropped


def _drop_some(run: QueryRun) -> int:
    some = AffectedRow.objects.filter(run=run).order_by("organization_id").values("pk")[:ROWS_PER_STATEMENT]
    return AffectedRow.objects.filter(pk__in=some).delete()[0]


def ended_with_rows(run: QueryRun) -> None:
    """Raises UsageError where the run's rows cannot be worked with: it is still running, or they are gone."""
    if not run.status.terminal:
        raise UsageError("The query is still running; what it has found so far is not the whole.")
    if run.rows_dropped_at is not None:
        raise UsageError("The rows of this run have been cleared away after 7 days; run the query again.")
