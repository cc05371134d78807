"""What could not be delivered: given up with an alert of its own; a bounced channel is switched off."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.urls import reverse

from monitoring.alerts.models import About, Alert, Channel, Notification, NotificationState
from monitoring.alerts.models.notification import NotificationQuerySet
from monitoring.alerts.operations.life import fire, resolve
from monitoring.alerts.operations.telling import destination_name
from opsconsole import audit

DELIVERY_FAILING = "delivery_failing"
PER_ROUND = 200


def give_up(held: NotificationQuerySet, row: Notification, said: str, now: datetime, *, bounced: bool) -> bool:
    """End the row, as `held` still has it, as a dead letter, and those that it stands for. Inside a transaction."""
    ended = {"state": NotificationState.DEAD, "ended_at": now, "lease_until": None, "last_error": said}
    if not held.update(**ended):
        return False
    row.members.filter(state__in=(NotificationState.SENDING, NotificationState.QUEUED)).update(**ended)
    if row.about == About.TEST and not bounced:
        return True  # whoever asked for it sees it
    if bounced and row.channel is not None:
        switch_off(row.channel, said, now)
    _fire(row, said, now, bounced=bounced)
    return True


def switch_off(channel: Channel, said: str, now: datetime) -> None:
    """Nothing is sent there until somebody switches it on again."""
    if Channel.objects.filter(pk=channel.pk, off_because="").update(off_because=said, off_since=now):
        audit.record(audit.CLOCK, "channel.switched_off", f"channel:{channel.pk}", reason=said)


def _fire(row: Notification, said: str, now: datetime, *, bounced: bool) -> None:
    name = row.channel.name if row.channel else row.to
    what = f"The channel {name}" if row.channel else name
    fire(
        DELIVERY_FAILING,
        destination_name(row.channel_id, row.to),
        title=f"{what} bounced{' and is off' if row.channel else ''}" if bounced else f"{what} cannot be reached",
        now=now,
        seen={"error": said, "attempts": row.attempts, "message": row.get_about_display()},
        link=reverse("alerts:channel", args=[row.channel_id]) if row.channel_id else reverse("alerts:dead"),
    )


def give_up_overdue(now: datetime) -> int:
    """What could not leave by its end: tried at least once, or for a channel that is off. One query where none is."""
    over = Notification.objects.waiting().filter(give_up_at__lte=now, digest__isnull=True)
    rows = over.filter(attempts__gt=0) | over.exclude(channel__off_because="").filter(channel__isnull=False)
    count = 0
    for row in rows.select_related("channel").order_by("give_up_at")[:PER_ROUND]:
        said = row.last_error or f"The channel is off: {row.channel.off_because if row.channel else ''}"
        with transaction.atomic():
            held = Notification.objects.waiting().filter(pk=row.pk)
            count += give_up(held, row, said, now, bounced=False)
    return count


def works_again(row: Notification, now: datetime) -> None:
    """A delivery ends the alert of its destination. One query where there is none."""
    subject = destination_name(row.channel_id, row.to)
    if Alert.objects.open().of(DELIVERY_FAILING, subject).exists():
        resolve(DELIVERY_FAILING, subject, now=now, because="A message was delivered.")
