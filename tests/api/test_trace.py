"""One id from the click through job row, Kafka header, verification and audit; and log lines that carry it."""

from __future__ import annotations

import json
import logging
from uuid import UUID, uuid4

import pytest
import redis
from django.db import connection, transaction
from django.test import Client

from opsconsole import trace
from opsconsole.access import Role
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.logs import JsonLineFormatter, LineFormatter, TraceFilter, without_secrets
from opsconsole.models import AuditEntry
from sync.jobs import run_job
from sync.models import Job, JobState
from tests.api.callers import Program, problem_of, program
from tests.company import Company, EstateWriter, IndexerThread, read_topic
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]


@pytest.mark.django_db
def test_each_request_has_an_id_of_its_own() -> None:
    first, second = (Client().get("/livez", headers={"x-trace-id": str(uuid4())}) for _ in range(2))
    assert UUID(first[trace.HEADER]) != UUID(second[trace.HEADER])
    assert trace.current() is None


@pytest.mark.django_db
def test_what_is_audited_has_the_id_of_its_request(use_estate: EstateWriter) -> None:
    client = client_of(Role.OPERATOR)
    answer = client.post("/sync/staged/clear/")
    assert str(AuditEntry.objects.get(action="organizations.cleared").trace_id) == answer[trace.HEADER]


def test_the_chain_of_a_repair(
    committed: None,
    company: Company,
    use_estate: EstateWriter,
    queue: redis.Redis,
    indexer: IndexerThread,
    servers: ServerAddresses,
    topic: str,
) -> None:
    """From a call of the API to the index, by a real worker's code, topic and indexer."""
    ops = program(Role.OPERATOR, f"tracer-{uuid4().hex[:6]}")
    task = company.tasks(company.organizations()[0])[0]
    company.in_source("UPDATE tasks SET title = 'lost', version = version + 1 WHERE id = %s", task)
    call = ops.post("by-hand/tasks", {"tasks": [str(task)], "mode": "sync", "reason": "a customer asked"})
    trace_id = call[trace.HEADER]
    assert call.json()["trace_id"] == trace_id
    run_job(call.json()["number"])
    job = Job.objects.get()
    assert (job.state, job.verified, str(job.trace_id)) == (JobState.DONE, 1, trace_id)
    (message,) = read_topic(servers.kafka_bootstrap, topic)
    assert message.headers["trace_id"] == trace_id
    assert str(AuditEntry.objects.get(action="job.created").trace_id) == trace_id
    sentences = [link["sentence"] for link in ops.get(f"traces/{trace_id}").json()["items"]]
    assert any("job.created by" in one for one in sentences)
    assert sentences[-1].startswith("Done: 1 task compared, 1 out of sync, 1 published, 1 verified")
    page = client_of(Role.VIEWER).get("/trace/", {"id": trace_id}).content.decode()
    assert f"/sync/jobs/{job.pk}/" in page
    clean(ops)


def clean(ops: Program) -> None:
    """What `committed` does not empty: it knows of no tokens."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opsconsole_auditentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM opsconsole_auditentry")
        cursor.execute("DELETE FROM opsconsole_idempotentcall")
        cursor.execute("DELETE FROM opsconsole_apitoken")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE opsconsole_auditentry ENABLE TRIGGER USER")


@pytest.mark.django_db
def test_an_id_that_nothing_has_and_one_that_is_none() -> None:
    viewer = program(Role.VIEWER)
    assert viewer.get(f"traces/{uuid4()}").json() == {"items": []}
    assert problem_of(viewer.get("traces/nonsense"))["status"] == 422
    client = client_of(Role.VIEWER)
    assert "Nothing has this id" in client.get("/trace/", {"id": str(uuid4())}).content.decode()
    wrong = client.get("/trace/", {"id": "<script>"})
    assert (wrong.status_code, "<script>" in wrong.content.decode()) == (400, False)


def record(message: str, *values: object, error: Exception | None = None) -> logging.LogRecord:
    made = logging.LogRecord("sync.jobs", logging.WARNING, "f.py", 1, message, values, None)
    if error is not None:
        made.exc_info = (type(error), error, None)
    TraceFilter().filter(made)
    return made


def test_a_json_line_has_the_trace_and_no_secret() -> None:
    trace_id = uuid4()
    with trace.under(trace_id):
        line = JsonLineFormatter().format(
            record("cannot reach %s", "postgresql://app:hunter2@db/x", error=ValueError("Bearer ops_abcdefghijk"))
        )
    content = json.loads(line)
    assert (content["trace_id"], content["level"], content["logger"]) == (str(trace_id), "WARNING", "sync.jobs")
    assert content["message"] == "cannot reach postgresql://…@db/x"
    assert "hunter2" not in line
    assert "ops_abc" not in line
    assert "ValueError" in content["exc_info"]
    assert LineFormatter("{trace_id} {message}", style="{").format(record("done")) == "- done"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("redis://:pw@127.0.0.1:6379/0", "redis://…@127.0.0.1:6379/0"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("password=hunter2 host=db", "password=… host=db"),
        ("{'token': 'abc', 'id': 7}", "{'token': '…', 'id': 7}"),
        ("12 jobs of batch 3 failed", "12 jobs of batch 3 failed"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, kept: str) -> None:
    assert without_secrets(text) == kept
