"""One id from the click to the end: of a request, of what it queued, of the messages, of the lines in logs and audit.

A request gets a new one; a worker takes that of the job it runs. Ids from outside are not taken over: two requests with
the same one would be one chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import autodiscover_modules

from opsconsole import scope

HEADER = "X-Trace-Id"
MOST_SHOWN = 200
"""Of what one part knows of a chain."""

_current: ContextVar[UUID | None] = ContextVar("opsconsole_trace", default=None)


def current() -> UUID | None:
    """The id of what is going on here; None outside of a request and of a job."""
    return _current.get()


def current_or_new() -> UUID:
    return _current.get() or uuid4()


@contextmanager
def under(trace_id: UUID) -> Iterator[None]:
    """What happens inside belongs to `trace_id`."""
    token = _current.set(trace_id)
    try:
        yield
    finally:
        _current.reset(token)


class TraceMiddleware:
    """A new id for each request, told in the answer's header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trace_id = uuid4()
        with under(trace_id):
            response = self.get_response(request)
        response[HEADER] = str(trace_id)
        return response


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a chain: when, what (a word such as `job 12`), a sentence, and its page, empty for none."""

    at: datetime
    what: str
    sentence: str
    address: str = ""


Find = Callable[[UUID], Iterable[Link]]
_finders: list[tuple[Find, bool]] = []


def links_of(*, narrowed: bool = False) -> Callable[[Find], Find]:
    """Declare a function that finds what one part knows of a trace, by an index, at most MOST_SHOWN. Whoever is limited
    to some organizations hears only of those that are `narrowed`: they leave out what lies outside."""

    def register(find: Find) -> Find:
        _finders.append((find, narrowed))
        return find

    return register


def chain(trace_id: UUID) -> list[Link]:
    """All that is known of a trace to whoever asks, in order of time."""
    autodiscover_modules("traces")
    limited = scope.current().limited
    asked = [find for find, narrowed in _finders if narrowed or not limited]
    return sorted((link for find in asked for link in find(trace_id)), key=lambda link: link.at)
