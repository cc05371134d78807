"""A scheduled HTTP call to another system. The same run, started again, carries the same idempotency key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from monitoring.schedules.actions import Log
from monitoring.schedules.models import Run
from opsconsole import env
from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from opsconsole.estate.schedule_reader import METHODS, is_address, place_of

PARAMETERS = ("method", "url", "headers_env", "body", "expected_status")
MOST_SHOWN = 500
"""Bytes of an answer that go into the log."""

SERVER_ERROR = 500
TOO_MANY = 429


def require_usable(parameters: Mapping[str, Any]) -> None:
    """Raises UsageError where no call could be made of these."""
    if unknown := sorted(set(parameters) - set(PARAMETERS)):
        raise UsageError(f"An HTTP call has no parameter {unknown[0]}; allowed are {', '.join(PARAMETERS)}.")
    if parameters.get("method", "POST") not in METHODS:
        raise UsageError(f"method is {parameters.get('method')!r}; allowed are {', '.join(METHODS)}.")
    url = parameters.get("url")
    if not isinstance(url, str) or not is_address(url):
        raise UsageError(f"url is {url!r}; an address that begins with http:// or https:// is needed.")
    headers = parameters.get("headers_env", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise UsageError("headers_env maps a header to the environment variable that holds its value.")
    status = parameters.get("expected_status")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):  # noqa: PLR2004
        raise UsageError(f"expected_status is {status!r}; a number from 100 to 599 is needed.")


def call(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """Make the call. Raises UnavailableError where trying again may help, else OutsideDataError."""
    method, url = parameters.get("method", "POST"), parameters["url"]
    limit = run.scheduled_job.time_limit.total_seconds()
    headers = {"User-Agent": "opsconsole", "Idempotency-Key": f"run-{run.pk}", **_headers(parameters)}
    log(f"{method} {place_of(url)}")
    try:
        with httpx.Client(timeout=limit, trust_env=False) as client:
            answer = client.request(method, url, headers=headers, content=parameters.get("body"))
    except httpx.HTTPError as error:
        raise UnavailableError(f"{place_of(url)} did not answer: {str(error) or type(error).__name__}.") from error
    return _judge(answer, parameters.get("expected_status"), url)


def _headers(parameters: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for header, variable in parameters.get("headers_env", {}).items():
        value = env.text(variable, "")
        if not value:
            raise OutsideDataError(f"The environment has no variable {variable}, which holds the header {header}.")
        found[header] = value
    return found


def _judge(answer: httpx.Response, expected: int | None, url: str) -> str:
    fine = answer.status_code == expected if expected is not None else answer.is_success
    said = answer.text[:MOST_SHOWN]
    sentence = f"{place_of(url)} answered {answer.status_code}" + (f": {said}" if said else ".")
    if fine:
        return sentence
    if answer.status_code >= SERVER_ERROR or answer.status_code == TOO_MANY:
        raise UnavailableError(sentence)
    wanted = expected if expected is not None else "a status from 200 to 299"
    raise OutsideDataError(f"{sentence} Expected is {wanted}.")
