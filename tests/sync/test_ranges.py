"""A large organization walked in ranges by several workers: one job, and the result of one worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from opsconsole.demo.ports import free_port
from opsconsole.errors import UnavailableError
from opsconsole.worker import work_horse_killed
from sync import queueing, ranges, splitting, walking
from sync.check import Check, JudgedLook
from sync.engine import packed_walk
from sync.jobs import help_job, run_as
from sync.ledger import ChunkResult, FenceLostError, Ledger
from sync.models import Attempt, AttemptOutcome, Drift, Job, JobRange, JobState, Mode, RangeState
from sync.models.range import RangeQuerySet
from sync.operations.workers import WorkerIdentity
from sync.range_ledger import HelpersLedger, RangeLedger
from sync.ranges import Helper
from sync.reconcile import SILENCE_SECONDS, recover_silent_ranges
from sync.session import Session
from sync.splitting import ranges_between
from tests.company import Company, EstateWriter, IndexerThread
from tests.sync.jobs import OTHER_WORKER, WORKER, claim, fall_silent, make_job, messages

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

COUNTERS = ("expected", "scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved")
CHANGED = "UPDATE tasks SET title = 'Renamed', version = version + 1 WHERE id = ANY(%s)"
GONE = "DELETE FROM tasks WHERE id = ANY(%s)"
ORPHAN = """INSERT INTO tasks (id, organization_id, status, title, assignee_id, due_at, version, updated_at)
    SELECT %s, organization_id, status, title, assignee_id, due_at, version, updated_at FROM tasks WHERE id = %s"""
LOWEST, HIGHEST = UUID(int=1), UUID(int=2**128 - 2)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch, use_estate: EstateWriter) -> None:
    """An organization of 300 tasks is large here, and walked in packed chunks of ten."""
    monkeypatch.setattr(walking, "SMALL_ORGANIZATION", 0)
    monkeypatch.setattr(packed_walk, "FEWEST_ROWS", 10)
    monkeypatch.setattr(packed_walk, "MOST_ROWS", 10)
    use_estate(chunk_rows=10, split_tasks=100, split_ranges=4)


@pytest.fixture
def large(company: Company) -> UUID:
    return company.organizations()[0]


def new_job(organization: UUID, mode: Mode = Mode.REPORT) -> Job:
    return make_job(organization_id=str(organization), mode=mode)


def run(job: Job, worker: WorkerIdentity = WORKER) -> Job:
    try:
        run_as(job.pk, worker)
    finally:
        job.refresh_from_db()
    return job


def result(job: Job) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
    """Counters, and every drift row but for when and where it was written."""
    columns = ("task_id", "kind", "fields", "source", "index", "source_version", "index_version", "verification")
    assert job.state == JobState.DONE
    rows = Drift.objects.filter(job=job).order_by("task_id").values_list(*columns)
    return {name: getattr(job, name) for name in COUNTERS}, list(rows)


def help_with(job_id: int, worker: WorkerIdentity = OTHER_WORKER) -> bool:
    with Session() as session:
        return Helper(job_id, session, worker).run()


class InThreads:
    """Helpers in threads of their own, started as invitations are sent."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.failed: list[BaseException] = []

    def start(self, job_id: int, worker: WorkerIdentity = OTHER_WORKER) -> threading.Thread:
        thread = threading.Thread(target=self._help, args=(job_id, worker))
        self.threads.append(thread)
        thread.start()
        return thread

    def _help(self, job_id: int, worker: WorkerIdentity) -> None:
        try:
            help_with(job_id, worker)
        except BaseException as error:  # noqa: BLE001  (told to the test, which is another thread)
            self.failed.append(error)
        finally:
            connections.close_all()


@pytest.fixture
def helpers() -> Iterator[InThreads]:
    started = InThreads()
    yield started
    for thread in started.threads:
        thread.join(30)
        assert not thread.is_alive()
    assert started.failed == []


