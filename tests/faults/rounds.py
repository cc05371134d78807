"""One round: damage the company, do the main job while the faults strike, wait for the end, and judge it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from kafka import KafkaConsumer, TopicPartition

from opsconsole.demo.broker import PARTITIONS
from opsconsole.demo.ports import accepts
from opsconsole.demo.processes import Child, wait_until
from tests.faults.company import drifting, make_damaged, shorten
from tests.faults.inject import BLOWS, ORDER, Victim, choose_victim
from tests.faults.judge import AttemptRow, CommitRow, Evidence, JobRow, problems
from tests.faults.moments import Held
from tests.faults.plan import THREE_BROKERS, WORKER_FAULTS, Fault, Moment, Round, Strike
from tests.faults.stage import CHUNK_ROWS, TOPIC, Stage

MOMENT_PATIENCE = 20.0
END_PATIENCE = 120.0
INDEX_PATIENCE = 20.0
WEB_PATIENCE = 20.0
POLL = 0.02
SETTLE = 0.3  # a little more than the estate's settle time
RECOVERY_LIMIT = 30.0
DEPLOYMENT_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that struck. `recovery`: seconds until the work went on; None where there was no work left to do.

    It counts from the blow where a worker died or one broker of three, since the others are to go on without it; from
    the return of what was away for every other fault, and, for a deployment, from the first worker being there.
    """

    strike: Strike
    recovery: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """How a round ended; `problems` is empty where all is as it must be."""

    round: Round
    injected: Sequence[Injected]
    problems: Sequence[str]
    drift_left: int
    repeated: int
    uncounted: int
    waits_cut: int
    seconds: float


@dataclass
class Blow:
    """A fault that has struck: when, whom, and when what it took away was back."""

    strike: Strike
    victim: Victim
    fence: int
    struck_at: datetime
    back_at: datetime | None = None


def run_round(stage: Stage, planned: Round) -> Result:
    return _Performance(stage, planned).run()


