"""Channels and subscriptions, as administrators keep them. Audited, and never with an address that is a secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, transaction

from monitoring.alerts.examples import TEST_TEXT
from monitoring.alerts.models import About, Channel, ChannelKind, Notification, Subscription
from monitoring.alerts.sending import Target, require_usable
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.words import utc

TEST_LASTS = timedelta(minutes=10)


def add_channel(name: str, kind: ChannelKind, address: str, actor: audit.Actor, now: datetime) -> Channel:
    """Raises UsageError where the name is taken or nothing could be sent there, UnavailableError where it is not known
    whether something could."""
    require_usable(Target(kind, address))
    try:
        with transaction.atomic():
            made = Channel.objects.create(name=name, kind=kind, address=address, created_at=now, created_by=actor.name)
            audit.record(actor, "channel.added", channel_subject(made), name=name, kind=kind)
    except IntegrityError as error:
        raise _taken(name) from error
    return made


def change_channel(channel: Channel, name: str, address: str, actor: audit.Actor) -> list[str]:
    """Returns what changed. Without a new address it keeps the one it has. Raises as `add_channel`."""
    changed = [what for what, differs in (("name", name != channel.name), ("address", bool(address))) if differs]
    if address:
        require_usable(Target(ChannelKind(channel.kind), address))
    try:
        with transaction.atomic():
            Channel.objects.filter(pk=channel.pk).update(name=name, address=address or channel.address)
            if changed:
                audit.record(actor, "channel.changed", channel_subject(channel), changed=changed)
    except IntegrityError as error:
        raise _taken(name) from error
    return changed


@transaction.atomic
def switch(channel: Channel, on: bool, actor: audit.Actor, reason: str, now: datetime) -> None:
    """What waits for a channel that is off leaves when it is on again, as long as it is not given up. Raises
    UsageError where it is so already."""
    rows = Channel.objects.filter(pk=channel.pk)
    changed = (
        rows.exclude(off_because="").update(off_because="", off_since=None)
        if on
        else rows.filter(off_because="").update(off_because=reason, off_since=now)
    )
    if not changed:
        raise UsageError(f"{channel.name} is {'on' if on else 'off'} already.")
    audit.record(actor, f"channel.switched_{'on' if on else 'off'}", channel_subject(channel), reason=reason)


@transaction.atomic
def send_test(channel: Channel, actor: audit.Actor, now: datetime) -> Notification:
    """A test goes the way that alerts go: through the outbox, by the clock. It is given up after ten minutes."""
    key = f"test:{uuid4().hex}"
    audit.record(actor, "channel.tested", channel_subject(channel), key=key)
    return Notification.objects.create(
        key=key,
        channel=channel,
        to=channel.address if channel.kind == ChannelKind.EMAIL else "",
        about=About.TEST,
        template=TEST_TEXT,
        context={"channel": channel.name, "by": actor.name, "at": utc(now), "severity": "info"},
        created_at=now,
        due_at=now,
        give_up_at=now + TEST_LASTS,
    )


@transaction.atomic
def subscribe(channel: Channel, values: Mapping[str, Any], actor: audit.Actor) -> Subscription:
    made = Subscription.objects.create(channel=channel, **values)
    audit.record(actor, "subscription.added", channel_subject(channel), subscription=made.pk, kinds=made.kinds)
    return made


@transaction.atomic
def unsubscribe(subscription: Subscription, actor: audit.Actor) -> None:
    number = subscription.pk
    if Subscription.objects.filter(pk=number).delete()[0]:
        audit.record(actor, "subscription.removed", channel_subject(subscription.channel), subscription=number)


def channel_subject(channel: Channel) -> str:
    return f"channel:{channel.pk}"


def _taken(name: str) -> UsageError:
    return UsageError(f"There is a channel {name!r} already.")
