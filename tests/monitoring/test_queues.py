"""Queues: what is too much, what comes and goes, pausing one, and what the page says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django_rq
import pytest
import redis
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from monitoring.pipeline import samples
from monitoring.pipeline.models import PausedQueue, Sample
from monitoring.pipeline.operations import queues as operations
from monitoring.pipeline.operations.sampling import sample_queues, subject_of
from monitoring.pipeline.queues import QueueState, flow, read_queues, state_of
from opsconsole.access import Role
from opsconsole.audit import CLOCK
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.estate.model import QueueLimits
from opsconsole.models import AuditEntry
from opsconsole.pauses import PAUSED_KEY, paused_queues
from tests.monitoring.processes import wait_for, worker
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIMITS = QueueLimits(depth=10, age=30.0, job_time=120.0)


def push(queue: str, file: Path | None = None) -> None:
    """A message whose job makes a file, or does nothing."""
    django_rq.get_queue(queue).enqueue(*(("os.mkdir", str(file)) if file else ("os.getpid",)))


class TestDecisions:
    @pytest.mark.parametrize(
        ("depth", "oldest", "paused", "state"),
        [
            (0, None, False, QueueState.EMPTY),
            (10, 30.0, False, QueueState.MOVING),
            (11, 1.0, False, QueueState.NEED),
            (1, 30.5, False, QueueState.NEED),
            (500, 900.0, True, QueueState.PAUSED),
        ],
    )
    def test_state(self, depth: int, oldest: float | None, paused: bool, state: QueueState) -> None:
        assert state_of(depth, oldest, LIMITS, paused=paused) is state

    @given(before=st.integers(0, 1000), came=st.integers(0, 500), went=st.integers(0, 500), taken=st.integers(0, 10**6))
    def test_flow_finds_what_came_and_went(self, before: int, came: int, went: int, taken: int) -> None:
        went = min(went, before + came)
        found = flow({"depth": before, "taken": taken}, before + came - went, taken + went, 60.0)
        assert (found.came, found.went) == (came, went)

    def test_flow_is_unknown_after_redis_was_emptied(self) -> None:
        assert flow({"depth": 5, "taken": 100}, 0, 2, 15.0).went is None
        assert flow(None, 3, 4, 15.0).came is None


@pytest.mark.usefixtures("committed")
class TestReading:
    def test_depth_age_and_counts(self, queue: redis.Redis) -> None:
        push("high")
        push("high")
        high, default, low = read_queues(datetime.now(UTC) + timedelta(seconds=40))
        assert (high.name, high.depth, default.depth, low.depth) == ("high", 2, 0, 0)
        assert high.oldest is not None
        assert 39 < high.oldest < 50
        assert default.oldest is None

    def test_samples_say_what_a_minute_brought(self, queue: redis.Redis) -> None:
        sample_queues(NOW)
        for _ in range(3):
            push("default")
        sample_queues(NOW + timedelta(seconds=15))
        (latest,) = Sample.objects.filter(subject=subject_of("default"), at__gt=NOW)
        assert (latest.figures["depth"], latest.figures["came"], latest.figures["went"]) == (3, 12.0, 0.0)

    def test_without_redis_there_is_no_sample_and_no_failure(self, settings: Any) -> None:
        for one in settings.RQ_QUEUES.values():
            one["URL"], one["was"] = "redis://127.0.0.1:1/0", one["URL"]
        try:
            with pytest.raises(UnavailableError, match="Redis cannot be reached"):
                read_queues(NOW)
            sample_queues(NOW)
            page = client_of(Role.VIEWER).get("/pipeline/queues/")
            assert page.status_code == 200
            assert "Redis cannot be reached" in page.content.decode()
        finally:
            for one in settings.RQ_QUEUES.values():
                one["URL"] = one.pop("was")
        assert not Sample.objects.exists()

    def test_samples_are_thinned_and_forgotten(self) -> None:
        second = timedelta(seconds=1)
        ages = [*(timedelta(hours=7) + 15 * second * place for place in range(40)), 31 * timedelta(days=1), 15 * second]
        Sample.objects.bulk_create(Sample(subject="lag", at=NOW - age, figures={}) for age in ages)
        samples.thin(NOW)
        left = list(Sample.objects.values_list("at", flat=True))
        assert len(left) == 4  # ten minutes thinned to two or three, and the fresh one
        assert samples.thin(NOW) == 0


@pytest.mark.usefixtures("committed")
class TestPausing:
    def test_a_paused_queue_is_not_taken_from_and_others_are(
        self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path
    ) -> None:
        operations.pause("default", CLOCK, "the source is being moved")
        held, other = tmp_path / "held", tmp_path / "other"
        push("default", held)
        push("high", other)
        with worker("worker", servers, tmp_path):
            wait_for(other.exists, "the other queue moves")
            assert not held.exists()
            operations.resume("default", CLOCK, "moved")
            wait_for(held.exists, "the queue moves again")

    def test_a_waiting_worker_takes_nothing_from_a_queue_paused_meanwhile(
        self, queue: redis.Redis, servers: ServerAddresses, tmp_path: Path
    ) -> None:
        """It waits for a message in a call that began before the pause."""
        with worker("worker", servers, tmp_path, "default"):
            ready, held = tmp_path / "ready", tmp_path / "held"
            push("default", ready)
            wait_for(ready.exists, "the worker is up")
            operations.pause("default", CLOCK, "stop")
            push("default", held)
            wait_for(lambda: queue.llen("rq:queue:default") == 1 and b"idle" in states(queue), "it was put back")
            assert not held.exists()
            assert queue.llen("rq:queue:default:intermediate") == 0

    def test_acts_are_audited_and_refuse_what_is_not_so(self, queue: redis.Redis) -> None:
        operations.pause("low", CLOCK, "too much")
        with pytest.raises(UsageError, match="is paused already"):
            operations.pause("low", CLOCK, "again")
        operations.resume("low", CLOCK, "enough")
        with pytest.raises(UsageError, match="is not paused"):
            operations.resume("low", CLOCK, "again")
        with pytest.raises(UsageError, match="no queue 'middle'"):
            operations.pause("middle", CLOCK, "x")
        acts = list(AuditEntry.objects.order_by("pk").values_list("action", "reason"))
        assert acts == [("queue.paused", "too much"), ("queue.resumed", "enough")]

    def test_the_clock_tells_workers_again_after_redis_was_emptied(self, queue: redis.Redis) -> None:
        operations.pause("low", CLOCK, "too much")
        queue.flushall()
        assert not paused_queues(queue)
        operations.tell_workers_again()
        assert paused_queues(queue) == {"low"}
        PausedQueue.objects.all().delete()
        operations.tell_workers_again()
        assert not queue.exists(PAUSED_KEY)


def states(client: redis.Redis) -> set[bytes | str | None]:
    return {client.hget(key, "state") for key in client.smembers("rq:workers")}


def figures(depth: int) -> dict[str, Any]:
    return {"depth": depth, "oldest": 1.5, "failed": 0, "taken": depth, "came": 1.0, "went": None}


@pytest.mark.usefixtures("committed")
class TestPages:
    def test_the_page_says_that_nobody_listens(self, queue: redis.Redis) -> None:
        push("high")
        text = client_of(Role.VIEWER).get("/pipeline/queues/").content.decode()
        assert "1 message in high, and no living worker listens to it" in text
        assert "Pause" not in text

    def test_pause_and_resume_by_the_pages(self, queue: redis.Redis) -> None:
        client = client_of(Role.OPERATOR)
        assert client.get("/pipeline/queues/high/pause/").status_code == 200
        assert client.post("/pipeline/queues/high/pause/", {"reason": ""}).status_code == 400
        assert client.post("/pipeline/queues/high/pause/", {"reason": "load"}, follow=True).status_code == 200
        assert "was paused by" in client.get("/pipeline/queues/").content.decode()
        assert client.post("/pipeline/queues/high/pause/", {"reason": "load"}).status_code == 400
        client.post("/pipeline/queues/high/resume/", {"reason": "gone"})
        assert not PausedQueue.objects.exists()
        assert client.get("/pipeline/queues/none/pause/").status_code == 404

    def test_a_viewer_changes_nothing(self, queue: redis.Redis) -> None:
        client = client_of(Role.VIEWER)
        for address in (
            "queues/high/pause",
            "queues/high/resume",
            "queues/high/restart",
            "workers/x/restart",
            "limits",
        ):
            assert client.post(f"/pipeline/{address}/", {"reason": "x"}).status_code == 403

    def test_the_page_costs_the_same_with_much_and_with_nothing(
        self, queue: redis.Redis, django_assert_max_num_queries: Any
    ) -> None:
        client: Client = client_of(Role.OPERATOR)
        for name in ("high", "default", "low"):
            Sample.objects.bulk_create(
                Sample(subject=subject_of(name), at=datetime.now(UTC) - timedelta(seconds=15 * n), figures=figures(n))
                for n in range(1, 1_000)
            )
        with django_assert_max_num_queries(14):
            assert client.get("/pipeline/queues/").status_code == 200
