"""How much work a selection of organizations is: tasks to scan, and the time that should take, as a range."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

from django.db.models import F
from django.db.models.expressions import RawSQL

from opsconsole import estate
from opsconsole.errors import UnavailableError
from opsconsole.keys import Key, restore_key
from sync.models import AffectedRow, Job, JobKind, JobState, QueryRun
from sync.source import Source

RECENT_JOBS = 50
FEWEST_JOBS = 3
"""Fewer rates than this are an anecdote."""

MOST_COUNTED = 2_000
ORGANIZATIONS_PER_COUNT = 100
COUNTING_SECONDS = 10.0
"""A page waits for it; what is not counted by then is scaled from what is."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`tasks` to scan (None: unknown), exact or `about`; `low` to `high` seconds of a worker, None with a `reason`."""

    organizations: int
    tasks: int | None
    about: bool
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """Tasks of the `organizations` that were counted."""

    organizations: int
    tasks: int


def estimate(wanted: int, counted: Counted, rates: Sequence[float]) -> Estimate:
    """The work on `wanted` organizations, of which some were counted. `rates` are tasks per second of recent jobs.

    Pure. The range goes by the middle half of the rates: a quarter were faster, a quarter slower.
    """
    about = counted.organizations < wanted
    if wanted and not counted.organizations:
        return Estimate(wanted, None, about, reason="the source did not count the tasks in time")
    tasks = round(counted.tasks * wanted / counted.organizations) if about else counted.tasks
    usable = [rate for rate in rates if rate > 0]
    if len(usable) < FEWEST_JOBS:
        return Estimate(wanted, tasks, about, reason=f"fewer than {FEWEST_JOBS} checks have ended, so no rate is known")
    slow, _, fast = quantiles(usable, n=4, method="inclusive")
    return Estimate(wanted, tasks, about, low=tasks / fast, high=tasks / slow)


def recent_rates() -> list[float]:
    """Tasks scanned per second by the latest checks of organizations that are done. One query."""
    done = Job.objects.filter(
        kind=JobKind.ORGANIZATION, state=JobState.DONE, scanned__gt=0, ended_at__gt=F("started_at")
    )
    latest = done.order_by("-pk").values_list("scanned", "started_at", "ended_at")[:RECENT_JOBS]
    return [scanned / (ended - started).total_seconds() for scanned, started, ended in latest if started and ended]


def estimate_run(run: QueryRun) -> Estimate:
    """The work on all that `run` found. Two queries, and bounded ones to the source. Raises UnavailableError."""
    # By hash: whoever came first by id is older, and so is larger, than the rest where ids are integers.
    rows = AffectedRow.objects.filter(run=run).order_by(RawSQL("md5(organization_id)", ()), "organization_id")
    return estimate_organizations(rows.values_list("organization_id", flat=True)[:MOST_COUNTED], run.organizations)


def estimate_organizations(organization_ids: Iterable[str], wanted: int) -> Estimate:
    """The work on `wanted` organizations, counted on the given ones (at most 2,000 of them, in any order), then scaled.

    Statements of 100 organizations under the source's timeout, for ten seconds at most in all. Raises UnavailableError
    where the source is away.
    """
    kind = estate.current().source.organizations.id_type
    keys = [restore_key(kind, text) for text in organization_ids][:MOST_COUNTED]
    with Source(estate.current().source) as source:
        source.database.connection()
        counted = count_within(keys, source.task_counts, COUNTING_SECONDS)
    return estimate(wanted, counted, recent_rates())


def count_within(keys: Sequence[Key], count: Callable[[Sequence[Key]], dict[Key, int]], seconds: float) -> Counted:
    """What could be counted before the time was over, or a statement timed out."""
    organizations = tasks = 0
    end = time.monotonic() + seconds
    for some in _pieces(keys):
        try:
            tasks += sum(count(some).values())
        except UnavailableError:
            break
        organizations += len(some)
        if time.monotonic() > end:
            break
    return Counted(organizations, tasks)


def _pieces(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), ORGANIZATIONS_PER_COUNT):
        yield keys[start : start + ORGANIZATIONS_PER_COUNT]
