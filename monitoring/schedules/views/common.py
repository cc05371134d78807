"""What the pages of scheduled jobs share: rows with what they show."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.db.models import OuterRef, QuerySet, Subquery
from django.shortcuts import get_object_or_404
from django.utils import timezone

from monitoring.schedules.models import SETTLED_BY_PEOPLE, Run, RunState, ScheduledJob
from opsconsole.due import Due, upcoming


def job_or_404(name: str) -> ScheduledJob:
    return get_object_or_404(ScheduledJob, name=name)


def missed_runs() -> QuerySet[Run]:
    """Missed runs that nobody has settled."""
    return Run.objects.filter(state__in=SETTLED_BY_PEOPLE, settled_at__isnull=True).select_related("scheduled_job")


def dead_letters() -> QuerySet[Run]:
    """Runs that were given up, and that nobody has settled."""
    return Run.objects.filter(state=RunState.FAILED, settled_at__isnull=True).select_related("scheduled_job")


def with_last_run(jobs: QuerySet[ScheduledJob]) -> QuerySet[ScheduledJob]:
    """Each with `last_id`, the number of its newest run, which `last_runs` reads."""
    newest = Run.objects.filter(scheduled_job=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    return jobs.annotate(last_id=Subquery(newest))


def next_due_times(job: ScheduledJob) -> list[Due]:
    """The next five, each in the schedule's own zone."""
    if not job.enabled:
        return []
    zone = ZoneInfo(job.zone)
    return [Due(moment, moment.astimezone(zone)) for moment in upcoming(job.schedule, timezone.now())]
