"""Publishing held back: against a real broker, source and database, with the job in a thread, or in real workers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata
from pytest_django import Settings

from opsconsole import audit, estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.gap import make_gap
from opsconsole.demo.processes import wait_until
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.models import AuditEntry
from sync.control import Control
from sync.jobs import run_as
from sync.lag import LagReader
from sync.ledger import Ledger
from sync.models import Batch, BatchState, Job, JobState, Mode, Step
from sync.operations import batches
from sync.operations.ladder import climb
from sync.throttle.decision import Limits, Rate
from sync.throttle.limits import LimitsOfJob, LiveEstate
from sync.throttle.rates import reserve
from sync.throttle.readings import Gauge, Readings
from tests.company import API_VERSION, Company, EstateWriter, read_topic
from tests.sync.jobs import WORKER, claim, make_job, messages

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

PATIENCE = 20.0
ACTOR = audit.actor_of_command()


class Throttled:
    """Writes the test's estate with a throttle."""

    def __init__(self, write: EstateWriter, settings: Settings) -> None:
        self._write = write
        self._settings = settings

    def __call__(self, text: str) -> estate.Estate:
        self._write(verify_timeout="0s", chunk_rows=1_000)
        path = Path(self._settings.ESTATE)
        path.write_text(f"{path.read_text(encoding='utf-8')}\n[throttle]\n{text}\n", encoding="utf-8")
        estate.reset()
        return estate.current()


@pytest.fixture
def throttled(use_estate: EstateWriter, settings: Settings) -> Throttled:
    return Throttled(use_estate, settings)


class Running:
    """A job run by a thread of the test."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error: BaseException | None = None
        self.outcome = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = run_as(self.job.pk, WORKER)
        except UnavailableError as error:
            self.error = error
        finally:
            connections.close_all()

    def ended(self) -> Job:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self.job.refresh_from_db()
        return self.job

    def until(self, condition: Callable[[Job], bool]) -> Job:
        def holds() -> bool:
            self.job.refresh_from_db()
            return condition(self.job)

        assert wait_until(holds, PATIENCE), (self.job.state, self.job.waits_for, messages(self.job))
        return self.job


@pytest.fixture
def start(company: Company) -> Iterator[Callable[..., Running]]:
    """Starts a sync of the largest organization, of which many tasks are out of sync."""
    started: list[Running] = []

    def begin(**fields: Any) -> Running:
        organization = company.organizations()[0]
        company.in_source(
            "UPDATE tasks SET title = 'Renamed', version = version + 1, updated_at = '2026-01-01T00:00Z'"
            " WHERE organization_id = %s",
            organization,
        )
        job = make_job(organization_id=str(organization), mode=Mode.SYNC, **fields)
        started.append(Running(job))
        return started[-1]

    yield begin
    for one in started:
        Job.objects.filter(pk=one.job.pk).ask_to_cancel()
        one.ended()


def make_batch(**fields: Any) -> Batch:
    return Batch.objects.create(
        mode=Mode.SYNC, size=1, created_by="tests", trace_id="00000000-0000-4000-8000-000000000000", **fields
    )


def commit_up_to(servers: ServerAddresses, topic: str, share: float) -> int:
    """The indexer's group has taken this share of each partition. Returns how many messages that leaves."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers.kafka_bootstrap,
        api_version=API_VERSION,
        group_id="task-indexer",
        enable_auto_commit=False,
    )
    try:
        partitions = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        taken = {one: int(end * share) for one, end in ends.items()}
        consumer.commit({one: OffsetAndMetadata(number, "", -1) for one, number in taken.items()})
        left: int = sum(ends.values()) - sum(taken.values())
        return left
    finally:
        consumer.close()


