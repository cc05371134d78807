"""Fingerprints: the same error with other ids is the same, another error is another, and rows carry them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.ending import fail, finish
from sync.failures import classify, fingerprint
from sync.models import AttemptOutcome, EventLevel, Job, JobState
from sync.recovery import BadEnd, recover
from tests.sync.jobs import claim, make_job

pytest_plugins = ["tests.fixtures_sync"]

TEMPLATES = (
    "Organization {id} has no task {quoted} at {address}.",
    "The index at {address} did not answer in {number} seconds (try {number} of {number}).",
    "The source's answer for {quoted} had {number} rows, id {id}: too many.",
    "Not known to the source: {id}; {id}.",
)

numbers = st.integers(0, 10**12).map(str) | st.integers(1_000, 10**9).map("{:,}".format) | st.just("-4.25")
ids = st.uuids().map(str) | st.uuids().map(lambda key: key.hex) | st.uuids().map(lambda key: str(key).upper())
words = st.text(st.characters(blacklist_characters="'\"\n\r\x85\u2028\u2029", blacklist_categories=["Cs"]), max_size=30)
quoted = words.map("'{}'".format) | words.map('"{}"'.format)
ports = st.integers(1, 65535)
addresses = (
    st.builds("http://10.0.{}.7:{}/tasks/{}".format, st.integers(0, 255), ports, ids)
    | st.builds("db-{}.example.com:{}".format, st.integers(0, 99), ports)
    | st.builds("[::1]:{}".format, ports)
    | st.builds("192.168.{}.9:{}".format, st.integers(0, 255), ports)
)


@st.composite
def fillings(draw: st.DrawFn, template: str) -> str:
    for name, values in (("{id}", ids), ("{quoted}", quoted), ("{address}", addresses), ("{number}", numbers)):
        while name in template:
            template = template.replace(name, draw(values), 1)
    return template


@pytest.mark.parametrize("template", TEMPLATES)
@given(data=st.data())
def test_the_same_error_with_other_values_is_the_same(template: str, data: st.DataObject) -> None:
    first, second = (data.draw(fillings(template)) for _ in range(2))
    assert fingerprint("UnavailableError", first) == fingerprint("UnavailableError", second)


@given(data=st.data())
def test_other_errors_are_others(data: st.DataObject) -> None:
    found = [fingerprint("UnavailableError", data.draw(fillings(template))) for template in TEMPLATES]
    assert len(set(found)) == len(TEMPLATES)


@given(st.text(), st.text())
def test_every_fingerprint_is_sixteen_digits_or_nothing(error_type: str, sentence: str) -> None:
    found = fingerprint(error_type, sentence)
    assert bool(found) is bool(sentence)
    assert not found or (len(found) == 16 and set(found) <= set("0123456789abcdef"))


def test_the_type_counts_too() -> None:
    assert fingerprint("TimeoutError", "too slow") != fingerprint("UnavailableError", "too slow")
    killed = "The worker's process was killed by {}."
    assert fingerprint("", killed.format("SIGKILL")) != fingerprint("", killed.format("SIGSEGV"))


def test_a_long_error_takes_no_long_time() -> None:
    assert fingerprint("ValueError", "a." * 500_000 + "'" * 500_000)


def test_a_failure_leaves_its_fingerprint_and_success_takes_it_away(committed: None) -> None:
    seen = []
    for number in (1, 22):
        job, _ = claim(make_job())
        fail(job, classify(ValueError(f"row {number} is odd")), None)
        job.refresh_from_db()
        seen.append(job.error_fingerprint)
    assert seen[0] == seen[1] == fingerprint("ValueError", "Unexpected ValueError: row 7 is odd")
    Job.objects.filter(state=JobState.RETRYING).requeue(states=(JobState.RETRYING,))
    assert not Job.objects.exclude(error_fingerprint="").exists()
    again, _ = claim(Job.objects.all()[0])
    fail(again, classify(ValueError("row 3 is odd")), None)
    Job.objects.update(state=JobState.QUEUED, not_before=None)
    again, _ = claim(again)
    assert finish(again, "Done.", EventLevel.INFO, None)
    again.refresh_from_db()
    assert (again.error, again.error_type, again.error_fingerprint) == ("", "", "")


def test_looping_jobs_are_grouped_by_what_killed_them(committed: None) -> None:
    jobs = [make_job(stalled_attempts=2) for _ in range(3)]
    ends = ("killed by SIGKILL", "killed by SIGKILL", "silent for 30 seconds")
    for job, end in zip(jobs, ends, strict=True):
        recover(claim(job)[0], BadEnd(AttemptOutcome.KILLED, f"The worker's process was {end}."))
        job.refresh_from_db()
        assert job.state == JobState.LOOPING
    assert jobs[0].error_fingerprint == jobs[1].error_fingerprint != jobs[2].error_fingerprint
