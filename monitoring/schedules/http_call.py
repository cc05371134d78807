"""A scheduled HTTP call to another system. The same run, started again, carries the same idempotency key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from monitoring.schedules.actions import Log
from monitoring.schedules.models import Origin, Run
from opsconsole import env, outgoing
from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from opsconsole.estate.schedule_reader import METHODS
from opsconsole.outgoing import Answer, Request, is_address, place_of

PARAMETERS = ("method", "url", "headers_env", "body", "expected_status")
VARIABLE = re.compile(r"^CALL_[A-Z0-9_]+$")
MOST_SHOWN = 500
"""Characters of an answer that go into the log."""


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
    outgoing.require_headers(headers)
    status = parameters.get("expected_status")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):  # noqa: PLR2004
        raise UsageError(f"expected_status is {status!r}; a number from 100 to 599 is needed.")


def require_readable(parameters: Mapping[str, Any]) -> None:
    """Raises UsageError where a header would be read from a variable that is not for calls. People type them, and the
    environment has other secrets; whoever writes the estate file has them all anyway."""
    for variable in parameters.get("headers_env", {}).values():
        if not VARIABLE.match(variable):
            raise UsageError(f"{variable[:60]} cannot be read; the variable's name has to begin with CALL_.")


def call(parameters: Mapping[str, Any], run: Run, log: Log) -> str:
    """Make the call. Raises UnavailableError where trying again may help, else OutsideDataError."""
    method, url = parameters.get("method", "POST"), parameters["url"]
    place = place_of(url)
    log(f"{method} {place}")
    try:
        if run.scheduled_job.origin == Origin.CONSOLE:
            require_readable(parameters)
        request = Request(
            method,
            url,
            body=(parameters.get("body") or "").encode(),
            headers={"Idempotency-Key": f"run-{run.pk}"},
            secret_headers=_headers(parameters),
        )
        answer = outgoing.call(request, patience=run.scheduled_job.time_limit.total_seconds(), place=place)
    except UsageError as error:
        raise OutsideDataError(str(error)) from error
    return _judge(answer, parameters.get("expected_status"), place)


def _headers(parameters: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for header, variable in parameters.get("headers_env", {}).items():
        value = env.text(variable, "")
        if not value:
            raise OutsideDataError(f"The environment has no variable {variable}, which holds the header {header}.")
        found[header] = value
    return found


def _judge(answer: Answer, expected: int | None, place: str) -> str:
    fine = answer.status == expected if expected is not None else answer.is_success
    sentence = f"{place} {answer.beginning(MOST_SHOWN).said}"
    if fine:
        return sentence
    if answer.may_pass:
        raise UnavailableError(sentence)
    wanted = expected if expected is not None else "a status from 200 to 299"
    raise OutsideDataError(f"{sentence} Expected is {wanted}.")
