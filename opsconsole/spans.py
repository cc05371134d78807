"""Spans for OpenTelemetry, where the settings name a receiver. Without one none of its packages is loaded, and a span
is nothing. A span's trace id is the id that pages, jobs, messages and the audit log have (`trace.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from opsconsole import trace

Value: TypeAlias = str | int | float | bool
Harmless: TypeAlias = tuple[type[BaseException], ...]
PROBES = ("/livez", "/healthz", "/metrics")
SERVER_ERROR = 500


class Span(Protocol):
    """What is known of a span later than at its beginning. Never what customers' data or secrets are in."""

    def rename(self, name: str) -> None: ...

    def tell(self, name: str, value: Value) -> None: ...

    def fail(self, what: str) -> None:
        """It went wrong: `what` is a kind (`500`, `UnavailableError`), no sentence."""


class Recorder(Protocol):
    def span(self, name: str, values: Mapping[str, Value], harmless: Harmless) -> Iterator[Span]: ...

    def past(self, name: str, began: int, values: Mapping[str, Value]) -> None: ...

    def flush(self) -> None: ...

    def stop(self) -> None: ...


class _Nothing:
    def rename(self, name: str) -> None:
        pass

    def tell(self, name: str, value: Value) -> None:
        pass

    def fail(self, what: str) -> None:
        pass


_NOTHING = _Nothing()
_recorder: Recorder | None = None


def start() -> None:
    """Record from now on in this process and its children, where the settings name a receiver."""
    global _recorder  # noqa: PLW0603
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    try:
        from opsconsole.opentelemetry import Exporting  # noqa: PLC0415  (loaded only where it is asked for)
    except ImportError as error:
        raise ImproperlyConfigured(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: "
            "pip install -r requirements-opentelemetry.txt."
        ) from error
    _recorder = Exporting(settings.OTEL_EXPORTER_OTLP_ENDPOINT, settings.OTEL_SERVICE_NAME)


def stop() -> None:
    """Send what there is, and record nothing any more."""
    global _recorder  # noqa: PLW0603
    if _recorder is not None:
        _recorder.stop()
        _recorder = None


def flush() -> None:
    """Send what there is, before a process ends without a word. A receiver that is away costs a second."""
    if _recorder is not None:
        _recorder.flush()


@contextmanager
def span(name: str, values: Mapping[str, Value] | None = None, harmless: Harmless = ()) -> Iterator[Span]:
    """What happens inside, as a span of the trace that is going on; outside of one it is none. An exception that is
    not `harmless` is its failure, by its type alone."""
    if _recorder is None or trace.current() is None:
        yield _NOTHING
        return
    yield from _recorder.span(name, values or {}, harmless)


def past(name: str, began: int, values: Mapping[str, Value]) -> None:
    """A span that ends now, and began at `began` (nanoseconds, as `time.time_ns` has them)."""
    if _recorder is not None and trace.current() is not None:
        _recorder.past(name, began, values)


class SpanMiddleware:
    """A span for each request but those of probes and for static files, by its route: addresses have ids in them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith((*PROBES, settings.STATIC_URL)):
            return self.get_response(request)
        method = str(request.method)
        with span(method, {"http.request.method": method}) as told:
            response = self.get_response(request)
            told.tell("http.response.status_code", response.status_code)
            if match := request.resolver_match:
                told.rename(f"{method} /{match.route}")
                told.tell("http.route", f"/{match.route}")
            if response.status_code >= SERVER_ERROR:
                told.fail(str(response.status_code))
        return response