class TestLag:
    @pytest.fixture
    def behind(self, servers: ServerAddresses, topic: str, company: Company, throttled: Throttled) -> int:
        """300 messages in the topic, none of them taken."""
        throttled("")
        gap = make_gap(company.source_owner_url, seed=1, size=120, organizations=4)
        for organization in gap.organizations:
            run_as(make_job(organization_id=str(organization), mode=Mode.SYNC).pk, WORKER)
        return len(read_topic(servers.kafka_bootstrap, topic))

    def test_reads_what_the_group_has_still_to_take(self, behind: int, servers: ServerAddresses, topic: str) -> None:
        reader = LagReader(estate.current().kafka)
        try:
            assert reader.read() == behind > 0, "a group that never committed has all of it to take"
            left = commit_up_to(servers, topic, 0.5)
            assert reader.read() == left
        finally:
            reader.close()

    def test_a_job_waits_says_why_once_and_goes_on(
        self, behind: int, throttled: Throttled, start: Callable[..., Running], servers: ServerAddresses, topic: str
    ) -> None:
        throttled('lag_limit = 10\ncheck_every = "500ms"')
        running = start()
        job = running.until(lambda job: bool(job.held_up))
        assert job.waits_for == (
            f"Waiting: the group task-indexer is {behind:,} messages behind, the limit of the estate is 10 "
            "and it goes on at 8."
        )
        left = commit_up_to(servers, topic, 0.9)
        running.until(lambda job: f"is {left:,} messages behind" in job.waits_for)
        assert job.published == 0
        assert len(read_topic(servers.kafka_bootstrap, topic)) == behind
        commit_up_to(servers, topic, 1.0)
        job = running.ended()
        assert (job.state, job.held_up) == (JobState.DONE, "")
        assert job.published == job.drift_found > 0
        said = messages(job)
        assert len([line for line in said if line.startswith("Waiting: ")]) == 1
        assert len([line for line in said if line.startswith("Publishing goes on, after a wait of ")]) == 1

    @pytest.mark.parametrize("ask", ["cancel", "pause"])
    def test_a_wait_hears_at_once_that_it_should_end(
        self, behind: int, throttled: Throttled, start: Callable[..., Running], ask: str
    ) -> None:
        throttled("lag_limit = 10")
        batch = make_batch()
        running = start(batch=batch)
        running.until(lambda job: bool(job.held_up))
        asked = time.monotonic()
        if ask == "cancel":
            climb(running.job, Step.CANCEL, ACTOR, "test")
        else:
            batches.pause(batch, ACTOR, "test")
        job = running.ended()
        assert job.state == (JobState.CANCELLED if ask == "cancel" else JobState.PLANNED)
        assert time.monotonic() - asked < 4, "about a second, on a machine that has other things to do"
        assert (job.published, job.held_up) == (0, "")

    def test_a_broker_that_does_not_tell_is_said_and_not_waited_for_for_good(
        self,
        behind: int,
        throttled: Throttled,
        start: Callable[..., Running],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("sync.throttle.decision.UNKNOWN_PATIENCE", 1.0)
        monkeypatch.setattr("sync.lag.LagReader.read", _refuse)
        throttled('lag_limit = 10\ncheck_every = "500ms"')
        running = start()
        running.until(lambda job: "the lag of the group task-indexer is not known" in job.held_up)
        job = running.ended()
        assert job.state == JobState.RETRYING
        assert "Nothing more is published: the lag of the group task-indexer is not known" in job.error


def _refuse(_: LagReader) -> int:
    raise UnavailableError("Kafka (somewhere) does not tell it (KafkaTimeoutError)")


class TestRate:
    def test_holds_for_all_together(self) -> None:
        """Four processes' worth of callers get what one would."""
        rates = [Rate("estate", "the estate", 200)]
        ends = time.monotonic() + 2.0

        def send() -> int:
            sent = 0
            while time.monotonic() < ends:
                wait = reserve(rates, 20)
                sent += 0 if wait else 20
                time.sleep(min(wait, 0.05))
            connections.close_all()
            return sent

        with ThreadPoolExecutor(4) as pool:
            began = time.monotonic()
            sent = sum(call.result() for call in [pool.submit(send) for _ in range(4)])
        passed = time.monotonic() - began
        assert 200 <= sent <= 200 * (passed + 1)

    def test_takes_from_all_buckets_or_from_none(self) -> None:
        fast, slow = Rate("estate", "the estate", 1_000_000), Rate("batch 1", "batch 1", 1)
        assert wait_until(lambda: reserve([fast, slow], 1) == 0, PATIENCE)
        assert reserve([fast, slow], 1) > 0
        assert reserve([fast], 1) == 0, "the full one gave nothing away"

    def test_a_change_of_the_batch_is_taken_up_while_it_runs(
        self, throttled: Throttled, start: Callable[..., Running]
    ) -> None:
        throttled("")
        batch = make_batch(messages_per_second=2)
        running = start(batch=batch)
        job = running.until(lambda job: bool(job.held_up))
        assert job.waits_for == f"Publishing is held to 2 messages a second, the rate of batch {batch.pk}."
        batches.throttle(batch, 100_000, None, ACTOR, "faster")
        job = running.ended()
        assert job.state == JobState.DONE
        assert job.published == job.drift_found > 100, "at 2 a second that were a minute"
        said = f"Publishing is held to 2 messages a second, the rate of batch {batch.pk}."
        assert messages(job).count(said) == 1

    def test_a_change_of_the_estate_is_taken_up_while_it_runs_and_a_mistake_in_it_is_not(
        self, throttled: Throttled, start: Callable[..., Running]
    ) -> None:
        throttled("messages_per_second = 0")
        running = start()
        job = running.until(lambda job: bool(job.held_up))
        assert job.waits_for == "Waiting: the estate lets no messages out, its rate is 0 a second."
        with pytest.raises(estate.EstateError):
            throttled('messages_per_second = "fast"')
        running.until(lambda job: any("The throttle stays as it was." in line for line in messages(job)))
        throttled("")
        assert running.ended().state == JobState.DONE

    def test_a_stop_within_a_chunk_says_what_went_out(
        self, throttled: Throttled, start: Callable[..., Running], servers: ServerAddresses, topic: str
    ) -> None:
        throttled("messages_per_second = 10")
        running = start()
        assert wait_until(lambda: len(read_topic(servers.kafka_bootstrap, topic)) > 0, PATIENCE)
        climb(running.job, Step.CANCEL, ACTOR, "test")
        job = running.ended()
        out = len(read_topic(servers.kafka_bootstrap, topic))
        assert (job.state, job.published) == (JobState.CANCELLED, 0)
        assert any(
            line.startswith(f"{out} messages of the open chunk went out before the stop") for line in messages(job)
        )


class TestCondition:
    def test_waits_until_it_is_true(
        self, throttled: Throttled, start: Callable[..., Running], company: Company
    ) -> None:
        throttled(
            'source_condition = "NOT EXISTS (SELECT FROM organizations WHERE name = \'Busy\')"\ncheck_every = "500ms"'
        )
        company.in_source("UPDATE organizations SET name = 'Busy' WHERE id = %s", company.organizations()[1])
        running = start()
        job = running.until(lambda job: bool(job.held_up))
        assert job.waits_for == "Waiting: the estate's condition on the source is not true."
        company.in_source("UPDATE organizations SET name = 'Idle' WHERE name = 'Busy'")
        assert running.ended().state == JobState.DONE

    @pytest.mark.parametrize(
        ("condition", "sentence"),
        [("pg_sleep(20) IS NULL", "statement timeout of 2 s"), ("42", "gives 42"), ("no", "no")],
    )
    def test_one_that_cannot_be_asked_is_said(self, throttled: Throttled, condition: str, sentence: str) -> None:
        with Readings(throttled("")) as readings:
            figures = readings.figures(Limits(source_condition=condition), 5.0, lambda: None)
        assert figures.source is None
        assert sentence in figures.source_error


class TestGauge:
    def test_asks_no_more_often_than_it_should(self) -> None:
        asked = itertools.count(1)
        now = [0.0]
        with Gauge(lambda: next(asked), lambda: None, clock=lambda: now[0]) as gauge:
            assert [gauge.read(5, lambda: None)[0] for _ in range(3)] == [1, 1, 1]
            now[0] = 4.9
            assert gauge.read(5, lambda: None) == (1, "")
            now[0] = 5.0
            assert gauge.read(5, lambda: None) == (2, "")

    def test_one_that_hangs_is_not_known_and_lets_a_stop_through(self) -> None:
        free = threading.Event()

        class StopError(Exception):
            pass

        def listen() -> None:
            raise StopError

        with Gauge(lambda: free.wait(PATIENCE), lambda: None) as gauge:
            with pytest.raises(StopError):
                gauge.read(5, listen)
            free.set()
            assert gauge.read(0, lambda: None) == (True, "")


class TestChange:
    def test_is_audited_with_what_it_was(self) -> None:
        batch = make_batch(messages_per_second=5)
        batches.throttle(batch, None, 100, ACTOR, "why not")
        batch.refresh_from_db()
        assert (batch.messages_per_second, batch.lag_limit) == (None, 100)
        entry = AuditEntry.objects.get(action="batch.throttled")
        assert entry.reason == "why not"
        assert entry.details["messages_per_second_before"] == 5

    def test_one_out_of_range_or_too_late_is_refused(self) -> None:
        with pytest.raises(UsageError, match="-1 messages behind is not possible"):
            batches.throttle(make_batch(), None, -1, ACTOR, "")
        with pytest.raises(UsageError, match="is done"):
            batches.throttle(make_batch(state=BatchState.DONE), 1, 1, ACTOR, "")

    def test_limits_are_read_again_every_two_seconds(self) -> None:
        now = [0.0]
        batch = make_batch(messages_per_second=5)
        job, _ = claim(make_job(batch=batch, mode=Mode.SYNC))
        limits = LimitsOfJob(job, LiveEstate(estate.current().throttle), clock=lambda: now[0])
        assert [rate.per_second for rate in limits.now().rates] == [5]
        batches.throttle(batch, 7, None, ACTOR, "")
        assert [rate.per_second for rate in limits.now().rates] == [5]
        now[0] = 2.0
        assert [rate.per_second for rate in limits.now().rates] == [7]


def test_the_memory_limit_does_not_end_a_wait() -> None:
    """Within a chunk it would end each fresh process at the same place, after publishing the same part again."""
    job, _ = claim(make_job())
    control = Control(Ledger(job.pk, job.fence), memory_limit=1)
    control.linger(0)
