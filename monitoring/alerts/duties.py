"""What the clock does for alerts."""

from __future__ import annotations

from django.utils import timezone

from monitoring.alerts.conditions.reconciling import reconcile
from monitoring.alerts.operations import holding, upkeep
from monitoring.alerts.operations.delivery import deliver
from opsconsole.clock.duties import duty

RECONCILE_SECONDS = 5.0
DELIVER_SECONDS = 1.0
HOLD_SECONDS = 5.0
THIN_SECONDS = 600.0


@duty("alerts.reconcile", every=RECONCILE_SECONDS)
def reconcile_alerts() -> int:
    """What is wrong now, against what is open: fires, and resolves."""
    return reconcile(timezone.now())


@duty("alerts.deliver", every=DELIVER_SECONDS, slow=True)
def deliver_notifications() -> int:
    return deliver(timezone.now())


@duty("alerts.let_time_pass", every=HOLD_SECONDS)
def let_time_pass() -> None:
    now = timezone.now()
    holding.release(now)
    upkeep.end_incidents(now)
    upkeep.remind(now)
    upkeep.escalate(now)


@duty("alerts.thin", every=THIN_SECONDS)
def thin() -> int:
    return upkeep.thin(timezone.now())
