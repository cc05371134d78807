"""What is kept of runs and pings, and for how long: a job of every second makes thirty million rows a year."""

from __future__ import annotations

from django.db.models import OuterRef, Subquery

from monitoring.schedules.models import Ping, Run, RunEvent, ScheduledJob
from monitoring.schedules.models.states import ACTIVE_RUNS, RunState
from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind

RUNS_PER_STEP = 500


@kind("runs", "Runs of scheduled jobs, with their logs", "RUNS_KEPT_DAYS")
def remove_runs(bounds: Bounds, after: int) -> Portion:
    """What is under way stays, and the last success of each job: jobs that come after it look for that."""
    columns = ("pk", "created_at", "ended_at", "state")
    found = list(Run.objects.filter(pk__gt=after).order_by("pk").values_list(*columns)[:RUNS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    ended = {row[0] for row in aged if row[3] not in ACTIVE_RUNS and (row[2] or row[1]) < bounds.before}
    free = ended - {*bounds.kept_of("runs")} - _last_successes()
    locked = list(
        Run.objects.filter(pk__in=free)
        .exclude(state__in=ACTIVE_RUNS)
        .select_for_update(skip_locked=True)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    some = RunEvent.objects.filter(run__in=locked).order_by("run", "pk").values("pk")[:ROWS_PER_STEP]
    lines = RunEvent.objects.filter(pk__in=some).delete()[0]
    if lines == ROWS_PER_STEP:
        return Portion({"log lines of runs": lines}, after)
    runs = Run.objects.filter(pk__in=locked).delete()[1].get("schedules.Run", 0)
    return Portion(
        {"log lines of runs": lines, "runs": runs}, found[-1][0] if aged and len(found) == RUNS_PER_STEP else None
    )


def _last_successes() -> set[int]:
    done = Run.objects.filter(scheduled_job=OuterRef("pk"), state=RunState.DONE).order_by("-pk").values("pk")[:1]
    jobs = ScheduledJob.objects.annotate(last_done=Subquery(done)).exclude(last_done=None)
    return set(jobs.values_list("last_done", flat=True))


@kind("pings", "Pings of monitors", "PINGS_KEPT_DAYS")
def remove_pings(bounds: Bounds, after: int) -> Portion:
    """What they said of their monitor is in its state, once they are folded into it."""
    found = list(Ping.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "at", "folded")[:ROWS_PER_STEP])
    aged = [row for row in found if row[1] < bounds.before]
    removed = Ping.objects.filter(pk__in=[number for number, _, folded in aged if folded]).delete()[0]
    return Portion({"pings": removed}, found[-1][0] if aged and len(found) == ROWS_PER_STEP else None)
