"""Changing a batch's throttle while it runs."""

from __future__ import annotations

from django.db import transaction

from opsconsole import audit
from sync.models import Batch, BatchState
from sync.operations.batches.control import LIVE_STATES
from sync.operations.batches.options import BatchOptionsError, throttle_problems
from sync.operations.batches.pacing import locked_batch


def throttle(
    batch: Batch, messages_per_second: int | None, lag_limit: int | None, actor: audit.Actor, reason: str
) -> None:
    """Give the batch these limits for what it publishes; None: none of its own, only the estate's.

    Attempts under way go by them within a few seconds. Raises BatchOptionsError where one is out of range, UsageError
    where the batch is not under way.
    """
    problems = {name: text for name, text in throttle_problems(messages_per_second, lag_limit).items() if text}
    if problems:
        raise BatchOptionsError(problems)
    with transaction.atomic():
        locked = locked_batch(batch, *LIVE_STATES, BatchState.CANCELLING, to="throttled")
        Batch.objects.filter(pk=batch.pk).update(messages_per_second=messages_per_second, lag_limit=lag_limit)
        audit.record(
            actor,
            "batch.throttled",
            f"batch:{batch.pk}",
            reason=reason,
            trace_id=batch.trace_id,
            messages_per_second=messages_per_second,
            lag_limit=lag_limit,
            messages_per_second_before=locked.messages_per_second,
            lag_limit_before=locked.lag_limit,
        )
