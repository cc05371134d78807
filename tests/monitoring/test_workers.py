"""Workers: killed, stopped, unregistered, too long at one job; and the stuck check in words."""

from __future__ import annotations

import re
import signal
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import redis
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from monitoring.pipeline import beats, hosts, progress
from monitoring.pipeline.models import JobProgress, WorkerBeat
from monitoring.pipeline.progress import RunningJob
from monitoring.pipeline.stuck import JobLook, QueueLook, find_stuck
from monitoring.pipeline.workers import Registered, WorkerState, state_of
from opsconsole.access import Role
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.models import AuditEntry
from opsconsole.tones import Tone
from sync.models import Attempt, Job, JobKind
from tests.monitoring.processes import running, wait_for, worker
from tests.sync.jobs import WORKER, claim, make_job
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TIMES = {"high": 120.0, "default": 3600.0}
AFTER = 300.0


def registered(age: float = 1.0, state: str = "idle") -> Registered:
    return Registered("w", "host", 7, state, ("high",), NOW - timedelta(seconds=age), 3, 1, "")


def sign(age: float = 1.0, seen: str = "") -> WorkerBeat:
    return WorkerBeat(name="w", host="host", pid=7, beat_at=NOW - timedelta(seconds=age), seen=seen)


def job(running: float, standing: float = 0.0, queue: str = "high") -> RunningJob:
    return RunningJob(1, "w", queue, "Northwind", "id", running, standing)


class TestState:
    @pytest.mark.parametrize(
        ("rq", "beat", "jobs", "state"),
        [
            (registered(), sign(), [], WorkerState.IDLE),
            (registered(state="busy"), sign(), [], WorkerState.BUSY),
            (registered(), sign(), [job(119)], WorkerState.BUSY),
            (registered(), sign(), [job(121)], WorkerState.LONG),
            (registered(), sign(), [job(121, queue="default")], WorkerState.BUSY),
            (registered(20), sign(20), [], WorkerState.LATE),
            (registered(20), sign(14), [], WorkerState.IDLE),
            (registered(20), sign(20, "gone"), [], WorkerState.GONE),
            (registered(20), sign(20, "stopped"), [job(500)], WorkerState.STOPPED),
            (None, sign(), [], WorkerState.UNREGISTERED),
            (None, sign(60), [], WorkerState.LATE),
            (registered(), None, [], WorkerState.IDLE),
        ],
    )
    def test_what_a_worker_is_doing(
        self, rq: Registered | None, beat: WorkerBeat | None, jobs: list[RunningJob], state: WorkerState
    ) -> None:
        assert state_of(rq, beat, jobs, TIMES, NOW) is state

    def test_without_redis_nobody_is_called_unregistered(self) -> None:
        assert state_of(None, sign(), [], TIMES, NOW, registry_known=False) is WorkerState.IDLE


looks = st.builds(
    QueueLook,
    name=st.just("high"),
    depth=st.integers(0, 10**6),
    oldest=st.none() | st.floats(0, 10**6),
    went=st.none() | st.integers(0, 1000),
    seconds=st.floats(0, 1000),
    listening=st.integers(0, 9),
    busy=st.integers(0, 9),
    paused=st.booleans(),
)
job_looks = st.builds(
    JobLook,
    number=st.integers(1, 10**6),
    worker=st.just("w"),
    running=st.floats(0, 10**6),
    standing=st.floats(0, 10**6),
    job_time=st.floats(1, 10**5),
)


