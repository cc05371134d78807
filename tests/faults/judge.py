"""The end of a round, judged from outside: what the two sides, the topic and the console's rows say. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from uuid import UUID


@dataclass(frozen=True, slots=True)
class JobRow:
    number: int
    organization: UUID
    state: str
    scanned: int
    found: int
    published: int
    verified: int
    unresolved: int


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """`part` is the range that a helper walked; 0 is the attempt that holds the job. `process` is its number here."""

    job: int
    part: int
    number: int
    process: int
    started: datetime
    ended: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True)
class CommitRow:
    """One committed chunk of a job as a whole: the job's fence then, and the session of the database that wrote it."""

    job: int
    fence: int
    session: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to see when a round is over.

    `lost`: tasks that differed at its beginning, `drifting`: at its end. `messages`: how often each task is in the
    topic. `tasks`: living tasks of each organization. `refused`: jobs that had to set a task aside, since no broker
    takes its message. Attempts that ended badly may each have published one chunk of `chunk` that nobody committed.
    """

    lost: frozenset[UUID]
    drifting: frozenset[UUID]
    messages: Mapping[UUID, int]
    tasks: Mapping[UUID, int]
    batches: Sequence[str]
    jobs: Sequence[JobRow]
    attempts: Sequence[AttemptRow]
    commits: Sequence[CommitRow]
    refused: frozenset[int]
    chunk: int

    @property
    def repeated(self) -> int:
        """Messages beyond the first of each task."""
        return sum(count - 1 for count in self.messages.values())

    @property
    def ended_badly(self) -> int:
        return sum(attempt.outcome in ("killed", "vanished", "failed") for attempt in self.attempts)

    @property
    def uncounted(self) -> int:
        """Lost tasks that were repaired and are in no job's counters. One set aside is found by the next job, too."""
        return len(self.lost) - (sum(job.found for job in self.jobs) - len(self.refused))


def problems(evidence: Evidence) -> list[str]:
    """A sentence for each thing that is not as it must be."""
    return [
        *_both_sides(evidence),
        *_topic(evidence),
        *_rows(evidence),
        *_attempts(evidence.attempts),
        *_commits(evidence.commits),
    ]


def _both_sides(evidence: Evidence) -> Iterable[str]:
    if evidence.drifting:
        yield f"{len(evidence.drifting)} tasks still differ: {_some(evidence.drifting)}"


def _topic(evidence: Evidence) -> Iterable[str]:
    if missing := evidence.lost - evidence.messages.keys():
        yield f"{len(missing)} lost tasks have no message: {_some(missing)}"
    if needless := evidence.messages.keys() - evidence.lost:
        yield f"{len(needless)} tasks were published that never differed: {_some(needless)}"
    if evidence.repeated > evidence.chunk * evidence.ended_badly:
        yield f"{evidence.repeated} messages repeated by {evidence.ended_badly} attempts that ended badly"


def _rows(evidence: Evidence) -> Iterable[str]:
    if unfinished := Counter(state for state in evidence.batches if state != "done"):
        yield f"batches not done: {dict(unfinished)}"
    for job in evidence.jobs:
        if job.number in evidence.refused:
            continue
        if job.state != "done":
            yield f"job {job.number} is {job.state}"
        if job.scanned != evidence.tasks[job.organization]:
            yield f"job {job.number} scanned {job.scanned} of {evidence.tasks[job.organization]} tasks"
        if (job.published, job.verified, job.unresolved) != (job.found, job.found, 0):
            yield f"job {job.number}: {job.found} found, {job.published} published, {job.verified} verified"
    if evidence.uncounted < 0 or evidence.uncounted > evidence.chunk * evidence.ended_badly:
        yield f"{evidence.uncounted} tasks repaired and not counted"


def _attempts(attempts: Sequence[AttemptRow]) -> Iterable[str]:
    by_part: dict[tuple[int, int], list[AttemptRow]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        by_part[attempt.job, attempt.part].append(attempt)
        if attempt.outcome == "running":
            yield f"attempt {attempt.number} of job {attempt.job} is still running"
    for (job, _), row in by_part.items():
        for earlier, later in pairwise(row):
            if earlier.ended is None or earlier.ended > later.started:
                yield f"attempts {earlier.number} and {later.number} of job {job} ran at the same time"


def _commits(commits: Sequence[CommitRow]) -> Iterable[str]:
    """A worker that was taken for dead and writes all the same would do so from a session of its own."""
    sessions: dict[tuple[int, int], set[int]] = defaultdict(set)
    for commit in commits:
        sessions[commit.job, commit.fence].add(commit.session)
    for (job, fence), writers in sessions.items():
        if len(writers) > 1:
            yield f"job {job}: {len(writers)} sessions committed chunks of attempt {fence}"


def _some(tasks: Iterable[UUID]) -> str:
    return ", ".join(map(str, sorted(tasks)[:3]))
