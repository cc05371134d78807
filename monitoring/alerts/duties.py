"""What the clock does for alerts."""

from __future__ import annotations

from django.db import connection
from django.utils import timezone

from monitoring.alerts.conditions.reconciling import reconcile
from monitoring.alerts.operations import upkeep
from monitoring.alerts.operations.delivery import deliver
from opsconsole.clock.duties import duty

RECONCILE_SECONDS = 3.0
DELIVER_SECONDS = 1.0
HOLD_SECONDS = 5.0
SOMETHING_WAITS = """
SELECT EXISTS (SELECT FROM alerts_notification WHERE state = 'queued' AND due_at <= %(now)s)
    OR EXISTS (SELECT FROM alerts_notification WHERE state = 'sending' AND lease_until <= %(now)s)
"""


@duty("alerts.reconcile", every=RECONCILE_SECONDS)
def reconcile_alerts() -> int:
    """What is wrong now, against what is open: fires, and resolves."""
    return reconcile(timezone.now())


def something_waits() -> bool:
    """Whether a message is due, or was claimed by a sender that is gone. Asked every second."""
    with connection.cursor() as cursor:
        cursor.execute(SOMETHING_WAITS, {"now": timezone.now()})
        return bool(cursor.fetchone()[0])


@duty("alerts.deliver", every=DELIVER_SECONDS, slow=True, wanted=something_waits)
def deliver_notifications() -> int:
    return deliver(timezone.now())


@duty("alerts.let_time_pass", every=HOLD_SECONDS)
def let_time_pass() -> None:
    upkeep.let_time_pass(timezone.now())
