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
from monitoring.alerts.operations.life import fire, open_subjects, resolve

logger = logging.getLogger(__name__)

PER_ROUND = 500


def watched() -> Sequence[Watched]:
    return (*signals.WATCHED, *syncing.WATCHED, *scheduled.WATCHED)


def reconcile(now: datetime) -> int:
    """One round over all types. Returns how many alerts were fired or resolved. Two or three queries for each type
    where nothing changed."""
    return sum(reconcile_one(one, now) for one in watched())


def reconcile_one(one: Watched, now: datetime) -> int:
    present = {condition.subject: condition for condition in one.present(now)}
    known = open_subjects(one.kind)
    new = [condition for subject, condition in present.items() if subject not in known][:PER_ROUND]
    over = sorted(known - present.keys())[:PER_ROUND]
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
