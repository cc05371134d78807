"""What is wrong with the main job: organizations whose jobs looped, and batches with jobs that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.urls import reverse

from monitoring.alerts.conditions.condition import Condition, Gone, Watched
from sync.engine.values import Json
from sync.models import Batch, BatchState, Job, JobKind, JobState, SkippedOrganization, SkipReason
from sync.models.states import PROBLEM_STATES

MOST = 500
RECENT = timedelta(days=7)
"""What nobody has acted on for so long is told no more."""

NEWEST_BATCHES = 1_000
ORGANIZATION, JOB, BATCH = "organization:", "job:", "batch:"


def looping(now: datetime) -> Sequence[Condition]:
    """Two queries. An organization is on the skip list for it; a list of tasks has none, and is known by its job."""
    skipped = SkippedOrganization.objects.open().filter(reason=SkipReason.LOOPED).order_by("-pk")[:MOST]
    lists = _looping_lists(now).order_by("-pk")[:MOST]
    return [*map(_organization, skipped), *map(_list, lists)]


def _looping_lists(now: datetime) -> QuerySet[Job]:
    return Job.objects.filter(state=JobState.LOOPING, kind=JobKind.TASKS, ended_at__gte=now - RECENT)


def _organization(skipped: SkippedOrganization) -> Condition:
    name = skipped.name or skipped.organization_id
    link = reverse("sync:job", args=[skipped.job_id]) if skipped.job_id else reverse("sync:skipped")
    seen: dict[str, Json] = {"organization": skipped.organization_id, "job": skipped.job_id, "error": skipped.note}
    return Condition(f"{ORGANIZATION}{skipped.organization_id}", f"The job of {name} loops", link, seen)


def _list(job: Job) -> Condition:
    seen: dict[str, Json] = {"job": job.pk, "tasks": len(job.task_ids), "error": job.error}
    return Condition(f"{JOB}{job.pk}", f"Job {job.pk} loops", reverse("sync:job", args=[job.pk]), seen)


def loops_no_more(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    """A later job that synced it is a recovery; what people took off the list, or old age, is none."""
    organizations = [subject.removeprefix(ORGANIZATION) for subject in subjects if subject.startswith(ORGANIZATION)]
    entries = SkippedOrganization.objects.filter(organization_id__in=organizations)
    still = set(entries.open().filter(reason=SkipReason.LOOPED).values_list("organization_id", flat=True))
    synced = dict(
        entries.filter(resolved_by_job__isnull=False).values_list("organization_id").annotate(Max("resolved_by_job"))
    )
    found = {}
    for one in organizations:
        if one not in still:
            off = Gone("It is off the skip list.", silently=True)
            found[f"{ORGANIZATION}{one}"] = Gone(f"Job {synced[one]} has synced it.") if one in synced else off
    numbers = [int(subject.removeprefix(JOB)) for subject in subjects if subject.startswith(JOB)]
    open_lists = set(_looping_lists(now).filter(pk__in=numbers).values_list("pk", flat=True))
    for number in set(numbers) - open_lists:
        found[f"{JOB}{number}"] = Gone("It was retried or deleted, or nobody acted on it.", silently=True)
    return found


def failed_batches(now: datetime) -> Sequence[Condition]:
    """Of the newest thousand: those that are done, or were paused, with jobs that failed. Two queries."""
    return [_batch(batch) for batch in _with_failures(now).order_by("-pk")[:MOST]]


def _with_failures(now: datetime) -> QuerySet[Batch]:
    newest = Batch.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    bad = Job.objects.filter(batch=OuterRef("pk"), state__in=PROBLEM_STATES)
    ended = Q(state=BatchState.DONE, ended_at__gte=now - RECENT) | Q(state=BatchState.PAUSED)
    counted = Count("jobs", filter=Q(jobs__state__in=PROBLEM_STATES))
    return Batch.objects.filter(ended, Exists(bad), pk__gt=newest - NEWEST_BATCHES).annotate(bad=counted)


def _batch(batch: Batch) -> Condition:
    bad: int = getattr(batch, "bad", 0)
    name = batch.name or f"Batch {batch.pk}"
    what = "is paused with" if batch.state == BatchState.PAUSED else "ended with"
    title = f"{name} {what} {bad:,} job{'s' if bad > 1 else ''} that failed"
    seen: dict[str, Json] = {"batch": batch.pk, "jobs": batch.size, "paused_because": batch.pause_reason}
    return Condition(f"{BATCH}{batch.pk}", title, reverse("sync:batch", args=[batch.pk]), seen)


def batches_recovered(subjects: Sequence[str], now: datetime) -> Mapping[str, Gone]:
    numbers = [int(subject.removeprefix(BATCH)) for subject in subjects]
    still = set(_with_failures(now).filter(pk__in=numbers).values_list("pk", flat=True))
    batches = Batch.objects.in_bulk(numbers)
    bad = set(
        Job.objects.filter(batch__in=numbers, state__in=PROBLEM_STATES)
        .order_by()
        .values_list("batch", flat=True)
        .distinct()
    )
    return {f"{BATCH}{number}": _why(batches.get(number), number in bad) for number in numbers if number not in still}


def _why(batch: Batch | None, bad: bool) -> Gone:
    if batch is None:
        return Gone("The batch is gone.", silently=True)
    if batch.state == BatchState.DONE and not bad:
        return Gone("None of its jobs is failed any more.")
    return Gone("It goes on, was cancelled, or nobody acted on it.", silently=True)


WATCHED = (
    Watched("job_looping", looping, loops_no_more),
    Watched("batch_failed", failed_batches, batches_recovered),
)