Invite = Callable[[int, Sequence[str]], object]


def nobody(job_id: int, names: Sequence[str]) -> None:
    """Everybody else is busy."""


@pytest.fixture
def invite(monkeypatch: pytest.MonkeyPatch) -> Callable[[Invite], None]:
    """What becomes of invitations."""

    def answer(by: Invite) -> None:
        monkeypatch.setattr(queueing, "invite", by)

    return answer


def scatter(company: Company, tasks: Sequence[UUID], cuts: Sequence[UUID]) -> None:
    """Drift at every cut and on both sides of it, and orphans before the first key and behind the last."""
    at = [tasks.index(cut) for cut in cuts if cut in tasks]
    company.in_source(CHANGED, [tasks[place] for place in at])
    company.in_index(CHANGED, [tasks[(place + 1) % len(tasks)] for place in at])
    company.in_index(GONE, [tasks[place - 1] for place in at])
    for orphan in (LOWEST, HIGHEST):
        company.in_index(ORPHAN, orphan, tasks[5])


def in_one_place(company: Company, tasks: Sequence[UUID], cuts: Sequence[UUID]) -> None:
    company.in_source(CHANGED, list(tasks[:60]))


def everywhere(company: Company, tasks: Sequence[UUID], cuts: Sequence[UUID]) -> None:
    company.in_source(CHANGED, list(tasks))


def nowhere(company: Company, tasks: Sequence[UUID], cuts: Sequence[UUID]) -> None:
    """Both sides agree."""


