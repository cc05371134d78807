"""The breakdown by status: what is asked, what is found, and the rows that say it. For every door."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from monitoring.records.ages import Ages, parse_age
from monitoring.records.forms import WindowForm
from monitoring.records.history import NOTHING_KNOWN, Past, past_of
from monitoring.records.looks import Look
from monitoring.records.models import Snapshot
from monitoring.records.operations.snapshots import stuck_now
from monitoring.records.problems import Problem, problem_of
from monitoring.records.query import Breakdown, RecordTable
from monitoring.records.report import Compared, Row, rows_of
from monitoring.records.standing import Standing
from opsconsole import scope
from opsconsole.errors import ConsoleError


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for. `own`: the window is the one that snapshots are taken of."""

    ages: Ages
    everything: bool
    reach: timedelta
    own: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to show: counts or the reason why there are none, and the past."""

    breakdown: Breakdown | None
    problem: Problem | None
    past: Past
    latest: Snapshot | None


def asked_of(form: WindowForm, standing: Standing) -> Asked:
    """What a valid form asks for."""
    wanted = form.cleaned_data
    reach = timedelta(seconds=parse_age(wanted["trend"], "Charts of"))
    return Asked(wanted["ages"], wanted["hidden"], reach, own=wanted["ages"] == standing.ages)


def find(standing: Standing, asked: Asked, now: datetime) -> Found:
    """One query to the source, three or four to the console's own database. For whoever sees some organizations only,
    whom snapshots do not count apart, what is stuck is asked of the source, too."""
    source = standing.source
    latest = Snapshot.objects.filter(source=source.name).order_by("-taken_at").first()
    past = past_of(source.name, asked.ages, now, asked.reach) if asked.own else NOTHING_KNOWN
    try:
        with RecordTable(source) as table:
            hidden = () if asked.everything else source.hidden
            latest = stuck_now(table, standing, now) if scope.current().organizations is not None else latest
            return Found(table.breakdown(asked.ages.window(now), hidden), None, past, latest)
    except ConsoleError as error:
        return Found(None, problem_of(error, source), past, latest)


def status_rows(standing: Standing, asked: Asked, found: Found, look: Look | None, now: datetime) -> list[Row]:
    """A row for each status; `look` is an earlier one to compare with. No query."""
    stuck = found.latest.stuck if found.latest else None
    counts = found.breakdown.counts if found.breakdown else ()
    return rows_of(standing, counts, Compared(look, found.past, stuck, asked.everything), now)
