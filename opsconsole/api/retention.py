"""Answers that are kept for those who ask twice: a key is good for a day."""

from __future__ import annotations

from opsconsole.api.idempotency import KEPT
from opsconsole.api.models import IdempotentCall
from opsconsole.retention import ROWS_PER_STEP, Bounds, Portion, kind


@kind("api_answers", "Answers of the API to calls with an idempotency key, after a day")
def remove_calls(bounds: Bounds, after: int) -> Portion:
    old = IdempotentCall.objects.filter(begun_at__lt=bounds.before - KEPT).order_by("begun_at").values("pk")
    removed = IdempotentCall.objects.filter(pk__in=old[:ROWS_PER_STEP]).delete()[0]
    return Portion({"answers of the API": removed}, after if removed == ROWS_PER_STEP else None)
