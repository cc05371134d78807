"""`[[scheduled_jobs]]`: schedules, chains, operations and calls, and every mistake in them at once."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.estate.model import CatchUp, HttpCall, Overlap, ScheduledJob
from opsconsole.estate.schedule_reader import in_cycles
from tests.estate.test_reader import EXAMPLE, mistakes, read, values

__all__ = ["values"]  # the fixture

JOB: dict[str, Any] = {"name": "sweep", "every": "5m", "operation": "check_estate"}


def read_one(values: dict[str, Any], **keys: object) -> ScheduledJob:
    (job,) = read(values | {"scheduled_jobs": [JOB | keys]}).scheduled_jobs
    return job


def mistakes_of(values: dict[str, Any], *jobs: dict[str, Any]) -> tuple[str, ...]:
    return mistakes(values | {"scheduled_jobs": list(jobs)})


def commented_example() -> dict[str, Any]:
    _, _, part = EXAMPLE.read_text(encoding="utf-8").partition("# --- Scheduled jobs")
    part, _, _ = part.partition("# --- Tracked tasks")
    return tomllib.loads("\n".join(re.sub(r"^# ?", "", line) for line in part.splitlines()[1:]))


def test_none_is_needed(values: dict[str, Any]) -> None:
    assert [job.operation for job in read(values).scheduled_jobs] == ["prune"]
    del values["scheduled_jobs"]
    assert read(values).scheduled_jobs == ()


def test_the_example_reads(values: dict[str, Any]) -> None:
    sync, export, _ = read(values | commented_example(), EXPORT_AUTHORIZATION="Bearer t0ken").scheduled_jobs
    assert (sync.cron, sync.zone, sync.every) == ("30 2 * * *", "Europe/Paris", None)
    assert (sync.critical, sync.retries, sync.parameters["mode"]) == (True, (300, 600, 1200), "sync")
    assert export.after == ("nightly-sync",)
    assert export.http == HttpCall(
        "https://export.example.com/runs", "POST", {"Authorization": "EXPORT_AUTHORIZATION"}, '{"scope": "all"}', 202
    )


def test_three_keys_are_enough(values: dict[str, Any]) -> None:
    job = read_one(values)
    assert (job.every, job.zone, job.catch_up, job.overlap) == (300, "UTC", CatchUp.LATEST, Overlap.SKIP)
    assert (job.grace, job.time_limit, job.recovery_window) == (3600, 1800, 7200)
    assert read_one(values, retries=[]).retries == ()


@pytest.mark.parametrize(
    ("keys", "path", "reason"),
    [
        ({"cron": "61 * * * *", "every": None}, "cron", "the minute is not valid"),
        ({"cron": "* * *", "every": None}, "cron", "has 3 fields; five are needed"),
        ({"cron": "0 3 * * *", "every": None, "zone": "Mars/Base"}, "cron", "is no time zone"),
        ({"cron": "0 3 * * *"}, "cron", "together with `every`"),
        ({"every": None}, "cron", "missing, and so is `every`"),
        ({"operation": None}, "operation", "missing, and so is `http`"),
        ({"http": {"url": "https://x.example"}}, "operation", "together with `http`"),
        ({"retries": ["5m", "soon"]}, "retries.2", "a duration such as"),
        ({"catch_up": "everything"}, "catch_up", 'allowed are "latest"'),
        ({"parameters": {"since": tomllib.loads("a = 2026-01-01")["a"]}}, "parameters.since", "a text, a number"),
        ({"after": ["sweeps"]}, "after", 'no scheduled job (did you mean "sweep"?)'),
        ({"after": ["sweep"]}, "after", "sweep → sweep"),
        ({"name": "Night Sync"}, "name", "small letters"),
    ],
)
def test_a_mistake_says_what_is_wrong(values: dict[str, Any], keys: dict[str, Any], path: str, reason: str) -> None:
    job = {name: value for name, value in (JOB | keys).items() if value is not None}
    (mistake,) = mistakes_of(values, job)
    assert mistake.startswith(f"scheduled_jobs[1].{path} ")
    assert reason in mistake


def test_all_mistakes_at_once(values: dict[str, Any]) -> None:
    call = {"url": "ftp://x", "method": "SEND", "headers_env": {"A": "NOT_SET"}, "expected_status": 20, "tiem": 1}
    found = mistakes_of(
        values,
        {"name": "a", "every": "1m", "operation": "x", "after": ["b"]},
        {"name": "b", "every": "0s", "http": call, "after": ["a"], "parameters": {}},
        JOB,
        JOB,
    )
    expected = [
        ("[1].after", "a → b → a"),
        ("[2].after", "b → a → b"),
        ("[2].every", "allowed is 1 to"),
        ("[2].cron", "exactly one"),
        ("[2].http.url", "http://"),
        ("[2].http.method", '"DELETE"'),
        ("[2].http.headers_env.A", "NOT_SET, which is not set"),
        ("[2].http.expected_status", "100 to 599"),
        ("[2].http.tiem", "no known key"),
        ("[2].parameters", "does nothing without `operation`"),
        ("[3].name", "more than once"),
        ("[4].name", "more than once"),
    ]
    for path, part in expected:
        assert any(one.startswith(f"scheduled_jobs{path} ") and part in one for one in found), (path, found)
    assert len(found) == len(expected), found


NAMES = st.sampled_from("abcdef")


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine it is
@given(st.lists(st.tuples(NAMES, NAMES), max_size=10))
def test_a_job_is_in_a_circle_where_a_walk_comes_back(waits: list[tuple[str, str]]) -> None:
    after = {name: [before for one, before in waits if one == name] for name, _ in waits}
    reach = {name: set(before) for name, before in after.items()}
    for _ in after:
        reach = {name: far.union(*(reach.get(one, set()) for one in far)) for name, far in reach.items()}
    cycles = in_cycles(after)
    assert set(cycles) == {name for name, far in reach.items() if name in far}
    for name, way in cycles.items():
        assert way[0] == way[-1] == name
        assert all(later in after[earlier] for earlier, later in pairwise(way))
