"""One GET with bounded tries, time and size; every way it can end badly is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic

import httpx

from opsconsole.errors import OutsideDataError, UnavailableError

TRIES = 3
FIRST_PAUSE = 0.5  # seconds, doubled each time
LONGEST_PAUSE = 30.0  # a server may ask for more; the job's own retry is the place for long waits

REFUSALS = {
    400: "refused the request (400): it does not take the parameters of docs/http-index.md",
    401: "refused the token (401): check the variable that token_env names",
    403: "forbids this token to read (403)",
    404: "has nothing at this address (404): check the variable that url_env names",
    414: "takes no addresses of this length (414)",
}


class _TryAgainError(Exception):
    """One try failed in a way that may pass. `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def request_with_retries(
    client: httpx.Client,
    request: httpx.Request,
    *,
    place: str,
    most_bytes: int,
    deadline: float,
    pause: Callable[[float], None],
) -> bytes:
    """The body of the answer. Three tries on 429, 5xx and connection errors; `deadline` bounds each, in seconds.

    Raises UnavailableError when no try worked, OutsideDataError for an answer that would not change.
    """
    for number in range(1, TRIES + 1):
        try:
            return _one_try(client, request, place, most_bytes, deadline)
        except _TryAgainError as failure:
            if number == TRIES:
                raise UnavailableError(f"The index ({place}) {failure} ({TRIES} tries).") from failure
            wait = failure.wait if failure.wait is not None else FIRST_PAUSE * 2 ** (number - 1)
            pause(min(wait, LONGEST_PAUSE))
    raise AssertionError("unreachable")


def _one_try(client: httpx.Client, request: httpx.Request, place: str, most_bytes: int, deadline: float) -> bytes:
    ends = monotonic() + deadline
    try:
        response = client.send(request, stream=True)
        try:
            _judge(response, place)
            return _body(response, place, most_bytes, ends)
        finally:
            response.close()
    except httpx.TimeoutException as error:
        raise _TryAgainError(f"gave no answer within {deadline:g} s") from error
    except httpx.DecodingError as error:
        raise OutsideDataError(f"The index ({place}) sent a body that cannot be decoded.") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        reason = "cannot be reached" if isinstance(error, httpx.ConnectError) else "broke the connection off"
        raise _TryAgainError(reason) from error


def _judge(response: httpx.Response, place: str) -> None:
    status = response.status_code
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _TryAgainError("has too many requests (429)", _retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _TryAgainError(f"failed ({status})", _retry_after(response))
    if status in REFUSALS:
        raise OutsideDataError(f"The index ({place}) {REFUSALS[status]}.")
    raise OutsideDataError(f"The index ({place}) answered with status {status}; only 200 is understood.")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from either form of the header; None where there is none that can be read."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _body(response: httpx.Response, place: str, most_bytes: int, ends: float) -> bytes:
    """Read in pieces: httpx's own timeout starts anew with every piece, and nothing bounds the size."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > most_bytes:
            raise OutsideDataError(f"The index ({place}) sent more than {most_bytes:,} bytes; ask for fewer rows.")
        if monotonic() > ends:
            raise _TryAgainError("did not finish its answer in time")
    return bytes(body)