class TestStuck:
    @given(st.lists(looks, max_size=4), st.lists(job_looks, max_size=6))
    def test_problems_come_first_and_every_sentence_names_its_subject(
        self, queues: list[QueueLook], jobs: list[JobLook]
    ) -> None:
        found = find_stuck(queues, jobs, AFTER)
        tones = [one.tone is Tone.PROBLEM for one in found]
        assert tones == sorted(tones, reverse=True)
        assert all(str(one.job) in one.sentence if one.job else one.queue in one.sentence for one in found)
        assert len(found) <= len(queues) + len(jobs)

    @given(looks)
    def test_an_empty_queue_is_never_stuck(self, look: QueueLook) -> None:
        assert bool(find_stuck([look], [], AFTER)) <= bool(look.depth)

    @given(looks.filter(lambda look: look.depth and not look.paused and not look.listening))
    def test_messages_without_a_worker_are_always_a_problem(self, look: QueueLook) -> None:
        (found,) = find_stuck([look], [], AFTER)
        assert (found.tone, found.queue) == (Tone.PROBLEM, "high")

    @given(looks.filter(lambda look: look.depth and look.listening and not look.paused), st.integers(1, 100))
    def test_what_moves_is_not_stuck(self, look: QueueLook, went: int) -> None:
        moving = QueueLook(look.name, look.depth, look.oldest, went, look.seconds, look.listening, look.busy)
        assert find_stuck([moving], [], AFTER) == []

    @given(job_looks)
    def test_a_job_is_a_problem_exactly_when_it_stands(self, look: JobLook) -> None:
        found = find_stuck([], [look], AFTER)
        assert [one.tone is Tone.PROBLEM for one in found] == (
            [True] if look.standing > AFTER else [False] if look.running > look.job_time else []
        )

    def test_the_sentences(self) -> None:
        free = QueueLook("high", 1_200, 900.0, 0, 300.0, 4, 1)
        busy = QueueLook("default", 1, 900.0, 0, 310.0, 2, 2)
        first, second = find_stuck([free, busy], [], AFTER)
        assert first.sentence == (
            "1,200 messages in high, none taken in the last 5 min, with 3 of 4 workers free: restart them."
        )
        assert second.sentence.endswith("with 2 of 2 workers busy with other work.")


@pytest.mark.usefixtures("committed")
class TestProgress:
    def test_a_job_that_moves_is_followed_and_one_that_ended_is_dropped(self) -> None:
        job, _ = claim(make_job(kind=JobKind.TASKS, organization_id="", task_ids=["x"]))
        start = timezone.now()
        assert progress.follow(start) == 1
        progress.follow(start + timedelta(minutes=4))
        (running,) = progress.running_jobs(start + timedelta(minutes=5))
        assert (running.number, running.queue, running.worker) == (job.pk, "high", WORKER.name)
        assert running.standing == pytest.approx(300)
        Job.objects.filter(pk=job.pk).update(scanned=5)
        progress.follow(start + timedelta(minutes=6))
        assert progress.running_jobs(start + timedelta(minutes=6))[0].standing == 0
        Job.objects.filter(pk=job.pk).update(state="done")
        assert progress.follow(start + timedelta(minutes=7)) == 0
        assert not JobProgress.objects.exists()

    def test_looking_costs_the_same_with_many_jobs(self, django_assert_num_queries: Any) -> None:
        for _ in range(30):
            claim(make_job())
        with django_assert_num_queries(2):
            assert len(progress.running_jobs(timezone.now())) == 30


def said(role: Role = Role.VIEWER) -> str:
    text = client_of(role).get("/pipeline/workers/").content.decode()
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


