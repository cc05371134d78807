"""The judge sees what must not be. Each test takes one thing that is right and breaks it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.faults.judge import AttemptRow, CommitRow, Evidence, JobRow, problems

BEGIN = datetime(2026, 3, 8, 2, 10, tzinfo=UTC)
ORGANIZATION = UUID(int=1)
TASKS = [UUID(int=number) for number in range(10, 14)]


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


JOB = JobRow(5, ORGANIZATION, "done", scanned=40, found=4, published=4, verified=4, unresolved=0)
KILLED = AttemptRow(5, 0, 1, 100, at(0), at(10), "killed")
FINISHED = AttemptRow(5, 0, 2, 101, at(11), at(20), "done")
GOOD = Evidence(
    lost=frozenset(TASKS),
    drifting=frozenset(),
    messages=Counter(TASKS),
    tasks={ORGANIZATION: 40},
    batches=["done"],
    jobs=[JOB],
    attempts=[KILLED, FINISHED],
    commits=[CommitRow(5, 1, 201, at(5)), CommitRow(5, 2, 202, at(15))],
    refused=frozenset(),
    chunk=2,
)


def test_a_good_end_has_no_problems() -> None:
    assert problems(GOOD) == []


def test_a_chunk_may_be_repeated_for_each_bad_end() -> None:
    repeated = replace(GOOD, messages=Counter([*TASKS, *TASKS[:2]]))
    assert (repeated.repeated, problems(repeated)) == (2, [])
    repeated = replace(GOOD, messages=Counter([*TASKS, *TASKS[:3]]))
    assert problems(repeated) == ["3 messages repeated by 1 attempts that ended badly"]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (replace(GOOD, drifting=frozenset(TASKS[:1])), "1 tasks still differ"),
        (replace(GOOD, messages=Counter(TASKS[1:])), "1 lost tasks have no message"),
        (replace(GOOD, messages=Counter([*TASKS, UUID(int=99)])), "1 tasks were published that never differed"),
        (replace(GOOD, batches=["running"]), "batches not done"),
        (replace(GOOD, jobs=[replace(JOB, state="queued")]), "job 5 is queued"),
        (replace(GOOD, jobs=[replace(JOB, scanned=39)]), "job 5 scanned 39 of 40 tasks"),
        (replace(GOOD, jobs=[replace(JOB, verified=3)]), "job 5: 4 found, 4 published, 3 verified"),
        (replace(GOOD, jobs=[replace(JOB, found=1, published=1, verified=1)]), "3 tasks repaired and not counted"),
        (replace(GOOD, jobs=[replace(JOB, found=5, published=5, verified=5)]), "-1 tasks repaired and not counted"),
        (replace(GOOD, attempts=[KILLED, replace(FINISHED, outcome="running")]), "attempt 2 of job 5 is still running"),
        (
            replace(GOOD, attempts=[replace(KILLED, ended=at(12)), FINISHED]),
            "attempts 1 and 2 of job 5 ran at the same",
        ),
        (replace(GOOD, attempts=[replace(KILLED, ended=None), FINISHED]), "attempts 1 and 2 of job 5 ran at the same"),
        (
            replace(GOOD, commits=[*GOOD.commits, CommitRow(5, 2, 201, at(16))]),
            "job 5: 2 sessions committed chunks of attempt 2",
        ),
    ],
)
def test_what_is_wrong_is_seen(broken: Evidence, sentence: str) -> None:
    found = problems(broken)
    assert len(found) == 1, found
    assert found[0].startswith(sentence)


def test_ranges_of_a_job_are_walked_at_the_same_time() -> None:
    helper = AttemptRow(5, 1, 1, 102, at(11), at(12), "done")
    assert problems(replace(GOOD, attempts=[KILLED, FINISHED, helper, replace(helper, part=2)])) == []


def test_a_task_that_was_set_aside_is_found_by_two_jobs() -> None:
    without = replace(JOB, found=4, published=3, verified=3)
    again = replace(JOB, number=6, found=1, published=1, verified=1)
    assert problems(replace(GOOD, jobs=[without, again], refused=frozenset({5}))) == []
    assert problems(replace(GOOD, jobs=[without, again])) != []
