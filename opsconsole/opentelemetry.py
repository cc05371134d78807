"""Spans go to a receiver of OpenTelemetry's protocol (OTLP, protobuf over HTTP). Only `spans.py` loads this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, Status, StatusCode

from opsconsole import trace
from opsconsole.spans import Harmless, Value

FLUSH_SECONDS = 1.0


class OurIds(RandomIdGenerator):
    """A span without a parent belongs to what is going on here. So a request and the jobs that it started, in whatever
    processes, are one trace."""

    def generate_trace_id(self) -> int:
        current = trace.current()
        return current.int if current else super().generate_trace_id()


class Told:
    """A span that is under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def tell(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, what: str) -> None:
        self._span.set_attribute("error.type", what)
        self._span.set_status(Status(StatusCode.ERROR))


class Exporting:
    """Sends spans in the background, every few seconds; in a forked child, too."""

    def __init__(self, endpoint: str, service: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}), id_generator=OurIds(), shutdown_on_exit=True
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("opsconsole")

    def span(self, name: str, values: Mapping[str, Value], harmless: Harmless) -> Iterator[Told]:
        # The exception's message and stack, which it would record, have customers' data in them.
        with self._tracer.start_as_current_span(
            name, attributes=values, record_exception=False, set_status_on_exception=False
        ) as span:
            told = Told(span)
            try:
                yield told
            except BaseException as error:
                if not isinstance(error, harmless):
                    told.fail(type(error).__name__)
                raise

    def past(self, name: str, began: int, values: Mapping[str, Value]) -> None:
        self._tracer.start_span(name, start_time=began, attributes=values).end()

    def flush(self) -> None:
        # Aside, as the exporter tries again and again where nobody answers.
        thread = Thread(target=self._provider.force_flush, daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)

    def stop(self) -> None:
        self._provider.shutdown()
