"""The durable run: who may claim it, and that an attempt which was taken for dead changes nothing any more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.schedules.models import ACTIVE_RUNS, Run, RunState
from monitoring.schedules.models.states import CLAIMABLE_RUNS
from monitoring.schedules.operations.firing import fire_due
from sync.operations.workers import WorkerIdentity
from tests.monitoring.scheduled import MINUTE, NOW, WORKER, make_scheduled_job

pytestmark = pytest.mark.django_db

OTHER = WorkerIdentity("worker-two", "host", 4712)
NOT_CLAIMABLE = [state for state in RunState if state not in CLAIMABLE_RUNS]


@pytest.fixture
def run() -> Run:
    make_scheduled_job("sweep")
    fire_due(NOW)
    return Run.objects.get()


def claimed(run: Run, worker: WorkerIdentity = WORKER) -> Run:
    found = Run.objects.claim(run.pk, worker)
    assert found is not None
    return found


def test_a_second_claim_gets_nothing(run: Run) -> None:
    assert claimed(run).worker == WORKER.name
    assert Run.objects.claim(run.pk, OTHER) is None
    run.refresh_from_db()
    assert (run.worker, run.attempt, run.fence) == (WORKER.name, 1, 1)


@pytest.mark.parametrize("state", NOT_CLAIMABLE)
def test_only_a_waiting_run_can_be_claimed(run: Run, state: RunState) -> None:
    Run.objects.update(state=state)
    assert Run.objects.claim(run.pk, WORKER) is None


def test_a_retry_waits_for_its_time(run: Run) -> None:
    Run.objects.update(state=RunState.RETRYING, not_before=timezone.now() + MINUTE)
    assert Run.objects.claim(run.pk, WORKER) is None
    Run.objects.update(not_before=timezone.now() - MINUTE)
    assert claimed(run).not_before is None


def test_the_fence_rises_and_what_the_old_attempt_writes_is_refused(run: Run) -> None:
    old = claimed(run)
    assert Run.objects.queue_again(run.pk, old.fence)
    new = claimed(run, OTHER)
    assert new.fence == old.fence + 1
    assert not Run.objects.end(run.pk, old.fence, RunState.DONE)
    assert not Run.objects.retry_later(run.pk, old.fence, timedelta(minutes=5))
    assert not Run.objects.queue_again(run.pk, old.fence)
    assert not Run.objects.held(run.pk, old.fence).update(heartbeat_at=timezone.now())
    run.refresh_from_db()
    assert (run.state, run.worker) == (RunState.RUNNING, OTHER.name)
    assert Run.objects.end(run.pk, new.fence, RunState.DONE)


@pytest.mark.parametrize("state", [state for state in RunState if state not in ACTIVE_RUNS])
def test_an_ended_run_takes_no_more_writes(run: Run, state: RunState) -> None:
    held = claimed(run)
    Run.objects.update(state=state)
    assert not Run.objects.end(run.pk, held.fence, RunState.FAILED)
