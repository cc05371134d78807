"""What is wrong now against what is open: fires what is new, resolves what is over.

It looks at the state of things and listens to no message, so nothing is missed that happened while no clock ran.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from monitoring.alerts.conditions import scheduled, signals, syncing
from monitoring.alerts.conditions.condition import Condition, Watched
from monitoring.alerts.models import Alert
from monitoring.alerts.operations.life import MOST_OPEN, fire, resolve

logger = logging.getLogger(__name__)

PER_ROUND = 500


def watched() -> Sequence[Watched]:
    return (*signals.WATCHED, *syncing.WATCHED, *scheduled.WATCHED)


def reconcile(now: datetime) -> int:
    """One round over all types. Returns how many alerts were fired or resolved. One query, and one or two for each
    type, where nothing changed."""
    types = watched()
    known: dict[str, set[str]] = {one.kind: set() for one in types}
    open_ones = Alert.objects.open().filter(kind__in=known).values_list("kind", "subject")
    for kind, subject in open_ones[:MOST_OPEN]:
        known[kind].add(subject)
    return sum(_reconcile_one(one, known[one.kind], now) for one in types)


def _reconcile_one(one: Watched, known: set[str], now: datetime) -> int:
    present = {condition.subject: condition for condition in one.present(now)}
    new = [condition for subject, condition in present.items() if subject not in known][:PER_ROUND]
    over = sorted(known - present.keys())[:PER_ROUND]
    if not (new or over):
        return 0
    with transaction.atomic():
        for condition in new:
            _fire(one.kind, condition, now)
        gone = one.gone(over, now) if over else {}
        for subject, why in gone.items():
            resolve(one.kind, subject, now=now, because=why.because, silently=why.silently)
    return len(new) + len(gone)


def _fire(kind: str, condition: Condition, now: datetime) -> None:
    fire(
        kind,
        condition.subject,
        title=condition.title,
        now=now,
        seen=condition.seen,
        scope=condition.scope,
        link=condition.link,
        owner=condition.owner,
        channels=condition.channels,
    )
