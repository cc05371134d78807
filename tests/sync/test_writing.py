"""Chunks written down beside the work that makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from opsconsole.demo.gap import make_gap
from opsconsole.demo.processes import wait_until
from sync import control
from sync.jobs import run_as
from sync.ledger import ChunkResult, Ledger
from sync.models import Attempt, AttemptOutcome, Drift, Job, JobState, Mode
from sync.writing import Writer
from tests.company import Company, EstateWriter, IndexerThread
from tests.sync.jobs import WORKER, claim, finding, make_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def chunk(upto: str, tasks: int = 1) -> ChunkResult:
    return ChunkResult(upto, tasks, 0, tuple(finding() for _ in range(tasks)), [])


@pytest.fixture
def job() -> Job:
    return claim(make_job(mode=Mode.SYNC))[0]


def ledger_of(job: Job) -> Ledger:
    return Ledger(job.pk, job.fence)


@pytest.mark.parametrize("beside", [False, True])
class TestWriter:
    def test_writes_in_order_and_ends_when_all_is_written(self, job: Job, beside: bool) -> None:
        with Writer(beside=beside) as writer:
            for number in range(6):
                writer.write(ledger_of(job), chunk(str(number), 3))
        job.refresh_from_db()
        assert (job.checkpoint, job.scanned, Drift.objects.filter(job=job).count()) == ("5", 18, 18)

    def test_gives_the_state_of_a_job_that_is_to_end(self, job: Job, beside: bool) -> None:
        Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLING)
        with Writer(beside=beside) as writer:
            states = {writer.write(ledger_of(job), chunk("1")), writer.settle()}
        assert states == {JobState.CANCELLING, None}

    def test_nothing_is_written_after_what_could_not_be(
        self, job: Job, beside: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A checkpoint behind a gap would hide what the gap had."""
        commit = Ledger.commit_chunk

        def fail_once(ledger: Ledger, written: ChunkResult) -> JobState:
            if written.upto == "2":
                raise OSError("away for a moment")
            return commit(ledger, written)

        monkeypatch.setattr(Ledger, "commit_chunk", fail_once)
        with pytest.raises(OSError, match="away"), Writer(beside=beside) as writer:  # noqa: PT012
            for number in range(5):
                writer.write(ledger_of(job), chunk(str(number)))
        job.refresh_from_db()
        assert (job.checkpoint, job.scanned) == ("1", 2)


def test_what_is_being_written_is_known(job: Job) -> None:
    held, go_on = threading.Event(), threading.Event()

    class Slow(Ledger):
        def commit_chunk(self, chunk: ChunkResult) -> JobState:
            held.set()
            assert go_on.wait(20)
            return super().commit_chunk(chunk)

    with Writer(beside=True) as writer:
        writer.write(Slow(job.pk, job.fence), chunk("1", 4))
        assert held.wait(20)
        assert (writer.findings, writer.is_idle) == (4, False)
        go_on.set()
        assert writer.settle() is JobState.RUNNING
        assert (writer.findings, writer.is_idle) == (0, True)


def test_its_connection_ends_with_it(job: Job) -> None:
    before = _sessions()
    with Writer(beside=True) as writer:
        writer.write(ledger_of(job), chunk("1"))
        writer.settle()
        assert _sessions() == before + 1
    assert wait_until(lambda: _sessions() == before, 20)


def test_an_interruption_cancels_what_is_being_written(job: Job) -> None:
    """Whoever interrupts a job does not wait for a lock that somebody else holds."""
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=job.pk)
        with pytest.raises(KeyboardInterrupt), Writer(beside=True) as writer:  # noqa: PT012
            writer.write(ledger_of(job), chunk("1"))
            assert wait_until(lambda: _waiting() == 1, 20)
            raise KeyboardInterrupt
        assert _waiting() == 0
    job.refresh_from_db()
    assert (job.checkpoint, job.scanned) == (None, 0)


def _waiting() -> int:
    return _number(WAITING)


def _sessions() -> int:
    return _number(SESSIONS)


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        (number,) = cursor.fetchone()
    return int(number)


class TestCheck:
    """A check that writes beside sending: one of more than a chunk."""

    @pytest.fixture
    def organization(self, company: Company, use_estate: EstateWriter) -> UUID:
        use_estate(chunk_rows=8)
        make_gap(company.source_owner_url, seed=6, size=60, organizations=1)
        return company.organizations()[0]

    def test_repairs_the_index_and_sees_it(
        self, company: Company, organization: UUID, indexer: IndexerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there, threads = company.drift(), set()
        commit = Ledger.commit_chunk

        def noted(ledger: Ledger, written: ChunkResult) -> JobState:
            threads.add(threading.current_thread().name)
            return commit(ledger, written)

        monkeypatch.setattr(Ledger, "commit_chunk", noted)
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        assert run_as(job.pk, WORKER) == "done"
        job.refresh_from_db()
        assert (job.published, job.verified, job.unresolved, company.drift()) == (there, there, 0, 0)
        assert indexer.messages == there > 8
        assert threads == {"writing_0"}

    def test_stopped_it_goes_on_and_publishes_nothing_twice(
        self, company: Company, organization: UUID, indexer: IndexerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = company.drift()
        self._after_first_write(monkeypatch, lambda: monkeypatch.setattr(control, "stop_requested", lambda: True))
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        assert run_as(job.pk, WORKER) == "hibernated"
        job.refresh_from_db()
        assert 0 < job.published == Drift.objects.filter(job=job).count() < there
        assert Attempt.objects.get(job=job).outcome == AttemptOutcome.HIBERNATED
        monkeypatch.setattr(control, "stop_requested", lambda: False)
        assert run_as(job.pk, WORKER) == "done"
        job.refresh_from_db()
        assert (job.published, job.verified, company.drift(), indexer.messages) == (there, there, 0, there)

    def test_cancelled_it_ends_before_the_walk_does(
        self, company: Company, organization: UUID, indexer: IndexerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        cancelled = Job.objects.filter(pk=job.pk)
        self._after_first_write(monkeypatch, lambda: cancelled.update(state=JobState.CANCELLING))
        there = company.drift()
        assert run_as(job.pk, WORKER) == "cancelled"
        job.refresh_from_db()
        assert 0 < job.published == Drift.objects.filter(job=job).count() < there

    def test_that_lost_its_job_says_nothing(
        self, organization: UUID, indexer: IndexerThread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        scanned: list[Any] = []

        def lose() -> None:
            Job.objects.filter(pk=job.pk).update(fence=99)
            scanned.append(Job.objects.get(pk=job.pk).scanned)

        self._after_first_write(monkeypatch, lose)
        assert run_as(job.pk, WORKER) == "fence lost"
        job.refresh_from_db()
        assert (job.state, [job.scanned]) == (JobState.RUNNING, scanned)

    def _after_first_write(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
        commit, done = Ledger.commit_chunk, threading.Event()

        def acting(ledger: Ledger, written: ChunkResult) -> JobState:
            state = commit(ledger, written)
            if not done.is_set():
                done.set()
                act()
            return state

        monkeypatch.setattr(Ledger, "commit_chunk", acting)
