"""Disablings after a restore: none is carried out until somebody has looked. Owners may have answered meanwhile."""

from __future__ import annotations

from datetime import datetime

from monitoring.abandonment.models import UNDER_WAY, Disabling
from opsconsole.restoring import Lost, on_restore
from opsconsole.words import number


@on_restore
def hold_disablings(lost: Lost, now: datetime) -> list[str]:
    waiting = Disabling.objects.filter(state__in=UNDER_WAY).count()
    return [f"Tracked tasks being disabled or enabled again: {number(waiting)}. All of that waits until --release."]
