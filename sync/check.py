"""The check of one organization, or of a list of tasks: look, look again, publish, write down, verify.

This is the shell around the pure engine: it reads both sides, sends messages, keeps the ledger, and looks between
chunks whether it should stop. It can be killed at any instruction; the next attempt goes on from the checkpoint and
repeats at most the chunks that were not yet committed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import TypeAlias

from opsconsole.estate.model import Check as Limits
from opsconsole.keys import Key, KeyKind, parse_key, restore_key
from opsconsole.times import Window
from sync.control import AttemptStopped, Control
from sync.engine.compare import Judgement, Step, TaskError
from sync.engine.messages import MessageWriter
from sync.engine.rows import Side
from sync.engine.walk import Look, Walk, look_at_keys
from sync.ledger import ChunkResult, Ledger
from sync.models import EventLevel, Job, JobKind, JobState, Mode, Phase
from sync.models.job import COUNTED_TASKS
from sync.poison import Careful
from sync.publisher import Publisher, Receipt, Refused, Sending
from sync.readahead import Ahead, short_turns
from sync.secondlook import SecondLook
from sync.source import Source
from sync.throttle.gate import Throttle
from sync.verification import Verifier
from sync.writing import Writer

WalkOf: TypeAlias = Callable[[Key, int], Walk]
"""Chooses the way to walk an organization with about so many tasks."""

SecondLookOf: TypeAlias = Callable[[int], SecondLook]
"""Chooses how to look again at suspects among about so many tasks."""

InRanges: TypeAlias = Callable[[int], bool]
"""Walks an organization with about so many tasks in ranges, where it is split; says whether it did."""

LOOKS_AHEAD = 2
"""Looks that the walk may be ahead of the second look."""

JUDGED_AHEAD = 4
"""Looks that the second look may be ahead of publishing and writing down: about as many as a report writes down at
once, so that one goes on while the other does."""

MOST_UNDER_WAY = 8
"""Looks whose messages may be under way, besides those that are being written down. All together have no more messages
than a chunk has rows."""

WRITTEN_TOGETHER = 5_000
"""Findings of a report that are written down at once, or all there are after `WRITTEN_AFTER` seconds: a transaction for
each of many small looks would cost more than their rows."""

WRITTEN_AFTER = 0.5

MOST_WAITING = 20_000
"""Tasks in looks that wait for the settle time while the walk goes on. Bounds memory."""


@dataclass(frozen=True, slots=True)
class Systems:
    """The outside systems of one check, open."""

    source: Source
    index: Side
    publisher: Publisher


@dataclass(frozen=True, slots=True)
class Names:
    """How the estate names things: the compared fields in order, and the kinds of the keys."""

    fields: tuple[str, ...]
    task_key: KeyKind
    organization_key: KeyKind


@dataclass(frozen=True, slots=True)
class Stretch:
    """The keys in (after, upto]; None leaves that end open. What is found there goes into `ledger`."""

    ledger: Ledger
    after: Key | None
    upto: Key | None


def walk_in_one(expected: int) -> bool:
    """No ranges."""
    return False


@dataclass(frozen=True, slots=True)
class PlacedLook:
    """A first look, where it is written down, and the checkpoint that stands for its end (None: the stretch's)."""

    ledger: Ledger
    checkpoint: str | None
    look: Look


@dataclass(frozen=True, slots=True)
class JudgedLook:
    """A look after the second one. `ageless` are keys that the source does not have at all: when they went is unknown,
    so they count only when they still differ at `ready_at`, the settle time after the first look."""

    ledger: Ledger
    checkpoint: str | None
    scanned: int
    judgement: Judgement
    ageless: tuple[Key, ...]
    ready_at: float


class Check:
    """One attempt at a job, or one worker's walk of ranges of it. `clock` gives monotonic seconds, `now` UTC."""

    def __init__(  # noqa: PLR0913  (one collaborator each; a bag of them would only hide that)
        self,
        job: Job,
        ledger: Ledger,
        systems: Systems,
        control: Control,
        *,
        names: Names,
        limits: Limits,
        walk_of: WalkOf,
        throttle: Throttle,
        second_look_of: SecondLookOf,
        in_ranges: InRanges = walk_in_one,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._job = job
        self._ledger = ledger
        self._systems = systems
        self._control = control
        self._names = names
        self._limits = limits
        self._walk_of = walk_of
        self._throttle = throttle
        self._second_look_of = second_look_of
        self._in_ranges = in_ranges
        self._clock = clock
        self._now = now
        self._messages = MessageWriter(
            job_id=str(job.pk), trace_id=str(job.trace_id), number_keys=names.task_key is KeyKind.INTEGER, now=now
        )
        self._under_way: deque[tuple[JudgedLook, tuple[Sending, ...]]] = deque()
        self._written_at = clock()

    def run(self) -> None:
        """Work until the job's last step. Raises AttemptStopped where it should end early."""
        expected = self._job.expected or 0
        if self._job.phase == Phase.WALK:
            expected = self._expected()
            if not self._in_ranges(expected):
                self._compare(self._looks(expected), expected)
            self._ledger.enter_verification()
        if self._job.mode == Mode.SYNC:
            verifier = Verifier(self._ledger, self._second_look_of(expected), self._control, self._clock)
            with short_turns():
                verifier.run(deadline=self._clock() + self._limits.verify_timeout)

    def walk(self, stretches: Generator[Stretch], expected: int) -> None:
        """Walk these stretches of the organization only, one after the other; what the end of one still has to wait for
        does not hold up the next. They are made in the walk's thread, and closed there. Raises AttemptStopped."""
        self._compare(self._looks_in(stretches, expected), expected)

    def _expected(self) -> int:
        """How many tasks there are to look at, about; said once, so that progress has an end."""
        if self._job.expected is not None:
            return self._job.expected
        if self._job.kind == JobKind.TASKS:
            expected = len(self._job.task_ids)
        elif window := window_of(self._job):
            expected = self._systems.source.task_counts([self._organization()], window)[self._organization()]
        else:
            expected, _ = self._systems.source.task_count(self._organization(), COUNTED_TASKS)
        self._ledger.expect(expected)
        return expected

    def _compare(self, looks: Iterator[PlacedLook], expected: int) -> None:
        """Three things go on at once: the walk, the second look at what it found, and here what follows from that.

        Each works a bounded number of looks ahead of the next, and looks come out in the order of their keys.
        """
        self._look_again = Careful(self._second_look_of(expected), self._names.task_key)
        # Messages are sent at Python's own turns: kafka-python takes a fifth longer at short ones.
        turns = short_turns() if self._job.mode == Mode.REPORT else nullcontext()
        judged_ahead = Ahead(partial(self._judged, looks), most=JUDGED_AHEAD, name="second look", idle=self._idle)
        # A single chunk leaves nothing to send meanwhile, and a report never has: its looks are judged elsewhere.
        beside = self._job.mode == Mode.SYNC and expected > self._limits.chunk_rows
        self._together = beside or self._job.mode == Mode.REPORT
        with turns, Writer(beside=beside) as self._writer, judged_ahead as judged:
            try:
                for look in judged:
                    self._make_room(len(look.judgement.findings))
                    self._under_way.append((look, self._send(look)))
                    while self._is_full():
                        self._commit_first()
                    self._idle()
                while self._under_way:
                    self._commit_first()
                self._obey(self._writer.settle())
            except AttemptStopped:
                # What was sent is written down, so that nothing is published twice for being asked to stop.
                while self._under_way:
                    self._commit_first(obey=False)
                self._writer.settle()
                raise

    def _is_full(self) -> bool:
        """Whether something must be written down before there is more."""
        if self._job.mode == Mode.SYNC:
            return len(self._under_way) > MOST_UNDER_WAY
        return sum(len(look.judgement.findings) for look, _ in self._under_way) >= WRITTEN_TOGETHER

    def _make_room(self, messages: int) -> None:
        """What is under way is what a crash repeats: never more messages than a chunk has rows."""
        most = self._limits.chunk_rows
        while self._unwritten() and messages + self._unwritten() > most:
            if self._writer.findings:
                self._obey(self._writer.settle())
            else:
                self._commit_first()

    def _unwritten(self) -> int:
        """Findings that were sent and are not written down yet."""
        return self._writer.findings + sum(len(look.judgement.findings) for look, _ in self._under_way)

    def _idle(self) -> None:
        """Commit what the broker has acknowledged meanwhile, a report now and then; and see whether to go on."""
        if self._job.mode == Mode.SYNC or self._clock() - self._written_at > WRITTEN_AFTER:
            self._commit_acknowledged()
        self._control.check()

    def _commit_acknowledged(self) -> None:
        while self._writer.is_idle and self._under_way and _is_acknowledged(self._under_way[0]):
            self._commit_first()

    def _looks(self, expected: int) -> Iterator[PlacedLook]:
        """The first looks still to be taken."""
        checkpoint, limit = self._job.checkpoint, self._limits.chunk_rows
        if self._job.kind == JobKind.TASKS:
            keys = [parse_key(self._names.task_key, text) for text in self._job.task_ids]
            looks = look_at_keys(keys, start=int(checkpoint or 0), limit=limit)
            return (PlacedLook(self._ledger, str(done), look) for done, look in looks)
        after = None if checkpoint is None else restore_key(self._names.task_key, checkpoint)
        return self._looks_in((stretch for stretch in [Stretch(self._ledger, after, None)]), expected)

    def _looks_in(self, stretches: Generator[Stretch], expected: int) -> Iterator[PlacedLook]:
        # Chosen here and not in the walk's thread: it writes into the job's log.
        return _placed(self._walk_of(self._organization(), expected), stretches)

    def _organization(self) -> Key:
        return restore_key(self._names.organization_key, self._job.organization_id)

    def _judged(self, looks: Iterator[PlacedLook], stopped: Event) -> Iterator[JudgedLook]:
        """The looks, looked at again. Those with ageless keys wait for the settle time while others are judged."""
        waiting: deque[JudgedLook] = deque()
        with Ahead(lambda _: looks, most=LOOKS_AHEAD, name="walk", idle=partial(_go_on, stopped)) as ahead:
            for placed in ahead:
                waiting.append(self._judge(placed))
                while waiting and (waiting[0].ready_at <= self._clock() or _held(waiting) > MOST_WAITING):
                    yield self._settled(waiting.popleft(), stopped)
            while waiting:
                yield self._settled(waiting.popleft(), stopped)

    def _judge(self, placed: PlacedLook) -> JudgedLook:
        ledger, checkpoint, look = placed.ledger, placed.checkpoint, placed.look
        looked_at = self._clock()
        judgement = self._second_look(look.suspects)
        kind = self._names.task_key
        ageless = tuple(restore_key(kind, one.task_id) for one in judgement.findings if one.source is None)
        if not ageless:
            return JudgedLook(ledger, checkpoint, look.scanned, judgement, (), looked_at)
        known = tuple(finding for finding in judgement.findings if finding.source is not None)
        ready_at = looked_at + self._limits.settle_time
        judgement = replace(judgement, findings=known)
        return JudgedLook(ledger, checkpoint, look.scanned, judgement, ageless, ready_at)

    def _settled(self, judged: JudgedLook, stopped: Event) -> JudgedLook:
        """The look with its ageless keys judged, when their time has come."""
        if not judged.ageless:
            return judged
        while (left := judged.ready_at - self._clock()) > 0:
            stopped.wait(left)
            _go_on(stopped)
        return replace(judged, judgement=judged.judgement.joined(self._second_look(judged.ageless)), ageless=())

    def _send(self, judged: JudgedLook) -> tuple[Sending, ...]:
        if self._job.mode != Mode.SYNC:
            return ()
        publisher = self._systems.publisher
        sent: list[Sending] = []
        messages = list(map(self._messages.message, judged.judgement.findings))
        for portion in self._throttle.portions(messages, self._commit_acknowledged):
            if sent:
                publisher.settle(sent[-1])  # there is time for it, and no use in going on after a failure
            sent.append(publisher.send(portion))
        return tuple(sent)

    def _commit_first(self, *, obey: bool = True) -> None:
        """Write a look down, when the broker has acknowledged its messages: never before. Of a report, or while others
        are sent, all those behind it, too, of which that is known."""
        chunk = self._settled_chunk(self._under_way[0])
        ledger = self._under_way.popleft()[0].ledger
        while self._together and self._under_way and self._under_way[0][0].ledger is ledger:
            if not _is_acknowledged(self._under_way[0]):
                break
            chunk = chunk.joined(self._settled_chunk(self._under_way[0]))
            self._under_way.popleft()
        state = self._writer.write(ledger, chunk)
        self._written_at = self._clock()
        if obey:
            self._obey(state)

    def _obey(self, state: JobState | None) -> None:
        if state is not None:
            self._control.obey(state)

    def _settled_chunk(self, sent: tuple[JudgedLook, tuple[Sending, ...]]) -> ChunkResult:
        judged, parts = sent
        return _chunk(judged, [outcome for part in parts for outcome in self._systems.publisher.settle(part)])

    def _second_look(self, suspects: Sequence[Key]) -> Judgement:
        return self._look_again(suspects, self._now) if suspects else Judgement((), 0)


def _placed(walk: Walk, stretches: Generator[Stretch]) -> Iterator[PlacedLook]:
    with closing(stretches):
        for stretch in stretches:
            for look in walk(stretch.after, stretch.upto):
                yield PlacedLook(stretch.ledger, None if look.upto == stretch.upto else str(look.upto), look)


def _chunk(judged: JudgedLook, outcomes: Sequence[Receipt | Refused]) -> ChunkResult:
    """What is written down of a look. A task whose message is refused is drift, and set aside."""
    found = judged.judgement
    refused = tuple(TaskError(one.key, Step.PUBLISH, one.sentence) for one in outcomes if isinstance(one, Refused))
    receipts = [None if isinstance(one, Refused) else one for one in outcomes]
    return ChunkResult(
        judged.checkpoint, judged.scanned, found.unsettled, found.findings, receipts, found.failed + refused
    )


def _is_acknowledged(sent: tuple[JudgedLook, tuple[Sending, ...]]) -> bool:
    return all(part.done() for part in sent[1])


class AbandonedError(Exception):
    """Nobody wants the looks any more."""


def _go_on(stopped: Event) -> None:
    if stopped.is_set():
        raise AbandonedError


def _held(waiting: Iterable[JudgedLook]) -> int:
    return sum(len(judged.judgement.findings) + len(judged.ageless) for judged in waiting)


def window_of(job: Job) -> Window | None:
    """The window that a job of kind `window` looks at; None for other kinds."""
    return Window(job.window_from, job.window_to) if job.window_from and job.window_to else None


def describe_result(job: Job) -> tuple[str, EventLevel]:
    """One sentence for the log when a job is done."""
    found = f"{job.scanned:,} scanned, {job.drift_found:,} out of sync"
    kinds = f"{job.stale:,} stale, {job.missing:,} missing, {job.orphan:,} orphan"
    young = f", {job.unsettled:,} too young to judge" if job.unsettled else ""
    young += f", {job.set_aside:,} set aside" if job.set_aside else ""
    if job.mode == Mode.REPORT:
        level = EventLevel.WARNING if job.set_aside else EventLevel.INFO
        return f"Reported: {found} ({kinds}){young}.", level
    outcome = f"{job.published:,} published, {job.verified:,} verified, {job.unresolved:,} unresolved"
    level = EventLevel.WARNING if job.unresolved or job.set_aside else EventLevel.INFO
    return f"Synced: {found} ({kinds}){young}; {outcome}.", level