@dataclass
class _Performance:
    stage: Stage
    planned: Round
    blows: list[Blow] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    waits_cut: int = 0

    def run(self) -> Result:
        begun = time.monotonic()
        self.rng = Random(f"victims {self.planned.seed}")
        too_large = any(strike.fault is Fault.MESSAGE_TOO_LARGE for strike in self.planned.strikes)
        self.stage.write_estate(http_index=self.planned.needs_http_index, split=self.planned.split)
        self.damaged = make_damaged(
            self.stage.addresses, self.planned.seed, too_large=too_large, index_late=self.planned.index_late
        )
        topic = Topic(self.stage)
        self._main_job()
        refused = self._mend_what_was_refused()
        ended = self.stage.ended()
        self.stage.start_again(*ended)
        self._wait_for_the_index()
        evidence = self._evidence(topic, refused)
        struck = [blow.victim for blow in self.blows if blow.strike.fault in WORKER_FAULTS]
        injected = [Injected(blow.strike, recovery_of(blow, evidence, struck)) for blow in self.blows]
        return Result(
            round=self.planned,
            injected=injected,
            problems=[
                *problems(evidence),
                *_slow(injected),
                *self._process_problems(ended),
                *self._range_problems(),
            ],
            drift_left=len(evidence.drifting),
            repeated=evidence.repeated,
            uncounted=evidence.uncounted,
            waits_cut=self.waits_cut,
            seconds=time.monotonic() - begun,
        )

    def _main_job(self) -> None:
        """Find, stage, and a batch in mode sync; the faults strike while the workers are at it."""
        strikes = list(self.planned.strikes)
        self._arm(strikes[0])
        window = ("--from", self.damaged.gap.window_from.isoformat(), "--to", self.damaged.gap.window_to.isoformat())
        found = self.stage.operator.run("affected_orgs", *window)["organizations"]
        self._sync([str(row["id"]) for row in found])
        with self._index_late() if self.planned.index_late else nullcontext():
            if self.planned.together:
                self._strike(strikes)
            else:
                self._strike(strikes[:1])
                for strike in strikes[1:]:
                    self._arm(strike)
                    self._strike([strike])
        self._wait_for_batches()

    @contextmanager
    def _index_late(self) -> Iterator[None]:
        """The index can be read and not written, until every organization is walked."""
        with psycopg.connect(self.stage.addresses.index_owner_url) as index:
            index.execute("LOCK TABLE tasks IN EXCLUSIVE MODE")
            yield
            self._wait_until(self._walked, "every organization is walked")

    def _walked(self) -> bool:
        walking = "SELECT 1 FROM sync_job WHERE batch_id = ANY(%s) AND phase = 'walk' AND state <> ALL(%s)"
        return not self.stage.sql(walking, self.batches, ["done", "failed"])

    def _sync(self, organizations: Sequence[str]) -> None:
        self.stage.operator.run("stage_orgs", "-", given="\n".join(organizations))
        size = str(len(organizations))
        self.batches.append(int(self.stage.operator.run("process_batch", "--size", size, "--sync")["batch"]))

    def _arm(self, strike: Strike) -> None:
        self.armed_at = datetime.now(UTC)
        if strike.moment is not Moment.COMMITTED:
            self.stage.moments.arm(strike.moment, strike.number)

    def _strike(self, strikes: Sequence[Strike]) -> None:
        """All of these at the first one's moment. Nothing where the work was done before the moment came."""
        held = self._wait_for_moment(strikes[0])
        if held is None and self._ended():
            self.stage.moments.let_go()
            return
        victim = choose_victim(self.stage, held, self.rng)
        fence = self._fence(victim.job)
        with ExitStack() as stack:
            for strike in sorted(strikes, key=lambda strike: ORDER.index(strike.fault)):
                stack.enter_context(self._blow(strike, victim, fence))
            self.stage.moments.let_go()
            time.sleep(max(strike.outage for strike in strikes))

    @contextmanager
    def _blow(self, strike: Strike, victim: Victim, fence: int) -> Iterator[None]:
        blow = Blow(strike, victim, fence, datetime.now(UTC))
        with BLOWS[strike.fault](self.stage, victim):
            self.blows.append(blow)
            yield
        blow.back_at = datetime.now(UTC)

    def _fence(self, job: int | None) -> int:
        rows = self.stage.sql("SELECT fence FROM sync_job WHERE id = %s", job)
        return int(rows[0][0]) if rows else 0

    def _wait_for_moment(self, strike: Strike) -> Held | None:
        """Who is held at the moment, or None: nobody, since it is over (or never holds)."""
        ends = time.monotonic() + MOMENT_PATIENCE
        while time.monotonic() < ends and not self._ended():
            if strike.moment is Moment.COMMITTED:
                if self.stage.moments.commits(self.armed_at) >= strike.number:
                    return None
            elif held := self.stage.moments.held():
                return held
            self._cut_waits()
            time.sleep(POLL)
        return None

    def _ended(self) -> bool:
        active = "SELECT 1 FROM sync_batch WHERE id = ANY(%s) AND state NOT IN ('done', 'cancelled')"
        return not self.stage.sql(active, self.batches)

    def _cut_waits(self) -> None:
        """After a failure a job waits for minutes. What it waits for is back, so time is made to pass."""
        cut = "UPDATE sync_job SET not_before = now() WHERE state = 'retrying' AND not_before > now() RETURNING id"
        self.waits_cut += len(self.stage.sql(cut))

    def _wait_for_batches(self) -> None:
        self._wait_until(self._ended, "the batch ended")

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        def reached() -> bool:
            self._cut_waits()
            return condition()

        self.stage.wait(what, reached, END_PATIENCE)

    def _mend_what_was_refused(self) -> frozenset[int]:
        """The company shortens the title that no message can carry, and its organization is synced again. The jobs that
        set the task aside."""
        if self.damaged.too_large is None:
            return frozenset()
        refused = self.stage.sql(SET_ASIDE, str(self.damaged.too_large), self.batches)
        assert refused, f"task {self.damaged.too_large} was not set aside"
        shorten(self.stage.addresses, self.damaged.too_large)
        time.sleep(SETTLE)
        self._sync([organization for _, organization in refused])
        self._wait_for_batches()
        return frozenset(number for number, _ in refused)

    def _wait_for_the_index(self) -> None:
        """The indexer may be a moment behind; what is wrong after that is for the judge."""
        wait_until(lambda: not drifting(self.stage.addresses), INDEX_PATIENCE)

    def _process_problems(self, ended: Sequence[Child]) -> Iterator[str]:
        """Whoever was struck has been started again; the others had no reason to end."""
        for child in ended:
            yield f"{child.command.name} ended by itself"
        if not wait_until(lambda: accepts(self.stage.port), WEB_PATIENCE):
            yield "the web process does not answer"

    def _range_problems(self) -> Iterator[str]:
        if self.planned.split and not self.stage.sql(RANGES, self.batches):
            yield "no organization was walked in ranges"

    def _evidence(self, topic: Topic, refused: frozenset[int]) -> Evidence:
        jobs = self.stage.sql(JOBS, self.batches)
        numbers = [row[0] for row in jobs]
        attempts = self.stage.sql(ATTEMPTS, numbers)
        commits = self.stage.sql(COMMITS, numbers)
        return Evidence(
            lost=self.damaged.drift,
            drifting=drifting(self.stage.addresses),
            messages=topic.messages(numbers),
            tasks=self.damaged.tasks,
            batches=[row[0] for row in self.stage.sql("SELECT state FROM sync_batch WHERE id = ANY(%s)", self.batches)],
            jobs=[JobRow(row[0], UUID(row[1]), *row[2:]) for row in jobs],
            attempts=[AttemptRow(*row) for row in attempts],
            commits=[CommitRow(*row) for row in commits],
            refused=refused,
            chunk=CHUNK_ROWS,
        )


