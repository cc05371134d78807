"""What is wrong now against what is open: fires what is new, resolves what is over.

It looks at the state of things and listens to no message, so nothing is missed that happened while no clock ran.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from monitoring.alerts.conditions import scheduled, signals, syncing
from monitoring.alerts.conditions.condition import Condition, Watched
from monitoring.alerts.operations.life import Ending, Firing, fire_all, resolve_all
from opsconsole.clock.asking import Questions

PER_ROUND = 500

WATCHED = (*signals.WATCHED, *syncing.WATCHED, *scheduled.WATCHED)
NEW = Questions(**{one.name: one.new for one in WATCHED})
OVER = Questions(**{one.name: one.over for one in WATCHED})


def reconcile(now: datetime) -> int:
    """One round over all types. Returns how many alerts were fired or resolved. Two statements where nothing changed,
    whatever is open."""
    new, over = NEW(now), OVER(now)
    return sum(_fire_new(one, now) for one in WATCHED if one.name in new) + sum(
        _resolve_over(one, now) for one in WATCHED if one.name in over
    )


def _fire_new(one: Watched, now: datetime) -> int:
    with transaction.atomic():
        conditions = [one.condition(row) for row in one.new(now)[:PER_ROUND]]
        newest = {condition.subject: condition for condition in reversed(conditions)}
        fire_all([_firing(one.kind, condition) for condition in newest.values()], now)
    return len(newest)


def _resolve_over(one: Watched, now: datetime) -> int:
    with transaction.atomic():
        over = list(one.over(now).order_by("pk").values_list("subject", flat=True)[:PER_ROUND])
        gone = one.gone(over, now)
        resolve_all([Ending(one.kind, subject, why.because, why.silently) for subject, why in gone.items()], now)
    return len(gone)


def _firing(kind: str, condition: Condition) -> Firing:
    return Firing(
        kind,
        condition.subject,
        condition.title,
        seen=condition.seen,
        scope=condition.scope,
        link=condition.link,
        owner=condition.owner,
        channels=condition.channels,
    )
