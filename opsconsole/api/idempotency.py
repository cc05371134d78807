"""A POST that names an idempotency key is carried out once, however often it is sent.

The key is claimed by a unique insert in the transaction of the act: whoever sends it again meanwhile waits for that
transaction, and then has the same answer; of a process that was killed nothing is left, neither the act nor the claim.

An act that must commit by itself (it tells a process of its job, which then reads its row) cannot be in that
transaction. Its claim is committed first; after a crash the key can be used again once the claim is a minute old, and
such an act does no harm when it is done twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from opsconsole.api.models import ApiToken, IdempotentCall
from opsconsole.api.problems import ProblemError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 255
KEPT = timedelta(hours=24)
LOST_AFTER = timedelta(seconds=60)
WAIT_SECONDS = 10
ASKING_SECONDS = 60
"""An act may ask the source in its transaction, which is idle meanwhile; the session's own limit is shorter."""

LOCK_NOT_AVAILABLE = "55P03"

Act = Callable[[], HttpResponseBase]


class _AnsweredError(Exception):
    """Carries the answer of an act that failed out of the transaction that is being rolled back."""

    def __init__(self, response: HttpResponseBase) -> None:
        super().__init__("the act failed")
        self.response = response


def once(request: HttpRequest, token: ApiToken, act: Act, *, commits_itself: bool) -> HttpResponseBase:
    """The answer of `act`, or what it answered before. Without a key it is one transaction all the same.

    Raises ProblemError for a key that cannot be used, was used with another body, or is under way.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return act() if commits_itself else _in_transaction(act)
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        detail = f"The {HEADER} cannot be used; allowed are 1 to {LONGEST_KEY} printable ASCII characters."
        raise ProblemError(HTTPStatus.BAD_REQUEST, "bad-request", detail)
    call = IdempotentCall(token=token, key=key, fingerprint=fingerprint(request))
    return _claimed_first(call, act) if commits_itself else _claimed_within(call, act)


def fingerprint(request: HttpRequest) -> str:
    """SHA-256 of what was asked: method, address with its query, body."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    digest.update(request.body)
    return digest.hexdigest()


def _in_transaction(act: Act) -> HttpResponseBase:
    """An act that fails leaves nothing, even where one of its steps had been committed in a block of its own."""
    try:
        with transaction.atomic():
            _allow_asking()
            return _succeeded(act())
    except _AnsweredError as failed:
        return failed.response


def _claimed_within(call: IdempotentCall, act: Act) -> HttpResponseBase:
    try:
        with transaction.atomic():
            _allow_asking()
            before = _claim(call)
            if before is not None:
                return _again(before, call)
            return _answered(call, act)
    except _AnsweredError as failed:  # it may succeed when it is tried again, so the key stays free
        return failed.response


def _answered(call: IdempotentCall, act: Act) -> HttpResponseBase:
    """Do it, and keep the answer. A refusal is an answer; a failure of the console or of a server outside is not."""
    try:
        with transaction.atomic():
            response = _succeeded(act())
    except _AnsweredError as failed:
        response = failed.response
        if not _is_final(response):
            raise
    _keep(call, response)
    return response


def _claimed_first(call: IdempotentCall, act: Act) -> HttpResponseBase:
    with transaction.atomic():
        before = _claim(call)
        if before is not None and before.status is None and _take_over(before, call):
            call, before = before, None
    if before is not None:
        return _again(before, call)
    response = act()
    if _is_final(response):
        _keep(call, response)
    else:
        IdempotentCall.objects.filter(pk=call.pk).delete()
    return response


def _claim(call: IdempotentCall) -> IdempotentCall | None:
    """Insert the call; or the one that was there, None otherwise. Waits for one that is under way."""
    IdempotentCall.objects.filter(token=call.token, key=call.key, begun_at__lt=Now() - KEPT).delete()
    with _waiting_at_most(WAIT_SECONDS):
        try:
            with transaction.atomic():
                call.save(force_insert=True)
        except IntegrityError:
            return IdempotentCall.objects.get(token=call.token, key=call.key)
    return None


def _take_over(before: IdempotentCall, call: IdempotentCall) -> bool:
    """Whether a claim that was left behind is now ours."""
    lost = IdempotentCall.objects.filter(
        pk=before.pk, status=None, fingerprint=call.fingerprint, begun_at__lt=Now() - LOST_AFTER
    )
    return bool(lost.update(begun_at=Now()))


def _again(before: IdempotentCall, call: IdempotentCall) -> HttpResponse:
    if before.fingerprint != call.fingerprint:
        detail = f"This {HEADER} was used for another request within {KEPT.total_seconds() / 3600:.0f} hours."
        raise ProblemError(HTTPStatus.CONFLICT, "idempotency-key-reused", detail)
    if before.status is None:
        raise _under_way()
    response = HttpResponse(before.body, status=before.status, content_type=before.content_type)
    response[REPLAYED] = "true"
    return response


def _under_way() -> ProblemError:
    detail = f"A request with this {HEADER} is under way; ask again for its answer."
    return ProblemError(HTTPStatus.CONFLICT, "idempotency-key-under-way", detail, {"Retry-After": "5"})


def _succeeded(response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise _AnsweredError(response)
    return response


def _is_final(response: HttpResponseBase) -> bool:
    return response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR


def _keep(call: IdempotentCall, response: HttpResponseBase) -> None:
    assert isinstance(response, HttpResponse), "the answer of an act is not streamed"
    IdempotentCall.objects.filter(pk=call.pk).update(
        status=response.status_code, content_type=response["Content-Type"], body=response.content.decode()
    )


def _allow_asking() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{ASKING_SECONDS}s'")


@contextmanager
def _waiting_at_most(seconds: int) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{seconds}s'")
        try:
            yield
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
                raise
            raise _under_way() from error
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
