"""What is wrong with scheduled jobs and monitors, as the clock has noticed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse

from monitoring.alerts.conditions.condition import Condition, Gone, Watched
from monitoring.alerts.incidents import scope_size
from monitoring.alerts.models import Alert
from monitoring.schedules.models import Monitor, Run, RunState, ScheduledJob
from monitoring.schedules.pings import Stored, Trouble
from opsconsole.words import utc
from sync.engine.values import Json

JOB, MONITOR = "job:", "monitor:"
UNSETTLED = Q(settled_at__isnull=True)

WRONG = {
    "missed_start": UNSETTLED & (Q(trouble=Trouble.MISSING_START.value) | Q(state=RunState.MISSED)),
    "missed_end": UNSETTLED & Q(trouble=Trouble.MISSING_END.value),
    "run_too_long": UNSETTLED & Q(trouble=Trouble.TOO_LONG.value),
    "run_failed": UNSETTLED & Q(state=RunState.FAILED) & ~Q(trouble=Trouble.TOO_LONG.value),
}
"""Runs that are wrong, by alert type. Each part of a condition has an index of its own."""

SAYS = {
    "missed_start": "has not run",
    "missed_end": "has not ended within its time limit",
    "run_too_long": "took longer than its time limit",
    "run_failed": "failed",
}
TROUBLE_SAYS = {
    Trouble.MISSING_START.value: "was expected and did not ping",
    Trouble.MISSING_END.value: "began a run that has not ended",
    Trouble.TOO_LONG.value: "took longer than its time limit",
    Trouble.FAILED.value: "says that it failed",
}


def runs_wrong(kind: str, now: datetime) -> QuerySet[Run]:
    """Runs of enabled jobs that are wrong in this way, where none was done since."""
    later = Run.objects.filter(scheduled_job=OuterRef("scheduled_job"), pk__gt=OuterRef("pk"), state=RunState.DONE)
    wrong = Run.objects.filter(WRONG[kind], ~Exists(later), scheduled_job__enabled=True)
    subject = Concat(Value(JOB), "scheduled_job__name", output_field=TextField())
    return wrong.select_related("scheduled_job").annotate(about=subject).order_by("-pk")


def _run(kind: str, run: Run) -> Condition:
    job = run.scheduled_job
    seen: dict[str, Json] = {
        "run": run.pk,
        "due": f"{utc(run.due_at)} UTC",
        "due_times": run.count if run.count > 1 else "",
        "error": run.error,
        "why": run.cause,
    }
    link = reverse("schedules:run", args=[run.pk])
    title = f"{job.name} {SAYS[kind]}"
    return Condition(f"{JOB}{job.name}", title, link, seen, owner=job.owner, channels=job.channels)


def runs_right(kind: str, subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """Three queries. What people switched off or settled is no recovery, nor is another trouble of the same run."""
    names = [subject.removeprefix(JOB) for subject in subjects]
    enabled = set(ScheduledJob.objects.filter(name__in=names, enabled=True).values_list("name", flat=True))
    seen = dict(Alert.objects.open().filter(kind=kind, subject__in=subjects).values_list("subject", "seen"))
    later = Run.objects.filter(scheduled_job=OuterRef("scheduled_job"), pk__gt=OuterRef("pk"), state=RunState.DONE)
    numbers = [number for one in seen.values() if isinstance(number := one.get("run"), int)]
    runs = Run.objects.annotate(done_since=Exists(later)).in_bulk(numbers)
    return {
        subject: _why(runs.get(seen.get(subject, {}).get("run")), name in enabled)
        for subject, name in zip(subjects, names, strict=True)
    }


def _why(run: Run | None, enabled: bool) -> Gone:
    if not enabled:
        return Gone("The job was disabled, or is gone.", silently=True)
    if run is None:
        return Gone("The run is gone.", silently=True)
    if run.settled_at is not None:
        return Gone(f"{run.settled_by}: {run.settled_reason}", silently=True)
    if run.state == RunState.RUNNING:
        return Gone(f"Run {run.pk} has begun.")
    if run.state == RunState.DONE:
        return Gone(f"Run {run.pk} is done.")
    if getattr(run, "done_since", False):
        return Gone("A later run is done.")
    return Gone(f"Run {run.pk} goes on otherwise: {run.status.label.lower()}.", silently=True)


def monitors_down(now: datetime) -> QuerySet[Monitor]:
    down = Monitor.objects.filter(stored=Stored.DOWN.value).order_by("-trouble_since", "-pk")
    return down.annotate(about=Concat(Value(MONITOR), Cast("pk", TextField()), output_field=TextField()))


def _monitor(monitor: Monitor) -> Condition:
    seen = {
        "last_ping": f"{utc(monitor.last_ping)} UTC" if monitor.last_ping else "never",
        "down_since": f"{utc(monitor.trouble_since)} UTC" if monitor.trouble_since else "",
        "expected": monitor.schedule.words,
    }
    title = f"{monitor.name} {TROUBLE_SAYS.get(monitor.trouble, 'is down')}"
    link = reverse("schedules:monitor", args=[monitor.pk])
    return Condition(f"{MONITOR}{monitor.pk}", title, link, seen, owner=monitor.owner, channels=monitor.channels)


def monitors_up(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """One query. New and paused come from people, and are no recovery."""
    monitors = Monitor.objects.in_bulk([int(subject.removeprefix(MONITOR)) for subject in subjects])
    found = {}
    for subject in subjects:
        monitor = monitors.get(int(subject.removeprefix(MONITOR)))
        if monitor is None:
            found[subject] = Gone("The monitor is gone.", silently=True)
        elif monitor.stored == Stored.UP.value:
            found[subject] = Gone(f"It pinged at {utc(monitor.last_ping)} UTC." if monitor.last_ping else "It is up.")
        elif monitor.stored != Stored.DOWN.value:
            found[subject] = Gone("The monitor was paused or resumed.", silently=True)
    return found


@scope_size(*WRONG)
def jobs_there_are(scope: str) -> int:
    return ScheduledJob.objects.filter(enabled=True).count()


@scope_size("monitor_down")
def monitors_there_are(scope: str) -> int:
    return Monitor.objects.exclude(stored=Stored.PAUSED.value).count()


WATCHED = (
    *(Watched(kind, JOB, partial(runs_wrong, kind), partial(_run, kind), partial(runs_right, kind)) for kind in WRONG),
    Watched("monitor_down", MONITOR, monitors_down, _monitor, monitors_up),
)
