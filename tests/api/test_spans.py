"""OpenTelemetry against a real receiver: one id for a request, the job that it started in another process, and what
that published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import settings as django_settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pytest_django import Settings

from opsconsole import spans, trace
from opsconsole.access import Role
from opsconsole.demo.addresses import ServerAddresses
from sync.models import Job, JobState
from tests.api.callers import program
from tests.api.test_trace import clean
from tests.company import Company
from tests.monitoring.processes import running, wait_for
from tests.outgoing import Handler, Server, fine, serving

pytest_plugins = ["tests.fixtures_sync"]


@pytest.fixture
def collector(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Spans of this process, and of those that it starts, arrive there."""
    with serving(fine) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        settings.OTEL_EXPORTER_OTLP_ENDPOINT = address
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        spans.start()
        try:
            yield server
        finally:
            spans.stop()


def received(server: Server) -> list[Span]:
    found: list[Span] = []
    for heard in list(server.heard):
        assert (heard.path, heard.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        for resource in ExportTraceServiceRequest.FromString(heard.body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
    return found


def values_of(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.mark.usefixtures("committed", "use_estate", "queue", "indexer")
def test_one_trace_from_a_request_through_a_worker_to_the_broker(
    collector: Server,
    company: Company,
    servers: ServerAddresses,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSCONSOLE_ESTATE", django_settings.ESTATE)
    ops = program(Role.OPERATOR, f"tracer-{uuid4().hex[:6]}")
    task = company.tasks(company.organizations()[0])[0]
    company.in_source("UPDATE tasks SET title = 'lost', version = version + 1 WHERE id = %s", task)
    call = ops.post("by-hand/tasks", {"tasks": [str(task)], "mode": "sync", "reason": "a customer asked"})
    spans.flush()
    with running("worker", servers, tmp_path, "rqworker", "high", "default", "--burst"):
        wait_for(lambda: {"job", "publish"} <= {span.name for span in received(collector)}, "the worker's spans arrive")
    assert Job.objects.get().state == JobState.DONE
    clean(ops)

    ours = [span for span in received(collector) if span.trace_id == UUID(call[trace.HEADER]).bytes]
    request, job, publish = (
        next(span for span in ours if span.name.startswith(name)) for name in ("POST", "job", "pub")
    )
    assert values_of(request)["http.response.status_code"] == call.status_code
    assert request.name == "POST /api/v1/by-hand/tasks"
    assert (job.parent_span_id, publish.parent_span_id) == (b"", job.span_id)
    assert values_of(job)["opsconsole.mode"] == "sync"
    assert values_of(publish) == {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.batch.message_count": 1,
    }
    assert job.start_time_unix_nano <= publish.start_time_unix_nano <= publish.end_time_unix_nano
    assert publish.end_time_unix_nano <= job.end_time_unix_nano
    assert not any(str(task).encode() in heard.body for heard in collector.heard)


def test_what_went_wrong_is_told_by_its_kind(collector: Server) -> None:
    with trace.under(uuid4()):
        with pytest.raises(ValueError, match="Acme"), spans.span("job"):
            raise ValueError("Acme's secret")
        with pytest.raises(KeyError), spans.span("stopped", harmless=(KeyError,)):
            raise KeyError
    with spans.span("of no trace"):
        pass
    spans.flush()
    wait_for(lambda: len(collector.heard) > 0, "they arrive")
    failed, stopped = received(collector)
    assert (failed.name, values_of(failed)) == ("job", {"error.type": "ValueError"})
    assert (failed.status.code, stopped.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)
    assert failed.trace_id == stopped.trace_id
    assert b"Acme" not in collector.heard[0].body


def test_a_receiver_that_does_not_answer_holds_nobody_up(settings: Settings) -> None:
    def answers_late(handler: Handler) -> None:
        handler.server.over.wait()
        fine(handler)

    with serving(answers_late) as server:
        settings.OTEL_EXPORTER_OTLP_ENDPOINT = f"http://127.0.0.1:{server.server_port}"
        spans.start()
        with trace.under(uuid4()), spans.span("job"):
            pass
        spans.flush()
        assert not server.over.is_set()  # it has returned without an answer
        server.over.set()
        spans.stop()
    assert [heard.path for heard in server.heard] == ["/v1/traces"]
