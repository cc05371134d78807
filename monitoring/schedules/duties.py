"""What the clock does for scheduled jobs."""

from __future__ import annotations

from django.utils import timezone

from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.looking import look
from monitoring.schedules.operations.reconciling import reconcile
from monitoring.schedules.operations.taking_over import EstateFollower
from opsconsole.clock.duties import duty

TAKE_OVER_SECONDS = 5.0
FIRE_SECONDS = 0.5
RECONCILE_SECONDS = 3.0
LOOK_SECONDS = 1.0

follower = EstateFollower()


@duty("schedules.take_over_estate", every=TAKE_OVER_SECONDS)
def take_over_estate() -> None:
    """Before the first firing: what is due goes by the definitions of the file as it is now."""
    follower.look(timezone.now())


@duty("schedules.fire", every=FIRE_SECONDS)
def fire() -> None:
    fire_due(timezone.now())


@duty("schedules.look", every=LOOK_SECONDS)
def look_at_runs_and_monitors() -> None:
    """Before reconciling: what a worker's silence means depends on whether this console was there to hear it."""
    look(timezone.now())


duty("schedules.reconcile", every=RECONCILE_SECONDS)(reconcile)