JOBS = """
SELECT id, organization_id, state, scanned, stale + missing + orphan, published, verified, unresolved
FROM sync_job WHERE batch_id = ANY(%s) ORDER BY id
"""
RANGES = "SELECT part.id FROM sync_jobrange part JOIN sync_job job ON job.id = part.job_id WHERE batch_id = ANY(%s)"
SET_ASIDE = """
SELECT job.id, job.organization_id FROM sync_job job JOIN sync_setaside aside ON aside.job_id = job.id
WHERE aside.task_id = %s AND job.batch_id = ANY(%s)
"""
ATTEMPTS = """
SELECT job_id, range_number, number, pid, started_at, ended_at, outcome
FROM sync_attempt WHERE job_id = ANY(%s) ORDER BY id
"""
COMMITS = """
SELECT job, fence, session, at FROM faults.commits WHERE job = ANY(%s)
AND NOT EXISTS (SELECT FROM sync_jobrange WHERE job_id = job) ORDER BY id
"""


def recovery_of(blow: Blow, evidence: Evidence, struck: Sequence[Victim]) -> float | None:
    """Seconds until the work went on: every attempt that the blow ended has a next one; else, anything was done.

    From the blow where others are there to go on, else from when what had gone was back. None where no work was left.
    What those `struck` with their worker had under way has that blow's time to go on, and no other's.
    """
    dead = blow.strike.fault in WORKER_FAULTS
    if not dead:
        evidence = _without(evidence, struck)
    replaced = dead or blow.strike.fault in THREE_BROKERS
    since = blow.struck_at if replaced else blow.back_at or blow.struck_at
    next_ones = list(_next_attempts(blow, evidence.attempts))
    if next_ones:
        return max(0.0, *((started - since).total_seconds() for started in next_ones))
    if dead:
        return None
    later = [moment for moment in _activity(evidence) if moment >= since]
    return (min(later) - since).total_seconds() if later else None


def _without(evidence: Evidence, struck: Sequence[Victim]) -> Evidence:
    """What other jobs did than those that these were claiming, or had not finished."""
    children = {victim.child for victim in struck}
    theirs = {one.job for one in evidence.attempts if one.process in children and one.outcome != "done"}
    theirs |= {victim.job for victim in struck if victim.job is not None}
    return replace(
        evidence,
        attempts=[one for one in evidence.attempts if one.job not in theirs],
        commits=[one for one in evidence.commits if one.job not in theirs],
    )


def _next_attempts(blow: Blow, attempts: Sequence[AttemptRow]) -> Iterator[datetime]:
    """When the next attempt began, for each one that was open at the blow and did not finish: of the victim alone,
    where a worker was struck."""
    worker_struck = blow.strike.fault in WORKER_FAULTS
    if worker_struck and blow.victim.job is not None:
        yield from _first_after(attempts, blow.victim.job, 0, blow.fence)
    for attempt in attempts:
        was_open = attempt.started <= blow.struck_at and (attempt.ended is None or attempt.ended >= blow.struck_at)
        if was_open and attempt.outcome != "done" and (not worker_struck or attempt.process == blow.victim.child):
            yield from _first_after(attempts, attempt.job, attempt.part, attempt.number)


def _first_after(attempts: Sequence[AttemptRow], job: int, part: int, number: int) -> Iterator[datetime]:
    later = [(a.number, a.started) for a in attempts if (a.job, a.part) == (job, part) and a.number > number]
    if later:
        yield min(later)[1]


def _activity(evidence: Evidence) -> Iterator[datetime]:
    yield from (commit.at for commit in evidence.commits)
    for attempt in evidence.attempts:
        yield attempt.started
        if attempt.ended is not None and attempt.outcome == "done":
            yield attempt.ended


def _slow(injected: Sequence[Injected]) -> Iterator[str]:
    for one in injected:
        limit = DEPLOYMENT_LIMIT if one.strike.fault is Fault.DEPLOYMENT else RECOVERY_LIMIT
        if one.recovery is not None and one.recovery > limit:
            yield f"{one.strike.fault}: the work went on after {one.recovery:.1f} s, allowed are {limit:g}"


class Topic:
    """The topic from here on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        with closing(self._consumer()) as consumer:
            self._begin: dict[Any, int] = consumer.end_offsets(consumer.assignment())

    def _consumer(self) -> Any:
        addresses = self._stage.addresses
        known = addresses.kafka_api_version
        version = {"api_version": tuple(map(int, known.split(".")))} if known else {}
        servers = addresses.kafka_bootstrap.split(",")
        consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, **version)
        consumer.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
        return consumer

    def messages(self, jobs: Sequence[int]) -> Counter[UUID]:
        """How often each task was published by these jobs."""
        wanted = {str(job).encode() for job in jobs}
        found: Counter[UUID] = Counter()
        with closing(self._consumer()) as consumer:
            for partition, offset in self._begin.items():
                consumer.seek(partition, offset)
            ends = consumer.end_offsets(consumer.assignment())
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for records in consumer.poll(timeout_ms=200).values():
                    found.update(UUID(raw.key.decode()) for raw in records if dict(raw.headers)["job_id"] in wanted)
        return found
