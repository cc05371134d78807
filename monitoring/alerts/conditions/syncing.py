"""What is wrong with the main job: organizations whose jobs looped, and batches with jobs that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Subquery, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.urls import reverse

from monitoring.alerts.conditions.condition import Condition, Gone, Watched
from opsconsole.words import counted
from sync.engine.values import Json
from sync.models import Batch, BatchState, Job, JobKind, JobState, SkippedOrganization, SkipReason
from sync.models.states import PROBLEM_STATES

RECENT = timedelta(days=7)
"""What nobody has acted on for so long is told no more."""

NEWEST_BATCHES = 1_000
ORGANIZATION, JOB, BATCH = "organization:", "job:", "batch:"


def looping_organizations(now: datetime) -> QuerySet[SkippedOrganization]:
    """An organization is on the skip list for it."""
    skipped = SkippedOrganization.objects.open().filter(reason=SkipReason.LOOPED).order_by("-pk")
    return skipped.annotate(about=Concat(Value(ORGANIZATION), "organization_id", output_field=TextField()))


def looping_lists(now: datetime) -> QuerySet[Job]:
    """A list of tasks is on no list, and is known by its job."""
    looping = Job.objects.filter(state=JobState.LOOPING, kind=JobKind.TASKS, ended_at__gte=now - RECENT)
    return looping.annotate(about=numbered(JOB)).order_by("-pk")


def _organization(skipped: SkippedOrganization) -> Condition:
    name = skipped.name or skipped.organization_id
    link = reverse("sync:job", args=[skipped.job_id]) if skipped.job_id else reverse("sync:skipped")
    seen: dict[str, Json] = {"organization": skipped.organization_id, "job": skipped.job_id, "error": skipped.note}
    return Condition(f"{ORGANIZATION}{skipped.organization_id}", f"The job of {name} loops", link, seen)


def _list(job: Job) -> Condition:
    seen: dict[str, Json] = {"job": job.pk, "tasks": len(job.task_ids), "error": job.error}
    return Condition(f"{JOB}{job.pk}", f"Job {job.pk} loops", reverse("sync:job", args=[job.pk]), seen)


def organizations_loop_no_more(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """A later job that synced it is a recovery; what people took off the list is none. One query."""
    organizations = [subject.removeprefix(ORGANIZATION) for subject in subjects]
    entries = SkippedOrganization.objects.filter(organization_id__in=organizations, resolved_by_job__isnull=False)
    synced = dict(entries.values_list("organization_id").annotate(Max("resolved_by_job")))
    off = Gone("It is off the skip list.", silently=True)
    return {
        f"{ORGANIZATION}{one}": Gone(f"Job {synced[one]} has synced it.") if one in synced else off
        for one in organizations
    }


def lists_loop_no_more(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    return dict.fromkeys(subjects, Gone("It was retried or deleted, or nobody acted on it.", silently=True))


def failed_batches(now: datetime) -> QuerySet[Batch]:
    """Of the newest thousand: those that are done, or were paused, with jobs that failed."""
    newest = Batch.objects.order_by("-pk").values("pk")[NEWEST_BATCHES : NEWEST_BATCHES + 1]
    bad = Job.objects.filter(batch=OuterRef("pk"), state__in=PROBLEM_STATES)
    ended = Q(state=BatchState.DONE, ended_at__gte=now - RECENT) | Q(state=BatchState.PAUSED)
    recent = Batch.objects.filter(ended, Exists(bad), pk__gt=Coalesce(Subquery(newest), 0))
    return recent.annotate(about=numbered(BATCH)).order_by("-pk")


def numbered(prefix: str) -> Concat:
    """The subject of a row that is known by its number."""
    return Concat(Value(prefix), Cast("pk", TextField()), output_field=TextField())


def _batch(batch: Batch) -> Condition:
    """One query."""
    bad = Job.objects.filter(batch=batch, state__in=PROBLEM_STATES).count()
    name = batch.name or f"Batch {batch.pk}"
    what = "is paused with" if batch.state == BatchState.PAUSED else "ended with"
    title = f"{name} {what} {counted(bad, 'job')} that failed"
    seen: dict[str, Json] = {"batch": batch.pk, "jobs": batch.size, "paused_because": batch.pause_reason}
    return Condition(f"{BATCH}{batch.pk}", title, reverse("sync:batch", args=[batch.pk]), seen)


def batches_recovered(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    numbers = [int(subject.removeprefix(BATCH)) for subject in subjects]
    batches = Batch.objects.in_bulk(numbers)
    bad = set(
        Job.objects.filter(batch__in=numbers, state__in=PROBLEM_STATES)
        .order_by()
        .values_list("batch", flat=True)
        .distinct()
    )
    return {f"{BATCH}{number}": _why(batches.get(number), number in bad) for number in numbers}


def _why(batch: Batch | None, bad: bool) -> Gone:
    if batch is None:
        return Gone("The batch is gone.", silently=True)
    if batch.state == BatchState.DONE and not bad:
        return Gone("None of its jobs is failed any more.")
    return Gone("It goes on, was cancelled, or nobody acted on it.", silently=True)


WATCHED = (
    Watched("job_looping", ORGANIZATION, looping_organizations, _organization, organizations_loop_no_more),
    Watched("job_looping", JOB, looping_lists, _list, lists_loop_no_more),
    Watched("batch_failed", BATCH, failed_batches, _batch, batches_recovered),
)
