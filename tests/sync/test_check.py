"""The check of one organization, against a real source, index and broker, in this process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import redis

from opsconsole import audit
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.gap import make_gap
from opsconsole.demo.ports import free_port
from opsconsole.errors import UnavailableError, UsageError
from sync import check as checking
from sync import control, queueing
from sync.engine.rows import Key, Row
from sync.index.postgres import PostgresIndex
from sync.jobs import run_as
from sync.ledger import ChunkResult, Ledger
from sync.models import Attempt, AttemptOutcome, Drift, EventLevel, Job, JobKind, JobState, Mode, Step, Verification
from sync.operations import jobs
from sync.operations.ladder import climb
from tests.company import Company, EstateWriter, IndexerThread, read_topic
from tests.sync.jobs import WORKER, make_job, messages

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

OLD = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _estate(use_estate: EstateWriter) -> None:
    """Every check of this file runs on the test's own company."""


def run(job: Job) -> Job:
    """Run the job here and return it as it is then; what the job raises is raised."""
    try:
        run_as(job.pk, WORKER)
    finally:
        job.refresh_from_db()
    return job


def check(organization: UUID, mode: Mode = Mode.REPORT) -> Job:
    return run(make_job(organization_id=str(organization), mode=mode))


def found(job: Job) -> dict[UUID, str]:
    return {UUID(task): kind for task, kind in Drift.objects.filter(job=job).values_list("task_id", "kind")}


def drift_there(company: Company, organization: UUID) -> dict[UUID, str]:
    """What both databases say, by a query of its own for each side."""
    columns = "SELECT id, organization_id, status, title, assignee_id, due_at FROM tasks"
    source = {row[0]: row for row in company.in_source(f"{columns} WHERE deleted_at IS NULL")}
    index = {row[0]: row for row in company.in_index(columns)}
    drift: dict[UUID, str] = {}
    for key in source.keys() | index.keys():
        mine, theirs = source.get(key), index.get(key)
        if mine != theirs and organization in {(mine or (0, 0))[1], (theirs or (0, 0))[1]}:
            drift[key] = "orphan" if mine is None else "missing" if theirs is None else "stale"
    return drift


class TestReport:
    def test_finds_exactly_the_gap_and_publishes_nothing(
        self, company: Company, servers: ServerAddresses, topic: str
    ) -> None:
        gap = make_gap(company.source_owner_url, seed=1, size=90, organizations=4, hard_delete_share=0.1)
        done = [check(organization) for organization in company.organizations()]
        assert {job.state for job in done} == {JobState.DONE}
        assert sum(job.drift_found for job in done) == gap.lost == company.drift()
        for job in done:
            assert found(job) == drift_there(company, UUID(job.organization_id))
            in_source = company.in_source(
                "SELECT count(*) FROM tasks WHERE organization_id = %s AND deleted_at IS NULL", job.organization_id
            )
            assert (job.scanned,) == in_source[0]
            assert job.expected == job.scanned
        assert {job.published for job in done} == {0}
        assert set(Drift.objects.values_list("verification", flat=True)) == {Verification.NONE}
        assert read_topic(servers.kafka_bootstrap, topic) == []

    @pytest.mark.parametrize("chunk_rows", [1, 7, 100])
    def test_the_chunk_size_changes_nothing(self, company: Company, use_estate: EstateWriter, chunk_rows: int) -> None:
        organization = make_gap(company.source_owner_url, seed=2, size=30, organizations=2).organizations[1]
        use_estate(chunk_rows=chunk_rows)
        job = check(organization)
        assert found(job) == drift_there(company, organization)
        assert job.drift_found == len(found(job)) > 0

    def test_an_organization_without_tasks_is_done_at_once(self, company: Company) -> None:
        company.in_source(
            "INSERT INTO organizations VALUES ('00000000-0000-4000-8000-000000000001', 'New', '2026-01-01')"
        )
        job = check(UUID("00000000-0000-4000-8000-000000000001"))
        assert (job.state, job.scanned, job.expected, job.drift_found) == (JobState.DONE, 0, 0, 0)

    def test_says_what_it_found_in_its_log(self, company: Company) -> None:
        organization = company.organizations()[0]
        complete(company, company.tasks(organization)[0])
        job = check(organization)
        assert f"Reported: {job.scanned:,} scanned, 1 out of sync (1 stale, 0 missing, 0 orphan)." in messages(job)[-1]
        attempt = Attempt.objects.get(job=job)
        assert attempt.outcome == AttemptOutcome.DONE
        assert attempt.peak_memory is not None
        assert attempt.scanned_after == job.scanned


