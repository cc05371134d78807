"""Rows and people for tests of the sync pages."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.test import Client

from opsconsole.access import Role
from opsconsole.models import User
from sync.models import Attempt, Batch, Drift, Job, JobEvent, StagedOrganization
from tests.sync.jobs import make_job
from tests.web.test_routes import person

HOSTILE = "<script>alert('x')</script> & Sons"
MOST_QUERIES = 12


def client_of(role: Role) -> Client:
    """Somebody of that role, logged in; the same person each time."""
    name = f"a-{role.value}"
    client = Client()
    client.force_login(User.objects.filter(username=name).first() or person(name, role))
    return client


def make_batch(**fields: Any) -> Batch:
    return Batch.objects.create(**({"mode": "sync", "size": 10, "created_by": "tests", "trace_id": uuid4()} | fields))


def stage_rows(count: int, **fields: Any) -> list[StagedOrganization]:
    rows = [
        StagedOrganization(organization_id=str(uuid4()), name=f"Customer {number}", staged_by="tests", **fields)
        for number in range(count)
    ]
    return StagedOrganization.objects.bulk_create(rows)


def make_drift(job: Job, kind: str = "stale", **fields: Any) -> Drift:
    values: dict[str, Any] = {"job": job, "task_id": str(uuid4()), "kind": kind}
    if kind == "stale":
        values |= {"fields": ["status"], "source": {"status": "completed"}, "index": {"status": "waiting"}}
    return Drift.objects.create(**(values | fields))


def make_full_job(**fields: Any) -> Job:
    """A job with attempts, drift of each kind and a log."""
    counters = {"expected": 100, "scanned": 60, "stale": 2, "missing": 1, "orphan": 1}
    counters |= {"published": 4, "verified": 3, "unresolved": 1}
    job = make_job(**({"organization_name": HOSTILE, "mode": "sync", "fence": 2} | counters | fields))
    for number in (1, 2):
        Attempt.objects.create(job=job, number=number, worker=f"worker-{number}", host="ops-1", pid=4711)
    make_drift(job, partition=3, offset=1234, verification="verified", source_version=8, index_version=7)
    make_drift(job, "missing", source={"title": HOSTILE, "status": "waiting"})
    make_drift(job, "orphan", index={"title": "Gone", "status": "waiting"}, verification="pending")
    JobEvent.objects.bulk_create([JobEvent(job=job, attempt=1, message=f"Line {number}") for number in range(250)])
    return job
