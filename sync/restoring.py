"""Jobs after a restore: what ran then goes on from its checkpoint, and nobody else can write to it any more.

Publishing twice does no harm: a message is the source's present state, with its version.
"""

from __future__ import annotations

from datetime import datetime

from opsconsole.restoring import FENCES, Lost, on_restore
from opsconsole.words import number
from sync.ending import hibernate, leave_range
from sync.models import AttemptOutcome, Batch, BatchState, Job, JobRange
from sync.models.states import HELD_STATES

BATCHES_NAMED = 20


@on_restore
def settle_jobs(lost: Lost, now: datetime) -> list[str]:
    """Attempts of the backup are closed at no cost of a retry, and every claim of before is outdated."""
    reason = f"The console's database was restored; nothing is known of {lost}. It goes on from this checkpoint."
    for part in JobRange.objects.running().select_related("job").order_by("pk"):
        leave_range(part, AttemptOutcome.HIBERNATED, error=reason)
    held = list(Job.objects.filter(state__in=HELD_STATES).order_by("pk"))
    for job in held:
        hibernate(job, reason, None)
    JobRange.objects.unfinished().outdate(FENCES)
    active = Job.objects.active().outdate(FENCES)
    going_on = (
        Batch.objects.filter(state__in=[one for one in BatchState if not one.terminal])
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    return [
        f"Jobs that were running: {number(len(held))}; each goes on from its checkpoint.",
        f"Jobs to be done: {number(active)}; one that was done since is done once more, which does no harm.",
        *_of_batches([str(one) for one in going_on[: BATCHES_NAMED + 1]]),
    ]


def _of_batches(numbers: list[str]) -> list[str]:
    if not numbers:
        return []
    more = " and more" if len(numbers) > BATCHES_NAMED else ""
    return [f"Batches that go on: {', '.join(numbers[:BATCHES_NAMED])}{more}. What was cancelled since, cancel again."]
