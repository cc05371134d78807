"""The outbox is delivered: claimed, sent, settled. What the clock does every second, aside from its other duties.

Claims and settlements are conditional UPDATEs that commit before and after the sending, which holds no transaction. So
a message is sent at least once, always with its own key, wherever a sender is killed. One message at a time goes to a
destination, and many destinations at once: who is slow delays the others by one message at most.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from monitoring.alerts.models import About, Alert, ChannelKind, Notification
from monitoring.alerts.operations import digests, failing
from monitoring.alerts.operations.settling import settle_delivered, settle_failed, settle_untried
from monitoring.alerts.operations.telling import destination_name
from monitoring.alerts.sending import Failure, Message, Target, send
from monitoring.alerts.texts import render
from opsconsole.restoring import is_held

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
PATIENCE = 45.0
"""Seconds for one round of sending; less than the lease, so that nobody else sends what is still under way."""

AT_ONCE = 8
LOOKED_AT = 1_000
UNTRIED = Failure("Its turn did not come.")
PER_ROUND = 100


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this sender holds, and what it sends. `message` is the Failure where its text cannot be rendered."""

    row: Notification
    target: Target
    message: Message | Failure


def deliver(now: datetime, *, only: Alert | None = None) -> int:
    """One round: at most one message for each destination that has some. Returns how many were delivered.

    `only`: of this alert and no other, for who sends when the clock cannot. Nothing leaves after a restore, until
    somebody has looked.
    """
    if is_held():
        return 0
    Notification.objects.free_lost(now)
    failing.give_up_overdue(now)
    claimed = claim(now, only)
    if not claimed:
        return 0
    outcomes = _send_all(claimed)
    delivered = 0
    for one, failure in zip(claimed, outcomes, strict=True):
        if failure is None:
            delivered += settle_delivered(one.row, now)
        elif failure is UNTRIED:
            settle_untried(one.row)
        else:
            settle_failed(one.row, failure, now, random.random())  # noqa: S311  (jitter)
    return delivered


def claim(now: datetime, only: Alert | None = None) -> list[Claimed]:
    """Take the first due message of each destination. Eight statements, and some for each digest."""
    with transaction.atomic():
        due = Notification.objects.due(now).filter(**({"alert": only} if only else {})).order_by("due_at", "pk")
        waiting = list(due.only("channel", "to", "about", "critical")[:LOOKED_AT])
        picked = digests.pick(waiting, now)
        free = Notification.objects.due(now).filter(pk__in=[row.pk for row in picked[:PER_ROUND]])
        rows = list(free.select_related("channel").select_for_update(of=("self",), skip_locked=True).order_by("pk"))
        Notification.objects.take(rows, now, now + LEASE)
        members = digests.members_of(rows)
        # A digest whose members are all withdrawn has nothing to say.
        empty = [row for row in rows if row.about == About.DIGEST and not members[row.pk]]
        Notification.objects.filter(pk__in=[row.pk for row in empty]).update(state="withdrawn", lease_until=None)
    return [_claimed(row, members.get(row.pk, [])) for row in rows if row not in empty]


def _claimed(row: Notification, members: Sequence[Notification]) -> Claimed:
    channel = row.channel
    target = Target(ChannelKind(channel.kind), channel.address) if channel else Target(ChannelKind.EMAIL, row.to)
    try:
        return Claimed(row, target, _message(row, members))
    except Exception as error:  # a text that cannot be rendered must not keep the others from leaving
        logger.exception("the text of notification %s cannot be rendered", row.pk)
        return Claimed(row, target, Failure(f"Its text cannot be rendered: {error}"))


def _message(row: Notification, members: Sequence[Notification]) -> Message:
    if row.about == About.DIGEST and len(members) > 1:
        text = render(row.template, digests.context_of(members))
        facts = {"about": row.about, "members": [_facts(member) for member in members]}
        return Message(row.key, text, digests.worst(members), facts)
    told = members[0] if members else row  # a digest of one is that one
    return Message(row.key, render(told.template, told.context), told.context.get("severity", "info"), _facts(told))


def _facts(row: Notification) -> dict[str, object]:
    names = ("kind", "severity", "title", "scope", "since", "count", "link", "alert", "resolved", "because")
    return {"about": row.about, "key": row.key} | {name: row.context[name] for name in names if name in row.context}


def _send_all(claimed: Sequence[Claimed]) -> list[Failure | None]:
    """Threads that ask no database. One that takes too long is left behind, bounded by its sockets' own timeouts."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notifications")
    futures = [pool.submit(_send, one) for one in claimed]
    wait(futures, timeout=PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    return [_outcome(future) for future in futures]


def _send(one: Claimed) -> Failure | None:
    if isinstance(one.message, Failure):
        return one.message
    try:
        return send(one.target, one.message)
    except Exception as error:  # whatever a channel's library raises is this message's failure
        name = destination_name(one.row.channel_id, one.row.to)
        logger.exception("notification %s to %s failed unexpectedly", one.row.pk, name)
        return Failure(f"It failed unexpectedly: {type(error).__name__}.")


def _outcome(future: Future[Failure | None]) -> Failure | None:
    if future.cancelled():
        return UNTRIED
    if not future.done():
        return Failure(f"It was not taken within {PATIENCE:.0f} s.")
    return future.result()
