"""The check of one organization, or of a list of tasks: look, look again, publish, write down, verify.

This is the shell around the pure engine: it reads both sides, sends messages, keeps the ledger, and looks between
chunks whether it should stop. It can be killed at any instruction; the next attempt goes on from the checkpoint and
repeats at most the chunks that were not yet committed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from opsconsole.estate.model import Check as Limits
from opsconsole.keys import Key, KeyKind, parse_key, restore_key
from opsconsole.times import Window
from sync.control import Control
from sync.engine.compare import Judgement, judge
from sync.engine.messages import Message, build_message
from sync.engine.rows import DriftKind, Finding, Side
from sync.engine.walk import Look, look_at_keys
from sync.ledger import ChunkResult, Ledger
from sync.models import EventLevel, Job, JobKind, Mode, Phase
from sync.publisher import Publisher, Receipt
from sync.source import Source
from sync.verification import Verifier

Walk: TypeAlias = Callable[[Key | None], Iterator[Look]]
"""Gives the looks behind a key (None: from the start)."""

WalkOf: TypeAlias = Callable[[Key, int], Walk]
"""Chooses the way to walk an organization with about so many tasks."""

LOOKS_AHEAD = 4
"""Looks that may wait for the settle time while the walk goes on. Bounds memory, with the suspects of one look."""


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
class JudgedLook:
    """A look after the second one. `ageless` are keys that the source does not have at all: when they went is unknown,
    so they count only when they still differ at `ready_at`, the settle time after the first look."""

    checkpoint: str | None
    scanned: int
    judgement: Judgement
    ageless: tuple[Key, ...]
    ready_at: float


class Check:
    """One attempt at a job. `clock` gives monotonic seconds, `now` the present UTC time."""

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
        self._clock = clock
        self._now = now

    def run(self) -> None:
        """Work until the job's last step. Raises AttemptStopped where it should end early."""
        if self._job.phase == Phase.WALK:
            self._compare(self._expected())
            self._ledger.enter_verification()
        if self._job.mode == Mode.SYNC:
            self._verifier().run(deadline=self._clock() + self._limits.verify_timeout)

    def _expected(self) -> int:
        """How many tasks there are to look at; said once, so that progress has an end. One count at most."""
        if self._job.expected is not None:
            return self._job.expected
        if self._job.kind == JobKind.TASKS:
            expected = len(self._job.task_ids)
        else:
            organization = self._organization()
            window = window_of(self._job)
            expected = self._systems.source.task_counts([organization], window)[organization]
        self._ledger.expect(expected)
        return expected

    def _compare(self, expected: int) -> None:
        waiting: deque[JudgedLook] = deque()
        for checkpoint, look in self._looks(expected):
            waiting.append(self._judge(look, checkpoint))
            while waiting and (len(waiting) > LOOKS_AHEAD or waiting[0].ready_at <= self._clock()):
                self._settle(waiting.popleft())
            self._control.check()
        while waiting:
            self._settle(waiting.popleft())

    def _looks(self, expected: int) -> Iterator[tuple[str | None, Look]]:
        """The first looks still to be taken, each with the checkpoint that stands for its end."""
        checkpoint, limit = self._job.checkpoint, self._limits.chunk_rows
        if self._job.kind == JobKind.TASKS:
            keys = [parse_key(self._names.task_key, text) for text in self._job.task_ids]
            for done, look in look_at_keys(keys, start=int(checkpoint or 0), limit=limit):
                yield str(done), look
            return
        after = None if checkpoint is None else restore_key(self._names.task_key, checkpoint)
        walk = self._walk_of(self._organization(), expected)
        for look in walk(after):
            yield (None if look.upto is None else str(look.upto)), look

    def _organization(self) -> Key:
        return restore_key(self._names.organization_key, self._job.organization_id)

    def _judge(self, look: Look, checkpoint: str | None) -> JudgedLook:
        looked_at = self._clock()
        judgement = self._second_look(look.suspects)
        ageless = tuple(finding.key for finding in judgement.findings if finding.source is None)
        if not ageless:
            return JudgedLook(checkpoint, look.scanned, judgement, (), looked_at)
        known = tuple(finding for finding in judgement.findings if finding.source is not None)
        ready_at = looked_at + self._limits.settle_time
        return JudgedLook(checkpoint, look.scanned, Judgement(known, judgement.unsettled), ageless, ready_at)

    def _settle(self, judged: JudgedLook) -> None:
        """Publish a look's drift, and only then commit it."""
        findings, unsettled = judged.judgement.findings, judged.judgement.unsettled
        if judged.ageless:
            self._control.wait_until(judged.ready_at)
            again = self._second_look(judged.ageless)
            findings, unsettled = findings + again.findings, unsettled + again.unsettled
        receipts = self._publish(findings) if self._job.mode == Mode.SYNC else {}
        state = self._ledger.commit_chunk(ChunkResult(judged.checkpoint, judged.scanned, unsettled, findings, receipts))
        self._control.obey(state)

    def _second_look(self, suspects: tuple[Key, ...]) -> Judgement:
        if not suspects:
            return Judgement((), 0)
        # The index first: what changes between the two reads is then young on the source, and left alone.
        theirs = self._systems.index.by_keys(suspects)
        mine = self._systems.source.by_keys(suspects)
        settle = timedelta(seconds=self._limits.settle_time)
        return judge(suspects, mine, theirs, names=self._names.fields, now=self._now(), settle=settle)

    def _publish(self, findings: tuple[Finding, ...]) -> dict[object, Receipt]:
        if not findings:
            return {}
        receipts = self._systems.publisher.publish([self._message(finding) for finding in findings])
        return {receipt.key: receipt for receipt in receipts}

    def _message(self, finding: Finding) -> Message:
        """The source's present state of the task; for one that is gone, a tombstone above the index's version."""
        known = finding.source or finding.index
        assert known is not None, "a finding has at least one side"
        return build_message(
            finding.source if finding.kind is not DriftKind.ORPHAN else None,
            key=finding.key,
            organization=known.organization,
            fields=self._names.fields,
            version=known.version if finding.source else _above(known.version),
            updated_at=(finding.source.updated_at if finding.source else None) or self._now(),
            job_id=str(self._job.pk),
            trace_id=str(self._job.trace_id),
        )

    def _verifier(self) -> Verifier:
        return Verifier(
            self._ledger, self._systems.source, self._systems.index, self._control, self._names.task_key, self._clock
        )


def window_of(job: Job) -> Window | None:
    """The window that a job of kind `window` looks at; None for other kinds."""
    return Window(job.window_from, job.window_to) if job.window_from and job.window_to else None


def _above(version: int | None) -> int | None:
    """The version of a tombstone for a task that is gone: above what the index has, so that no copy revives it."""
    return None if version is None else version + 1


def describe_result(job: Job) -> tuple[str, EventLevel]:
    """One sentence for the log when a job is done."""
    found = f"{job.scanned:,} scanned, {job.drift_found:,} out of sync"
    kinds = f"{job.stale:,} stale, {job.missing:,} missing, {job.orphan:,} orphan"
    young = f", {job.unsettled:,} too young to judge" if job.unsettled else ""
    if job.mode == Mode.REPORT:
        return f"Reported: {found} ({kinds}){young}.", EventLevel.INFO
    outcome = f"{job.published:,} published, {job.verified:,} verified, {job.unresolved:,} unresolved"
    level = EventLevel.WARNING if job.unresolved else EventLevel.INFO
    return f"Synced: {found} ({kinds}){young}; {outcome}.", level
