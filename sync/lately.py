"""Which batches ran in the last hours and how they ended, and which jobs failed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.urls import reverse

from opsconsole.access import Scoping
from opsconsole.lately import MOST_LOOKED_AT, MOST_MENTIONED, Account, Mention, tells
from opsconsole.tones import Tone
from opsconsole.words import counted
from sync.access import VIEW
from sync.batch_sums import BatchSummary, summaries
from sync.models import Batch, Job
from sync.models.states import PROBLEM_STATES

BATCHES_LOOKED_AT = 200
ORDER = 30
ERROR_LENGTH = 160


@tells("Batches", VIEW, order=ORDER, scoping=Scoping.NARROWED)
def batches(since: datetime, until: datetime) -> Account:
    """Two queries: the newest two hundred batches, and the sums of those that have not ended."""
    newest = Batch.objects.order_by("-pk")[:BATCHES_LOOKED_AT]
    at_work = [one for one in newest if one.created_at < until and (one.ended_at is None or one.ended_at >= since)]
    if not at_work:
        return Account(Tone.FINE, "No batch was at work.", reverse("sync:batches"))
    stand = summaries(at_work)
    worst_first = sorted(at_work, key=lambda batch: (not _is_bad(stand[batch.pk]), batch.status.terminal, -batch.pk))
    ended = sum(batch.status.terminal for batch in at_work)
    going_on = f"; not ended yet: {len(at_work) - ended:,}" if ended < len(at_work) else ""
    failed = sum(one.problems for one in stand.values())
    unresolved = sum(one.unresolved for one in stand.values())
    return Account(
        _tone(at_work, stand),
        f"{counted(ended, 'batch', 'batches')} ended{going_on}. Jobs of them that failed or looped: {failed:,}; "
        f"published tasks that did not reach the index in time: {unresolved:,}.",
        reverse("sync:batches"),
        [_of_batch(batch, stand[batch.pk]) for batch in worst_first[:MOST_MENTIONED]],
    )


def _is_bad(stands: BatchSummary) -> bool:
    return bool(stands.problems or stands.unresolved)


def _tone(at_work: list[Batch], stand: Mapping[int, BatchSummary]) -> Tone:
    if any(map(_is_bad, stand.values())):
        return Tone.PROBLEM
    return Tone.WAITING if any(batch.status.tone is Tone.WAITING for batch in at_work) else Tone.FINE


def _of_batch(batch: Batch, stands: BatchSummary) -> Mention:
    name = f" ({batch.name})" if batch.name else ""
    figures = [
        (stands.problems, "failed or looped"),
        (stands.drift, "out of sync"),
        (stands.published, "published"),
        (stands.unresolved, "unresolved"),
    ]
    said = "".join(f", {count:,} {what}" for count, what in figures if count)
    text = (
        f"Batch {batch.pk}{name}: {batch.status.label.lower()}, mode {batch.mode}, "
        f"{counted(batch.size, 'organization')}, by {batch.created_by}{said}"
    )
    tone = Tone.PROBLEM if _is_bad(stands) else batch.status.tone
    return Mention(text, reverse("sync:batch", args=[batch.pk]), tone, batch.ended_at or batch.created_at)


@tells("Jobs", VIEW, order=ORDER + 10, scoping=Scoping.NARROWED)
def jobs(since: datetime, until: datetime) -> Account:
    """Those that were given up. One query, over the newest thousand of them."""
    newest = Job.objects.filter(state__in=PROBLEM_STATES).defer("task_ids").order_by("-pk")[:MOST_LOOKED_AT]
    given_up = [job for job in newest if job.ended_at and since <= job.ended_at < until]
    return Account(
        Tone.PROBLEM if given_up else Tone.FINE,
        f"{counted(len(given_up), 'job')} failed or looped." if given_up else "No job failed or looped.",
        f"{reverse('sync:jobs')}?state=dead" if given_up else reverse("sync:jobs"),
        [_of_job(job) for job in given_up[:MOST_MENTIONED]],
    )


def _of_job(job: Job) -> Mention:
    whose = job.organization_name or job.subject
    text = f"Job {job.pk}, {whose}: {job.status.label.lower()}, {job.error[:ERROR_LENGTH]}"
    return Mention(text, reverse("sync:job", args=[job.pk]), job.status.tone, job.ended_at)