def complete(company: Company, *tasks: UUID, at: datetime = OLD) -> None:
    """A change in the source of which the index hears nothing."""
    company.in_source(
        "UPDATE tasks SET title = 'Renamed', version = version + 1, updated_at = %s WHERE id = ANY(%s)", at, list(tasks)
    )


class TestSync:
    def test_repairs_the_index_and_sees_it(self, company: Company, indexer: IndexerThread) -> None:
        gap = make_gap(company.source_owner_url, seed=3, size=90, organizations=4, hard_delete_share=0.1)
        done = [check(organization, Mode.SYNC) for organization in company.organizations()]
        assert {job.state for job in done} == {JobState.DONE}
        assert sum(job.published for job in done) == sum(job.verified for job in done) == gap.lost
        assert sum(job.unresolved for job in done) == 0
        assert company.drift() == 0
        assert set(Drift.objects.values_list("verification", flat=True)) == {Verification.VERIFIED}

    def test_a_second_one_finds_nothing(self, company: Company, indexer: IndexerThread) -> None:
        make_gap(company.source_owner_url, seed=4, size=20, organizations=1)
        organization = company.organizations()[0]
        first, second = check(organization, Mode.SYNC), check(organization, Mode.SYNC)
        assert (first.published > 0, second.published, second.drift_found) == (True, 0, 0)

    def test_without_an_indexer_it_is_unresolved(self, company: Company, use_estate: EstateWriter) -> None:
        use_estate(verify_timeout="500ms")
        organization = company.organizations()[0]
        complete(company, *company.tasks(organization)[:3])
        job = check(organization, Mode.SYNC)
        assert (job.state, job.published, job.verified, job.unresolved) == (JobState.DONE, 3, 0, 3)
        assert {drift.status for drift in Drift.objects.select_related("job")} == {Verification.UNRESOLVED}
        warning = job.events.filter(level=EventLevel.WARNING).first()
        assert warning is not None
        assert "3 tasks published, but the index still differs" in warning.message

    def test_an_absent_broker_is_retried_and_nothing_is_committed(
        self, company: Company, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The checkpoint stands for what the broker has acknowledged."""
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
        monkeypatch.setattr("sync.publisher.BOOTSTRAP_SECONDS", 0.5)
        use_estate(chunk_rows=100)
        organization = company.organizations()[0]
        complete(company, company.tasks(organization)[-1])
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        with pytest.raises(UnavailableError, match="Kafka"):
            run(job)
        job.refresh_from_db()
        assert (job.state, job.published, job.stale) == (JobState.RETRYING, 0, 0)
        assert 0 < job.scanned < len(company.tasks(organization)) + len(company.tasks(organization, deleted=True))
        assert not Drift.objects.exists()

    @pytest.mark.parametrize("commits", [1, 3, 6])
    def test_what_is_published_and_not_written_down_is_one_chunk_at_most(
        self,
        company: Company,
        use_estate: EstateWriter,
        monkeypatch: pytest.MonkeyPatch,
        servers: ServerAddresses,
        topic: str,
        commits: int,
    ) -> None:
        """Several looks are under way at once, and each may be as large as a chunk. Nothing is written down after what
        could not be, also where more was sent meanwhile."""
        use_estate(chunk_rows=8)
        organization = company.organizations()[0]
        company.in_index("UPDATE tasks SET status = 'cancelled', title = '' WHERE organization_id = %s", organization)
        committed = []

        def commit_or_crash(ledger: Ledger, chunk: ChunkResult) -> JobState:
            committed.append(chunk)
            if len(committed) > commits:
                raise MemoryError("the process ends here")
            return commit(ledger, chunk)

        commit = Ledger.commit_chunk
        monkeypatch.setattr(Ledger, "commit_chunk", commit_or_crash)
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        with pytest.raises(MemoryError):
            run(job)
        job.refresh_from_db()
        assert job.published == Drift.objects.filter(job=job).count() > 0
        assert 0 < len(read_topic(servers.kafka_bootstrap, topic)) - job.published <= 8


class TestMessages:
    """What consumers are promised in docs/messages.md."""

    @pytest.fixture
    def published(
        self, company: Company, use_estate: EstateWriter, servers: ServerAddresses, topic: str
    ) -> Callable[[UUID], tuple[Job, list[Any]]]:
        use_estate(verify_timeout="0s")

        def sync(organization: UUID) -> tuple[Job, list[Any]]:
            return check(organization, Mode.SYNC), read_topic(servers.kafka_bootstrap, topic)

        return sync

    def test_a_stale_task(self, company: Company, published: Callable[[UUID], tuple[Job, list[Any]]]) -> None:
        organization = company.organizations()[0]
        task = company.tasks(organization)[5]
        company.in_source("UPDATE tasks SET due_at = '2026-02-03 04:05:06+01', assignee_id = NULL WHERE id = %s", task)
        complete(company, task)
        job, (message,) = published(organization)
        (version, status) = company.in_source("SELECT version, status FROM tasks WHERE id = %s", task)[0]
        assert message.key == task
        assert json.loads(message.value) == {
            "id": str(task),
            "organization_id": str(organization),
            "version": version,
            "updated_at": "2026-01-01T12:30:15.123456+00:00",
            "fields": {
                "status": status,
                "title": "Renamed",
                "assignee_id": None,
                "due_at": "2026-02-03T03:05:06.000000+00:00",
            },
        }
        assert message.headers == {
            "version": str(version),
            "updated_at": "2026-01-01T12:30:15.123456+00:00",
            "job_id": str(job.pk),
            "trace_id": str(job.trace_id),
        }
        row = Drift.objects.get(job=job)
        assert (row.partition, row.offset) == (message.partition, message.offset)
        assert row.published_at is not None

    def test_a_task_marked_deleted_is_a_tombstone_of_the_sources_version(
        self, company: Company, published: Callable[[UUID], tuple[Job, list[Any]]]
    ) -> None:
        organization = company.organizations()[0]
        task = company.tasks(organization)[0]
        company.in_source(
            "UPDATE tasks SET deleted_at = %s, version = 41, updated_at = %s WHERE id = %s", OLD, OLD, task
        )
        job, (message,) = published(organization)
        assert (message.key, message.value, job.orphan) == (task, None, 1)
        assert message.headers["version"] == "41"
        assert message.headers["updated_at"] == "2026-01-01T12:30:15.123456+00:00"

    def test_a_task_that_is_gone_is_a_tombstone_above_the_indexs_version(
        self, company: Company, published: Callable[[UUID], tuple[Job, list[Any]]]
    ) -> None:
        organization = company.organizations()[0]
        task = company.tasks(organization)[0]
        company.in_source("DELETE FROM tasks WHERE id = %s", task)
        company.in_index("UPDATE tasks SET version = 17 WHERE id = %s", task)
        _, (message,) = published(organization)
        assert (message.key, message.value, message.headers["version"]) == (task, None, "18")
        assert abs(datetime.fromisoformat(message.headers["updated_at"]) - datetime.now(UTC)).total_seconds() < 60

    def test_a_missing_task(self, company: Company, published: Callable[[UUID], tuple[Job, list[Any]]]) -> None:
        organization = company.organizations()[0]
        task = company.tasks(organization)[0]
        company.in_index("DELETE FROM tasks WHERE id = %s", task)
        job, (message,) = published(organization)
        assert (message.key, json.loads(message.value)["id"], job.missing) == (task, str(task), 1)


def living(company: Company, organization: UUID, first: int) -> int:
    """How many of the first rows of an organization, in key order, are tasks still."""
    query = """SELECT count(*) FROM (SELECT deleted_at FROM tasks WHERE organization_id = %s ORDER BY id LIMIT %s) rows
               WHERE deleted_at IS NULL"""
    return int(company.in_source(query, organization, first)[0][0])


class TestSettling:
    def test_what_has_just_changed_is_counted_and_not_judged(self, company: Company, use_estate: EstateWriter) -> None:
        use_estate(settle_time="60s")
        organization = company.organizations()[0]
        young, old = company.tasks(organization)[:2]
        complete(company, young, at=datetime.now(UTC))
        complete(company, old)
        job = check(organization)
        assert (found(job), job.unsettled) == ({old: "stale"}, 1)

    def test_a_task_without_a_source_row_waits_out_the_settle_time(
        self, company: Company, use_estate: EstateWriter
    ) -> None:
        """When it went is not known: its tombstone may be under way."""
        use_estate(settle_time="700ms")
        organization = company.organizations()[0]
        task = company.tasks(organization)[0]
        company.in_source("DELETE FROM tasks WHERE id = %s", task)
        begun = time.monotonic()
        job = check(organization)
        assert found(job) == {task: "orphan"}
        assert time.monotonic() - begun >= 0.7

    def test_what_the_index_has_caught_up_with_meanwhile_is_no_drift(
        self, company: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        organization = company.organizations()[0]
        late, lost = company.tasks(organization)[:2]
        company.in_index("DELETE FROM tasks WHERE id = %s", lost)
        company.in_index("UPDATE tasks SET title = 'Old' WHERE id = %s", late)
        (title,) = company.in_source("SELECT title FROM tasks WHERE id = %s", late)[0]
        read_again = PostgresIndex.by_keys

        def by_keys(self: PostgresIndex, keys: Sequence[Key]) -> dict[Key, Row]:
            company.in_index("UPDATE tasks SET title = %s WHERE id = %s", title, late)
            return read_again(self, keys)

        monkeypatch.setattr(PostgresIndex, "by_keys", by_keys)
        assert found(check(organization)) == {lost: "missing"}


class TestTasksByHand:
    def test_only_those_named_are_compared_and_published(
        self, company: Company, indexer: IndexerThread, servers: ServerAddresses, topic: str
    ) -> None:
        organization = company.organizations()[0]
        stale, missing, right, not_named = company.tasks(organization)[:4]
        complete(company, stale, not_named)
        company.in_index("DELETE FROM tasks WHERE id = %s", missing)
        lines = [f"s-{stale}, {missing}", str(right), str(stale)]
        job = run(jobs.sync_tasks(lines, Mode.SYNC, audit.WORKER, enqueue=False))
        assert (job.kind, job.state, job.expected, job.scanned) == (JobKind.TASKS, JobState.DONE, 3, 3)
        assert found(job) == {stale: "stale", missing: "missing"}
        assert (job.published, job.verified) == (2, 2)
        assert {record.key for record in read_topic(servers.kafka_bootstrap, topic)} == {stale, missing}
        assert company.drift() == 1

    def test_go_on_behind_the_checkpoint(self, company: Company, use_estate: EstateWriter) -> None:
        use_estate(chunk_rows=2)
        tasks = company.tasks(company.organizations()[0])[:5]
        complete(company, *tasks)
        job = make_job(
            kind=JobKind.TASKS, organization_id="", task_ids=[str(task) for task in tasks], checkpoint="2", scanned=2
        )
        run(job)
        assert (job.scanned, job.checkpoint, set(found(job))) == (5, "5", set(tasks[2:]))

    def test_an_unknown_task_is_refused_and_nothing_is_made(self, company: Company) -> None:
        known = company.tasks(company.organizations()[0])[0]
        unknown = UUID(int=1, version=4)
        with pytest.raises(UsageError, match=f"Known to neither source nor index: {unknown}. Nothing was done."):
            jobs.sync_tasks([str(known), str(unknown)], Mode.SYNC, audit.WORKER)
        assert not Job.objects.exists()

    def test_an_orphan_may_be_named(self, company: Company, indexer: IndexerThread) -> None:
        task = company.tasks(company.organizations()[0])[0]
        company.in_source("DELETE FROM tasks WHERE id = %s", task)
        job = run(jobs.sync_tasks([str(task)], Mode.SYNC, audit.WORKER, enqueue=False))
        assert (job.orphan, job.verified, company.drift()) == (1, 1, 0)


class TestMovedTask:
    @pytest.mark.parametrize("from_its_old_organization", [True, False])
    def test_is_stale_by_its_organization_and_repaired_from_either(
        self, company: Company, indexer: IndexerThread, from_its_old_organization: bool
    ) -> None:
        old, new = company.organizations()[:2]
        task = company.tasks(old)[0]
        complete(company, task)
        company.in_source("UPDATE tasks SET organization_id = %s WHERE id = %s", new, task)
        company.in_index("UPDATE tasks SET title = 'Renamed' WHERE id = %s", task)
        job = check(old if from_its_old_organization else new, Mode.SYNC)
        row = Drift.objects.get(job=job)
        assert (row.kind, row.fields) == ("stale", ["organization"])
        assert (job.stale, job.orphan, job.missing, job.verified) == (1, 0, 0, 1)
        assert company.drift() == 0


class TestStops:
    """An attempt that is asked to end does so at a chunk; the next one goes on, and both together are one whole."""

    @pytest.fixture
    def organization(self, company: Company, use_estate: EstateWriter) -> UUID:
        use_estate(chunk_rows=50)
        make_gap(company.source_owner_url, seed=6, size=60, organizations=1)
        return company.organizations()[0]

    @pytest.fixture
    def after_chunk(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
        """Do something right after the nth chunk of the next attempts was committed; of a report, too."""
        monkeypatch.setattr(checking, "WRITTEN_AFTER", -1.0)

        def arrange(number: int, act: Callable[[], object]) -> None:
            commit, left = Ledger.commit_chunk, [number]

            def counting(self: Ledger, chunk: ChunkResult) -> JobState:
                state = commit(self, chunk)
                left[0] -= 1
                if left[0] == 0:
                    act()
                return state

            monkeypatch.setattr(Ledger, "commit_chunk", counting)

        return arrange

    @pytest.mark.parametrize("chunks", [1, 2, 6, 7])
    def test_a_stopping_worker_hands_the_job_on(
        self,
        company: Company,
        organization: UUID,
        indexer: IndexerThread,
        monkeypatch: pytest.MonkeyPatch,
        chunks: int,
    ) -> None:
        """After the last chunk, too: it must not be walked again."""
        there, rows = (
            drift_there(company, organization),
            company.in_source(
                "SELECT count(*) FROM tasks WHERE organization_id = %s AND deleted_at IS NULL", organization
            ),
        )
        scanned, commit = [0], Ledger.commit_chunk

        def noted(ledger: Ledger, chunk: ChunkResult) -> JobState:
            state = commit(ledger, chunk)
            scanned.append(chunk.scanned)
            return state

        monkeypatch.setattr(Ledger, "commit_chunk", noted)
        enough = living(company, organization, 50 * chunks)
        monkeypatch.setattr(control, "stop_requested", lambda: sum(scanned) >= enough)
        job = make_job(organization_id=str(organization), mode=Mode.SYNC)
        assert run_as(job.pk, WORKER) == "hibernated"
        job.refresh_from_db()
        assert (job.state, job.failures, job.stalled_attempts) == (JobState.QUEUED, 0, 0)
        assert queueing.waiting() == {job.pk}
        assert Attempt.objects.get(job=job).outcome == AttemptOutcome.HIBERNATED
        monkeypatch.setattr(control, "stop_requested", lambda: False)
        run(job)
        assert (job.state, [(job.scanned,)], found(job)) == (JobState.DONE, rows, there)
        assert (job.published, job.verified, company.drift()) == (len(there), len(there), 0)
        assert indexer.messages == len(there)  # nothing was published twice

    def test_a_process_that_has_grown_too_large_hands_the_job_on(
        self, organization: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control, "memory_now", lambda: 1 << 40)
        job = make_job(organization_id=str(organization))
        assert run_as(job.pk, WORKER) == "hibernated"
        job.refresh_from_db()
        assert job.state == JobState.QUEUED
        assert "MiB a job may use; going on in a fresh one." in messages(job)[-1]

    def test_cancelled_at_a_chunk_it_keeps_what_it_found(
        self,
        company: Company,
        organization: UUID,
        after_chunk: Callable[[int, Callable[[], object]], None],
        queue: redis.Redis,
    ) -> None:
        job = make_job(organization_id=str(organization))
        after_chunk(2, lambda: climb(Job.objects.get(pk=job.pk), Step.CANCEL, audit.WORKER, "wrong one"))
        assert run_as(job.pk, WORKER) == "cancelled"
        job.refresh_from_db()
        assert (job.state, job.scanned) == (
            JobState.CANCELLED,
            living(company, organization, 150),
        )  # asked after two, told by the third
        assert job.drift_found == len(found(job)) > 0
        assert Attempt.objects.get(job=job).outcome == AttemptOutcome.CANCELLED
        assert any("by worker: wrong one." in message for message in messages(job))

    @pytest.mark.parametrize("chunks", [2, 6])
    def test_cancelled_and_retried_it_goes_on(
        self,
        company: Company,
        organization: UUID,
        after_chunk: Callable[[int, Callable[[], object]], None],
        chunks: int,
    ) -> None:
        there = drift_there(company, organization)
        job = make_job(organization_id=str(organization))
        after_chunk(chunks, lambda: climb(Job.objects.get(pk=job.pk), Step.CANCEL, audit.WORKER))
        run(job)
        assert job.state == JobState.CANCELLED
        jobs.retry(job, audit.WORKER)
        run(job)
        assert (job.state, found(job), job.drift_found) == (JobState.DONE, there, len(there))

    def test_an_attempt_that_lost_its_job_says_nothing(
        self, company: Company, organization: UUID, after_chunk: Callable[[int, Callable[[], object]], None]
    ) -> None:
        job = make_job(organization_id=str(organization))
        after_chunk(2, lambda: Job.objects.filter(pk=job.pk).update(fence=99))
        assert run_as(job.pk, WORKER) == "fence lost"
        job.refresh_from_db()
        assert (job.state, job.scanned) == (JobState.RUNNING, living(company, organization, 100))

    def test_a_job_that_is_not_to_be_had_is_a_quiet_return(self) -> None:
        assert run_as(make_job(state=JobState.DONE).pk, WORKER) == "not claimed"
