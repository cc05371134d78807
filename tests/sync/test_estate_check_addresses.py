"""`manage.py estate check` of what is to be called: refused, allowed, not known here. Nothing is called for that."""

from __future__ import annotations

from pytest_django import Settings

from opsconsole.estate.model import DisableWay, Estate, HttpCall, HttpCalls, ScheduledJob, TrackedSource
from sync.estate_check.addresses import check_addresses
from sync.estate_check.result import Result, Status

JOB = ScheduledJob("export", http=HttpCall("http://user:hunter2@localhost:9/runs"))
WAY = DisableWay(http=HttpCalls("http://127.0.0.1:9/{id}/off", "http://127.0.0.1:9/{id}/on"))


def found(jobs: tuple[ScheduledJob, ...], ping: str = "", *tracked: TrackedSource) -> list[Result]:
    # Nothing of the stores is looked at.
    estate = Estate(None, None, None, scheduled_jobs=jobs, tracked_tasks=tracked)  # type: ignore[arg-type]
    return list(check_addresses(estate, ping))


def test_each_host_is_told_once_and_by_its_name(settings: Settings) -> None:
    tracked = TrackedSource("live", "Live tasks", disable=WAY)
    results = found((JOB, JOB, ScheduledJob("sweep", operation="sweep")), "", tracked)
    assert [(one.name, one.status) for one in results] == [
        ("calls to localhost", Status.OK),
        ("calls to 127.0.0.1", Status.OK),
    ]
    settings.OUTGOING_ALLOW = ["localhost"]
    refused = found((JOB,), "", tracked)[1]
    assert refused.status is Status.PROBLEM
    assert "OPSCONSOLE_OUTGOING_ALLOW" in refused.sentence


def test_the_outgoing_ping_is_one_of_them_and_its_address_is_a_secret(settings: Settings) -> None:
    settings.OUTGOING_ALLOW = []
    (result,) = found((), "http://localhost:9/ping/very-secret")
    assert result.status is Status.PROBLEM
    assert "secret" not in result.name + result.sentence


def test_a_name_that_nobody_knows_here_is_a_warning() -> None:
    (result,) = found((ScheduledJob("export", http=HttpCall("https://nowhere.invalid/")),))
    assert result.status is Status.WARNING
    assert "cannot be resolved" in result.sentence
