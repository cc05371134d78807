"""Digests: one message instead of many. Their members leave with them and share their end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db.models import Count

from monitoring.alerts.limits import CHANNEL_WINDOW, PERSON_WINDOW, Sent, digest_after
from monitoring.alerts.models import About, Channel, Notification, NotificationState
from monitoring.alerts.operations.telling import GIVE_UP_AFTER, destination_name
from monitoring.alerts.texts import render
from monitoring.alerts.types import Severity

DIGEST_TEXT = "alerts/messages/digest"
MOST_MEMBERS = 500
NEVER_GATHERED = (About.TEST, About.DIGEST)


def open_digest(channel: Channel | None, to: str, due_at: datetime, now: datetime, *, again: str = "") -> Notification:
    """A new digest to this destination, without members yet."""
    return Notification.objects.create(
        key=":".join(filter(None, ("digest", again, uuid4().hex))),
        channel=channel,
        to=to,
        about=About.DIGEST,
        template=DIGEST_TEXT,
        created_at=now,
        due_at=due_at,
        give_up_at=due_at + GIVE_UP_AFTER,
    )


def pick(waiting: Iterable[Notification], now: datetime) -> list[Notification]:
    """Of what is due, the row that leaves next to each destination. Where a limit is reached, what waits goes into the
    destination's digest. Two queries, and four for each destination at its limit."""
    by_destination: dict[str, list[Notification]] = defaultdict(list)
    for row in waiting:
        by_destination[destination_name(row.channel_id, row.to)].append(row)
    first = [rows[0] for rows in by_destination.values()]
    sent = _sent_to(first, now)
    picked = []
    for name, rows in by_destination.items():
        ordinary = [row for row in rows if row.about not in NEVER_GATHERED]
        after = digest_after(sent[name], critical=any(row.critical for row in ordinary)) if ordinary else None
        if after is not None:
            gather(ordinary, now + after, now)
        left = rows if after is None else [row for row in rows if row.about in NEVER_GATHERED]
        picked += left[:1]
    return picked


def _sent_to(rows: Sequence[Notification], now: datetime) -> dict[str, Sent]:
    """What each row's destination got of late, by its name. Two queries."""
    ordinary = Notification.objects.exclude(about=About.TEST)
    channels = ordinary.filter(
        channel__in={row.channel_id for row in rows if row.channel_id}, last_attempt_at__gt=now - CHANNEL_WINDOW
    )
    people = ordinary.filter(to__in={row.to for row in rows if row.to}, last_attempt_at__gt=now - PERSON_WINDOW)
    by_channel = dict(channels.order_by().values_list("channel").annotate(Count("pk")))
    by_person = dict(people.order_by().values_list("to").annotate(Count("pk")))
    return {
        destination_name(row.channel_id, row.to): Sent(
            by_channel.get(row.channel_id, 0) if row.channel_id else 0, by_person.get(row.to, 0) if row.to else 0
        )
        for row in rows
    }


def gather(rows: Sequence[Notification], due_at: datetime, now: datetime) -> None:
    """Put these, which go to one destination, into the digest that waits there; a new one where there is none or it is
    full. Something critical brings it forward."""
    first = rows[0]
    waiting = Notification.objects.waiting().filter(
        channel=first.channel_id, to=first.to, about=About.DIGEST, due_at__gt=now
    )
    digest = waiting.select_for_update().order_by("-pk").first()
    if digest is None or digest.members.count() >= MOST_MEMBERS:
        digest = open_digest(first.channel, first.to, due_at, now)
    elif due_at < digest.due_at:
        Notification.objects.filter(pk=digest.pk).update(due_at=due_at)
    numbers = [row.pk for row in rows[:MOST_MEMBERS]]
    Notification.objects.waiting().filter(pk__in=numbers).update(digest=digest)


def members_of(rows: Sequence[Notification]) -> dict[int, list[Notification]]:
    """What each digest among these rows stands for, as taken with it."""
    numbers = [row.pk for row in rows if row.about == About.DIGEST]
    found: dict[int, list[Notification]] = {number: [] for number in numbers}
    if numbers:
        members = Notification.objects.filter(digest__in=numbers, state=NotificationState.SENDING)
        for member in members.order_by("pk"):
            found[member.digest_id or 0].append(member)
    return found


def context_of(members: Sequence[Notification]) -> dict[str, Any]:
    """What the digest's text is rendered with: each member's own text."""
    texts = [render(member.template, member.context) for member in members]
    return {"count": len(texts), "members": [{"subject": text.subject, "plain": text.plain} for text in texts]}


def worst(members: Iterable[Notification]) -> str:
    ranks = [Severity(member.context.get("severity", Severity.INFO)) for member in members]
    return max(ranks, key=lambda one: one.rank, default=Severity.INFO).value
