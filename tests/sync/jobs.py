"""Jobs made by hand, for tests of what becomes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from sync.engine.rows import DriftKind, Finding, Row
from sync.engine.written import state_of
from sync.models import Attempt, Job, JobEvent
from sync.operations.workers import WorkerIdentity

WORKER = WorkerIdentity("worker-one", "host", 4711)
OTHER_WORKER = WorkerIdentity("worker-two", "host", 4712)


def make_job(**fields: Any) -> Job:
    """A queued job of an organization of its own, older than the clock's grace."""
    values = {
        "organization_id": str(uuid4()),
        "trace_id": uuid4(),
        "created_by": "tests",
        "enqueued_at": timezone.now() - timedelta(minutes=1),
    }
    return Job.objects.create(**(values | fields))


def claim(job: Job, worker: WorkerIdentity = WORKER) -> tuple[Job, Attempt]:
    claimed = Job.objects.claim(job.pk, worker)
    assert claimed is not None
    return claimed


def fall_silent(job: Job, seconds: float = 60) -> None:
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))


def messages(job: Job) -> list[str]:
    return list(JobEvent.objects.filter(job_id=job.pk).order_by("pk").values_list("message", flat=True))


def finding(kind: DriftKind = DriftKind.MISSING) -> Finding:
    key = uuid4()
    state = state_of(Row(key, uuid4(), ("waiting",), 1, timezone.now()), ("status",))
    source = None if kind is DriftKind.ORPHAN else state
    return Finding(str(key), kind, source, None if kind is DriftKind.MISSING else state)
