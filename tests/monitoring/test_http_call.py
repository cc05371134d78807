"""Scheduled HTTP calls: where they lead, what they read of the environment, what they keep of an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from monitoring.schedules.http_call import call, require_usable
from monitoring.schedules.models import Origin, Run, ScheduledJob
from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from tests.outgoing import Server, fine, serving


def run_of(origin: Origin = Origin.CONSOLE, seconds: float = 10) -> Run:
    return Run(pk=7, scheduled_job=ScheduledJob(name="export", origin=origin, time_limit=timedelta(seconds=seconds)))


def called(server: Server, run: Run | None = None, **parameters: Any) -> tuple[str, list[str]]:
    log: list[str] = []
    return call({"url": server.url(), **parameters}, run or run_of(), log.append), log


def test_it_is_made_with_the_key_of_its_run() -> None:
    with serving(fine) as server:
        said, log = called(server, body="all")
        assert (said, log) == (f"{server.url()} answered 200: taken", [f"POST {server.url()}"])
        assert server.heard[0].headers["Idempotency-Key"] == "run-7"
        assert server.heard[0].body == b"all"


@pytest.mark.parametrize(
    ("status", "expected", "error"),
    [
        (503, None, UnavailableError),
        (429, None, UnavailableError),
        (404, None, OutsideDataError),
        (200, 204, OutsideDataError),
    ],
)
def test_another_status_is_tried_again_where_that_may_help(
    status: int, expected: int | None, error: type[Exception]
) -> None:
    with serving(lambda handler: handler.say(status)) as server, pytest.raises(error, match=f"answered {status}"):
        called(server, expected_status=expected)


def test_a_redirect_is_not_followed() -> None:
    with serving(fine) as inside, serving(lambda handler: handler.say(302, Location=inside.url())) as server:
        with pytest.raises(OutsideDataError, match="redirects are not followed"):
            called(server)
        assert inside.heard == []


def test_a_private_address_is_refused_for_good(settings: Settings) -> None:
    settings.OUTGOING_ALLOW = []
    with serving(fine) as server:
        with pytest.raises(OutsideDataError, match="OPSCONSOLE_OUTGOING_ALLOW"):
            called(server, run_of(Origin.ESTATE))
        assert server.heard == []


def test_its_time_limit_is_for_all_of_it() -> None:
    with serving(lambda handler: handler.server.over.wait()) as server:  # noqa: SIM117
        with pytest.raises(UnavailableError, match="did not answer within"):
            called(server, run_of(seconds=0.3))


def test_a_header_of_the_environment_is_sent_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALL_EXPORT", "Bearer very-secret")
    with serving(lambda handler: handler.say(200, str(handler.headers).encode())) as server:
        said, log = called(server, headers_env={"Authorization": "CALL_EXPORT"})
        assert server.heard[0].headers["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in said + "".join(log)


def test_a_call_that_somebody_typed_reads_no_other_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_AUTHORIZATION", "of the estate")
    with serving(fine) as server:
        with pytest.raises(OutsideDataError, match="has to begin with CALL_"):
            called(server, headers_env={"X": "EXPORT_AUTHORIZATION"})
        assert server.heard == []
        called(server, run_of(Origin.ESTATE), headers_env={"X": "EXPORT_AUTHORIZATION"})
        assert server.heard[0].headers["X"] == "of the estate"


def test_a_header_that_the_console_makes_is_refused_when_it_is_typed() -> None:
    with pytest.raises(UsageError, match="made by the console"):
        require_usable({"url": "https://x.example/", "headers_env": {"Host": "CALL_X"}})
