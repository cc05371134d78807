"""Many questions in one statement, written once: the times in it move with the present."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from opsconsole.clock.asking import Questions
from opsconsole.models import Lease

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def lease(name: str, minutes: float) -> Lease:
    at = timezone.now() + minutes * MINUTE
    return Lease.objects.create(name=name, holder="h", expires_at=at, beat_at=at)


def test_the_times_of_a_question_move_with_the_present() -> None:
    asked = Questions(late=lambda now: Lease.objects.filter(expires_at__lte=now - MINUTE))
    now = timezone.now()
    lease("a", 0)
    assert asked(now) == set()
    assert asked(now + 3 * MINUTE) == {"late"}
    assert asked(now) == set()  # nothing of the time before is kept


def test_each_question_has_its_own_answer() -> None:
    asked = Questions(
        named=lambda now: Lease.objects.filter(name="it's 100 %"),
        by_the_database=lambda now: Lease.objects.filter(expires_at__gt=Now()),
        never=lambda now: Lease.objects.none(),
        over=lambda now: Lease.objects.filter(expires_at__lt=now),
    )
    assert asked(timezone.now()) == set()
    lease("it's 100 %", -1)
    assert asked(timezone.now()) == {"named", "over"}
    lease("b", 1)
    assert asked(timezone.now()) == {"named", "over", "by_the_database"}


def test_one_statement_and_none_where_nothing_can_be_there() -> None:
    asked = Questions(one=lambda now: Lease.objects.all(), two=lambda now: Lease.objects.filter(expires_at__lt=now))
    with CaptureQueriesContext(connection) as captured:
        assert not asked.any()
        assert not Questions(never=lambda now: Lease.objects.none()).any()
    assert len(captured) == 1
