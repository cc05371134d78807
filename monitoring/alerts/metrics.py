"""What `/metrics` tells of alerts and of what is to be sent about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from monitoring.alerts.models import Alert, Notification, NotificationState
from monitoring.alerts.types import Severity
from opsconsole.metrics import CAP, age, counted, gauge, gauges, metrics_of

TOLD = (NotificationState.QUEUED, NotificationState.SENDING, NotificationState.DEAD)


@metrics_of("alerts")
def alerts(now: datetime) -> Iterator[Metric]:
    unresolved = Alert.objects.filter(resolved_at__isnull=True)
    figures = [(level.value, float(counted(unresolved.filter(severity=level)))) for level in Severity]
    yield gauges("alerts_open", f"Alerts that are not resolved, counted up to {CAP:,}.", "severity", figures)
    states = [(state.value, float(counted(Notification.objects.filter(state=state)))) for state in TOLD]
    yield gauges("notifications", f"Messages about alerts, counted up to {CAP:,}.", "state", states)
    due = Notification.objects.due(now).order_by("due_at").values_list("due_at", flat=True).first()
    meaning = "How long the message that should have left first is due; 0 where none is."
    yield gauge("notification_overdue_seconds", meaning, age(due, now) or 0.0)
