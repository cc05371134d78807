"""Rows by the thousand in one statement: every kind of value arrives as it was, and what is refused is said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.alerts.models import Alert
from monitoring.schedules.models import Run, RunState, ScheduledJob, Trigger
from opsconsole.inserting import insert_new

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> ScheduledJob:
    return ScheduledJob.objects.create(name="nightly", action="operation", interval=timedelta(hours=1))


def run(job: ScheduledJob, minutes: int = 0, **fields: Any) -> Run:
    due = timezone.now().replace(microsecond=123_456) + timedelta(minutes=minutes)
    return Run(scheduled_job=job, due_at=due, trace_id=uuid4(), **fields)


def test_every_kind_of_value_arrives_as_it_was(job: ScheduledJob) -> None:
    made = run(job, trigger=Trigger.API, state=RunState.MISSED, cause="It's “late” \\ 50 %s\n", count=3)
    assert insert_new([made]) == [made]
    stored = Run.objects.get(pk=made.pk)
    same = (
        "scheduled_job_id",
        "due_at",
        "due_until",
        "count",
        "trigger",
        "idempotency_key",
        "trace_id",
        "state",
        "cause",
    )
    assert [getattr(stored, name) for name in same] == [getattr(made, name) for name in same]
    assert stored.created_at is not None  # by the database


def test_lists_documents_and_intervals(job: ScheduledJob) -> None:
    now = timezone.now()
    alert = Alert(kind="run_failed", subject="job:a", severity="critical", title="x", first_at=now, last_at=now)
    alert.channels, alert.seen = ["team", "o'neil"], {"run": 3, "why": ["é", None]}
    insert_new([alert])
    stored = Alert.objects.get()
    assert (stored.channels, stored.seen, stored.first_at) == (alert.channels, alert.seen, now)
    assert stored.urgency == alert.level.rank  # made by the database
    other = ScheduledJob(name="b", action="operation", interval=timedelta(days=400, microseconds=7), after=["nightly"])
    insert_new([other])
    other.refresh_from_db()
    assert (other.interval, other.after) == (timedelta(days=400, microseconds=7), ["nightly"])


def test_what_a_unique_key_refuses_is_left_out_and_said(job: ScheduledJob) -> None:
    first, second, third = run(job), run(job, 1), run(job, 2)
    insert_new([second])
    again = Run(scheduled_job=job, due_at=second.due_at, trace_id=uuid4())
    twice = Run(scheduled_job=job, due_at=third.due_at, trace_id=uuid4())
    assert insert_new([first, again, third, twice]) == [first, third]
    assert set(Run.objects.values_list("pk", flat=True)) == {first.pk, second.pk, third.pk}
    assert first.pk < third.pk  # in the order given
    assert Run.objects.create(scheduled_job=job, due_at=timezone.now(), trace_id=uuid4()).pk > third.pk


def test_two_statements_however_many(job: ScheduledJob) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert len(insert_new([run(job, minute) for minute in range(300)])) == 300
        assert insert_new([]) == []
    assert len(captured) == 2