@pytest.mark.usefixtures("committed")
class TestRealProcesses:
    """What the page says within 30 seconds. The clock, or another worker, looks after the silent one."""

    def test_killed_stopped_and_unregistered(
        self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path
    ) -> None:
        with (
            running("clock", servers, tmp_path, "clock"),
            worker("one", servers, tmp_path) as killed,
            worker("two", servers, tmp_path) as stopped,
        ):
            wait_for(lambda: WorkerBeat.objects.count() == 2, "both have given a sign")
            assert "is gone" not in said()
            killed.kill()
            stopped.send(signal.SIGSTOP)
            wait_for(lambda: f"its process {killed.pid}" in said() and "is gone, without a word" in said(), "gone")
            wait_for(lambda: "is stopped (SIGSTOP" in said(), "stopped")
            stopped.send(signal.SIGCONT)
            wait_for(lambda: "is stopped (SIGSTOP" not in said(), "it goes on")
            queue.flushall()
            wait_for(lambda: "Redis does not have it" in said(), "not registered")

    def test_a_neighbour_says_it_without_a_clock(
        self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path
    ) -> None:
        with worker("one", servers, tmp_path) as killed, worker("two", servers, tmp_path):
            wait_for(lambda: WorkerBeat.objects.count() == 2, "both have given a sign")
            killed.kill()
            wait_for(lambda: "is gone, without a word" in said(), "gone")

    def test_restart_ends_a_worker_in_order(self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path) -> None:
        with worker("one", servers, tmp_path) as child:
            wait_for(lambda: WorkerBeat.objects.exists() and bool(queue.smembers("rq:workers")), "it is there")
            name = WorkerBeat.objects.get().name
            client = client_of(Role.OPERATOR)
            assert client.get(f"/pipeline/workers/{name}/restart/").status_code == 200
            assert client.post(f"/pipeline/workers/{name}/restart/", {"reason": "deaf"}).status_code == 302
            wait_for(lambda: not child.alive, "it ended")
            assert child.exit_status == 0
            assert not WorkerBeat.objects.exists()
            assert AuditEntry.objects.filter(action="worker.restarted", reason="deaf").exists()

    def test_restart_of_all_of_a_queue(self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path) -> None:
        with worker("one", servers, tmp_path, "high") as high, worker("two", servers, tmp_path, "low") as low:
            wait_for(lambda: WorkerBeat.objects.count() == 2, "both have given a sign")
            client = client_of(Role.OPERATOR)
            assert client.post("/pipeline/queues/high/restart/", {"reason": "stuck"}).status_code == 302
            wait_for(lambda: not high.alive, "it ended")
            assert low.alive


@pytest.mark.usefixtures("committed")
class TestActs:
    def test_a_worker_that_is_gone_cannot_be_restarted(self, queue: redis.Redis) -> None:
        WorkerBeat.objects.create(name="w", host="h", space="s", pid=1, identity="1 1", queues=["high"])
        client = client_of(Role.OPERATOR)
        answer = client.post("/pipeline/workers/w/restart/", {"reason": "x"})
        assert answer.status_code == 400
        assert "does not listen" in answer.content.decode()
        assert not AuditEntry.objects.filter(action="worker.restarted").exists()
        assert client.get("/pipeline/workers/none/restart/").status_code == 404

    def test_a_job_over_the_limit_of_its_kind_is_marked_and_can_be_stopped(self, queue: redis.Redis) -> None:
        job, attempt = claim(make_job(kind=JobKind.TASKS, organization_id="", task_ids=["x"]))
        Attempt.objects.filter(pk=attempt.pk).update(started_at=timezone.now() - timedelta(minutes=3))
        space = hosts.own_space()
        WorkerBeat.objects.create(name=WORKER.name, host="h", space=space, pid=1, identity="1", queues=["high"])
        text = client_of(Role.OPERATOR).get("/pipeline/workers/").content.decode()
        assert "Job runs too long" in text
        assert f"/sync/jobs/{job.pk}/stop/" in text

    def test_a_number_used_again_is_not_the_same_process(self) -> None:
        space = hosts.own_space()
        assert space
        old = timezone.now() - timedelta(minutes=1)
        WorkerBeat.objects.create(name="w", host="h", space=space, pid=1, identity="1 12345678901", beat_at=old)
        assert beats.look_after_neighbours() == 1
        assert WorkerBeat.objects.get().seen == "gone"

    def test_those_of_other_machines_are_left_to_their_neighbours(self) -> None:
        old = timezone.now() - timedelta(hours=2)
        WorkerBeat.objects.create(name="w", host="h", space="elsewhere", pid=1, identity="1 1", beat_at=old)
        assert beats.look_after_neighbours() == 0
        assert WorkerBeat.objects.get().seen == ""
        assert beats.forget_old() == 1