WHERE_CUT: dict[str, Callable[[Sequence[UUID]], list[UUID]]] = {
    "in quarters": lambda tasks: [tasks[len(tasks) * part // 4] for part in (1, 2, 3)],
    "between keys": lambda tasks: [UUID(int=(tasks[k].int + tasks[k + 1].int) // 2) for k in (50, 51, 52)],
    "some empty": lambda tasks: [UUID(int=2), UUID(int=3), tasks[40], tasks[-1], UUID(int=2**128 - 3)],
}


@pytest.fixture
def each_way(invite: Callable[[Invite], None], helpers: InThreads) -> Callable[[UUID], Iterator[Job]]:
    """Jobs of an organization, done: by the leader alone, by a helper while the leader waits, by all at once."""

    def jobs(organization: UUID) -> Iterator[Job]:
        answers: list[Invite] = [
            nobody,
            lambda job_id, names: helpers.start(job_id).join(),
            lambda job_id, names: [helpers.start(job_id, WorkerIdentity(name, "host", 1)) for name in names],
        ]
        for by in answers:
            invite(by)
            yield run(new_job(organization))

    return jobs


class TestTheSameResult:
    @pytest.mark.parametrize("drift", [scatter, in_one_place, everywhere, nowhere], ids=lambda drift: drift.__name__)
    @pytest.mark.parametrize("where", WHERE_CUT)
    def test_by_one_worker_by_a_helper_and_by_several(
        self,
        company: Company,
        large: UUID,
        use_estate: EstateWriter,
        each_way: Callable[[UUID], Iterator[Job]],
        monkeypatch: pytest.MonkeyPatch,
        drift: Callable[..., None],
        where: str,
    ) -> None:
        tasks = company.tasks(large)
        cuts = WHERE_CUT[where](tasks)
        drift(company, tasks, cuts)
        use_estate(chunk_rows=10, split_tasks=0)
        undivided = run(new_job(large))
        assert not undivided.ranges.exists()
        use_estate(chunk_rows=10, split_tasks=100)
        monkeypatch.setattr(splitting, "find_cuts", lambda *_: (cuts, "cut by a test"))
        for job in each_way(large):
            assert result(job) == result(undivided)
            parts = list(job.ranges.order_by("number"))
            assert len(parts) == len(cuts) + 1
            assert {part.state for part in parts} == {RangeState.DONE}
            assert sum(part.scanned for part in parts) == job.scanned
            assert sum(part.drift for part in parts) == job.drift_found

    def test_published_and_verified(
        self,
        company: Company,
        large: UUID,
        indexer: IndexerThread,
        invite: Callable[[Invite], None],
        helpers: InThreads,
    ) -> None:
        tasks = company.tasks(large)
        company.in_source(CHANGED, tasks[::2])
        invite(lambda job_id, names: helpers.start(job_id).join(0.1))
        job = run(new_job(large, Mode.SYNC))
        assert (job.state, job.published, job.verified, job.unresolved) == (JobState.DONE, *[len(tasks[::2])] * 2, 0)
        assert sum(part.published for part in job.ranges.all()) == job.published
        assert company.drift() == 0


def test_what_has_to_settle_in_one_range_does_not_hold_up_the_next(
    company: Company, large: UUID, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_walk, "MOST_ROWS", 1_000)
    use_estate(chunk_rows=1_000, split_tasks=100, split_ranges=4, settle_time="2s")
    tasks = company.tasks(large)
    for place in (10, 100, 180, len(tasks) - 10):
        company.in_index(ORPHAN, UUID(int=tasks[place].int + 1), tasks[place])
    take, settle, seen = RangeQuerySet.take, Check._settled, []

    def taking(self: RangeQuerySet, *args: Any, **options: Any) -> JobRange | None:
        if part := take(self, *args, **options):
            seen.append("taken")
        return part

    def settling(self: Check, judged: JudgedLook, stopped: threading.Event) -> JudgedLook:
        if judged.ageless:
            seen.append("settled")
        return settle(self, judged, stopped)

    monkeypatch.setattr(RangeQuerySet, "take", taking)
    monkeypatch.setattr(Check, "_settled", settling)
    job = run(new_job(large))
    assert (job.state, job.orphan) == (JobState.DONE, 4)
    assert seen == ["taken"] * 4 + ["settled"] * 4


class TestHelping:
    def test_a_helper_has_an_attempt_for_each_range(
        self, large: UUID, invite: Callable[[Invite], None], helpers: InThreads
    ) -> None:
        invite(lambda job_id, names: helpers.start(job_id).join())
        job = run(new_job(large))
        helped = Attempt.objects.filter(job=job, range_number__gt=0)
        parts = dict(job.ranges.values_list("number", "scanned"))
        assert {attempt.range_number: attempt.walked for attempt in helped} == parts
        assert set(helped.values_list("worker", "outcome")) == {(OTHER_WORKER.name, AttemptOutcome.DONE)}
        assert list(job.attempts.filter(range_number=0).values_list("number", "outcome")) == [(1, "done")]

    def test_invitations_are_withdrawn_when_the_job_is_done(self, large: UUID, queue: redis.Redis) -> None:
        job = run(new_job(large))
        assert job.ranges.count() == 4
        assert queueing._queue("default").get_job_ids() == []
        assert not list(queue.scan_iter("rq:job:*"))

    def test_the_queue_carries_them_as_json(self, queue: redis.Redis) -> None:
        queueing.invite(7, ["1-1", "1-2"])
        first, second = queueing._queue("default").get_jobs()
        assert (first.func_name, list(first.args), first.timeout) == (queueing.HELP_FUNCTION, [7], -1)
        assert first.id != second.id
        assert queueing.waiting() == set()

    def test_redis_away_costs_helpers_only(self, large: UUID, settings: Settings) -> None:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        settings.RQ_QUEUES = {name: entry | {"URL": nowhere} for name, entry in settings.RQ_QUEUES.items()}
        job = run(new_job(large))
        assert (job.state, job.ranges.count()) == (JobState.DONE, 4)

    @pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.RUNNING])
    def test_there_is_nothing_to_do_for_a_job_that_does_not_run(self, large: UUID, state: JobState) -> None:
        job = make_job(organization_id=str(large), state=state)
        JobRange.objects.bulk_create(ranges_between(job, [UUID(int=5)]))
        assert help_with(job.pk)
        assert set(job.ranges.values_list("state", flat=True)) == {RangeState.WAITING}
        assert not job.attempts.exists()

    def test_a_job_without_a_leader_gets_the_helper_for_one(self, large: UUID) -> None:
        job = new_job(large)
        JobRange.objects.bulk_create(ranges_between(job, [UUID(int=5)]))
        Job.objects.filter(pk=job.pk).update(fence=1)
        assert help_job(job.pk) == "done"
        job.refresh_from_db()
        assert (job.state, job.scanned) == (JobState.DONE, job.expected)

    def test_a_failure_is_left_to_the_leader(
        self, company: Company, large: UUID, invite: Callable[[Invite], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = RangeLedger.commit_chunk

        def fail_in_helpers(self: RangeLedger, chunk: ChunkResult) -> JobState:
            if self.leads:
                return commit(self, chunk)
            raise UnavailableError("The index is away.")

        def help_and_fail(job_id: int, names: Sequence[str]) -> None:
            with pytest.raises(UnavailableError):
                help_with(job_id)

        monkeypatch.setattr(RangeLedger, "commit_chunk", fail_in_helpers)
        invite(help_and_fail)
        job = run(new_job(large))
        assert (job.state, job.failures, job.scanned) == (JobState.DONE, 0, job.expected)
        attempt = Attempt.objects.get(job=job, range_number=1)
        assert (attempt.outcome, attempt.error) == (AttemptOutcome.FAILED, "The index is away.")
        assert job.ranges.get(number=1).bad_ends == 1


def started(large: UUID, cuts: Sequence[UUID] = (UUID(int=2**127),)) -> Job:
    """A job that WORKER leads, split, nothing walked yet."""
    job, _ = claim(new_job(large))
    JobRange.objects.bulk_create(ranges_between(job, cuts))
    return job


def take(job: Job, worker: WorkerIdentity = OTHER_WORKER) -> JobRange:
    """A range taken by a worker that helps, and then does nothing."""
    with Session() as session:
        taken = Helper(job.pk, session, worker)._take()
    assert taken is not None
    return taken


def ledger_of(job: Job, part: JobRange, *, leads: bool = False) -> RangeLedger:
    of_job = Ledger if leads else HelpersLedger
    return RangeLedger(of_job(job.pk, job.fence), part)


def chunk(upto: str | None, scanned: int = 1) -> ChunkResult:
    return ChunkResult(upto, scanned, 0, (), ())


class TestLosingWorkers:
    def test_a_silent_helpers_range_goes_on_from_its_checkpoint(self, large: UUID) -> None:
        job = started(large)
        part = take(job)
        ledger_of(job, part).commit_chunk(chunk("checkpoint", 7))
        fall_silent_in(part, SILENCE_SECONDS - 2)
        assert recover_silent_ranges() == 0
        fall_silent_in(part, SILENCE_SECONDS + 1)
        assert (recover_silent_ranges(), recover_silent_ranges()) == (1, 0)
        part.refresh_from_db()
        assert (part.state, part.checkpoint, part.scanned, part.bad_ends) == (RangeState.WAITING, "checkpoint", 7, 1)
        attempt = Attempt.objects.get(job=job, range_number=1)
        assert (attempt.outcome, attempt.walked) == (AttemptOutcome.VANISHED, 7)
        assert "fell silent. Another worker goes on from its checkpoint." in messages(job)[-1]
        job.refresh_from_db()
        assert (job.state, job.stalled_attempts) == (JobState.RUNNING, 0)

    def test_a_killed_helpers_range_goes_on_at_once(self, large: UUID) -> None:
        job = started(large)
        part = take(job)
        arguments = {"worker": OTHER_WORKER.name, "function": queueing.HELP_FUNCTION, "args": (job.pk,)}
        work_horse_killed.send(sender=None, **arguments, wait_status=9, peak_memory=1 << 20)
        part.refresh_from_db()
        job.refresh_from_db()
        assert (part.state, part.bad_ends, job.state) == (RangeState.WAITING, 1, JobState.RUNNING)
        attempt = Attempt.objects.get(job=job, range_number=1)
        assert (attempt.outcome, attempt.peak_memory) == (AttemptOutcome.KILLED, 1 << 20)

    def test_a_killed_leaders_range_waits_and_the_job_is_queued(self, large: UUID) -> None:
        job = started(large)
        with Ledger(job.pk, job.fence).held() as held:
            part = JobRange.objects.take(held, held.worker)
        assert part is not None
        other = take(job)
        arguments = {"worker": WORKER.name, "function": queueing.JOB_FUNCTION, "args": (job.pk,)}
        work_horse_killed.send(sender=None, **arguments, wait_status=9, peak_memory=None)
        states = dict(JobRange.objects.filter(job=job).values_list("number", "state"))
        assert states == {part.number: RangeState.WAITING, other.number: RangeState.RUNNING}
        assert Job.objects.get(pk=job.pk).state == JobState.QUEUED

    def test_a_helper_that_comes_back_changes_nothing(self, large: UUID) -> None:
        job = started(large)
        part = take(job)
        old = ledger_of(job, part)
        fall_silent_in(part)
        recover_silent_ranges()
        take(job)
        again = take(job, WorkerIdentity("third", "host", 3))
        assert (again.number, again.fence) == (part.number, part.fence + 1)
        with pytest.raises(FenceLostError):
            old.commit_chunk(chunk("x"))
        with pytest.raises(FenceLostError):
            old.state()
        job.refresh_from_db()
        assert job.scanned == 0

    def test_a_leader_that_comes_back_changes_nothing(self, large: UUID) -> None:
        job = started(large)
        with Ledger(job.pk, job.fence).held() as held:
            part = JobRange.objects.take(held, held.worker)
        assert part is not None
        old = ledger_of(job, part, leads=True)
        Job.objects.give_back(job.pk, job.fence)
        claim(job, OTHER_WORKER)
        with pytest.raises(FenceLostError):
            old.commit_chunk(chunk("x"))

    def test_what_a_helper_published_is_written_down_though_the_leader_is_gone(self, large: UUID) -> None:
        job = started(large)
        ledger = ledger_of(job, take(job))
        Job.objects.give_back(job.pk, job.fence)
        assert ledger.commit_chunk(chunk("x", 3)) is JobState.QUEUED
        job.refresh_from_db()
        assert (job.scanned, job.heartbeat_at) == (3, None)

    def test_a_helpers_life_and_progress_do_not_hide_that_leaders_die(self, large: UUID) -> None:
        job = started(large)
        ledger = ledger_of(job, take(job))
        Job.objects.filter(pk=job.pk).update(stalled_attempts=2)
        fall_silent(job, 3600)
        ledger.commit_chunk(chunk("x"))
        ledger.state()
        job.refresh_from_db()
        assert job.stalled_attempts == 2
        assert list(Job.objects.silent_for(SILENCE_SECONDS)) == [job]

    def test_a_range_in_which_workers_die_is_the_leaders_and_its_last(self, large: UUID) -> None:
        job = started(large, [UUID(int=5), UUID(int=6)])
        job.ranges.filter(number=1).update(bad_ends=ranges.MOST_BAD_ENDS + 1)
        assert [take(job).number, take(job).number] == [2, 3]
        with Session() as session:
            assert Helper(job.pk, session, OTHER_WORKER)._take() is None
        with Ledger(job.pk, job.fence).held() as held:
            part = JobRange.objects.take(held, held.worker)
        assert part is not None
        assert part.number == 1

    def test_a_range_is_taken_once(self, large: UUID) -> None:
        job = started(large, [UUID(int=number) for number in range(1, 8)])
        taken: list[int] = []

        def take_all(name: str) -> None:
            with Session() as session:
                helper = Helper(job.pk, session, WorkerIdentity(name, "host", 1))
                while found := helper._take():
                    taken.append(found.number)
            connections.close_all()

        threads = [threading.Thread(target=take_all, args=(f"worker-{number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == list(range(1, 9))


def fall_silent_in(part: JobRange, seconds: float = 60) -> None:
    JobRange.objects.filter(pk=part.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))


class TestGoingOn:
    def test_the_next_leader_goes_on_from_each_checkpoint(
        self, company: Company, large: UUID, monkeypatch: pytest.MonkeyPatch, invite: Callable[[Invite], None]
    ) -> None:
        """Stopped in the second range; nothing that was walked is walked again."""
        company.in_source(CHANGED, company.tasks(large)[::3])
        invite(nobody)
        whole = result(run(new_job(large)))
        commit, count = RangeLedger.commit_chunk, iter(range(1000))

        def stop_after_a_while(self: RangeLedger, chunk: ChunkResult) -> JobState:
            if next(count) == 11:
                raise UnavailableError("The broker is away.")
            return commit(self, chunk)

        monkeypatch.setattr(RangeLedger, "commit_chunk", stop_after_a_while)
        job = new_job(large)
        with pytest.raises(UnavailableError):
            run(job)
        assert (job.state, job.scanned > 0) == (JobState.RETRYING, True)
        assert not job.ranges.running().exists()
        Job.objects.filter(pk=job.pk).update(not_before=None)
        assert result(run(job)) == whole
        assert any("Going on with" in message for message in messages(job))

    def test_other_settings_meanwhile_leave_its_ranges_as_they_are(
        self, large: UUID, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Split ones are walked in their ranges to the end, also where the walk is another one by now."""
        job = started(large)
        Job.objects.give_back(job.pk, job.fence)
        use_estate(chunk_rows=10, split_tasks=0)
        monkeypatch.setattr(walking, "SMALL_ORGANIZATION", 2_000)
        run(job)
        assert (job.state, job.ranges.count(), job.scanned) == (JobState.DONE, 2, job.expected)


class TestStopping:
    @pytest.mark.parametrize(
        ("ask", "state"), [("ask_to_cancel", JobState.CANCELLED), ("ask_to_pause", JobState.PLANNED)]
    )
    def test_the_job_has_stopped_when_no_worker_walks_it_any_more(
        self,
        company: Company,
        large: UUID,
        monkeypatch: pytest.MonkeyPatch,
        invite: Callable[[Invite], None],
        helpers: InThreads,
        ask: str,
        state: JobState,
    ) -> None:
        company.in_source(CHANGED, company.tasks(large))
        commit, both_work, asked = RangeLedger.commit_chunk, threading.Barrier(2), threading.Event()
        seen: list[str] = []

        def first_commit(self: RangeLedger, chunk: ChunkResult) -> JobState:
            both_work.wait(20)
            if self.leads:
                getattr(Job.objects.filter(pk=self.job_id), ask)()
                asked.set()
            else:
                asked.wait(20)
                threading.Event().wait(0.5)  # longer than a leader that did not wait would take to its end
                seen.append(Job.objects.get(pk=self.job_id).state)
            return commit(self, chunk)

        monkeypatch.setattr(RangeLedger, "commit_chunk", first_commit)
        invite(lambda job_id, names: helpers.start(job_id))
        job = run(new_job(large))
        assert job.state == state
        assert seen == [{"ask_to_cancel": "cancelling", "ask_to_pause": "pausing"}[ask]]
        assert not job.ranges.running().exists()
        assert not job.attempts.filter(outcome=AttemptOutcome.RUNNING).exists()
        assert job.drift_found == Drift.objects.filter(job=job).count() == job.scanned > 0
