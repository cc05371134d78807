"""What a running attempt writes down. Each write is one transaction that first proves it still holds the job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from psycopg import sql

from opsconsole.errors import ConsoleError
from sync.engine.rows import DriftKind, Finding, Row
from sync.engine.values import to_json
from sync.models import Drift, EventLevel, Job, JobEvent, JobState, Phase, Verification
from sync.publisher import Receipt

_DRIFT_COLUMNS = (
    *("job_id", "task_id", "kind", "fields", "source", "index", "source_version", "index_version"),
    *("source_updated_at", "partition", "offset", "published_at", "verification"),
)
_COPY_DRIFT = sql.SQL("COPY {} ({}) FROM STDIN").format(
    sql.Identifier(Drift._meta.db_table), sql.SQL(", ").join(map(sql.Identifier, _DRIFT_COLUMNS))
)


class FenceLostError(ConsoleError):
    """The job has been given to another attempt (or ended) while this one worked on. Stop without a word."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """One judged chunk: what goes into the database with the checkpoint `upto` (None: the walk ends with it)."""

    upto: str | None
    scanned: int
    unsettled: int
    findings: tuple[Finding, ...]
    receipts: Mapping[object, Receipt]


class Ledger:
    """The durable side of one attempt, guarded by its fence."""

    def __init__(self, job_id: int, fence: int, field_names: Sequence[str]) -> None:
        self.job_id = job_id
        self.fence = fence
        self._names = tuple(field_names)

    @contextmanager
    def held(self) -> Iterator[Job]:
        """The job's row, locked, inside a transaction. Raises FenceLostError where another attempt has it."""
        with transaction.atomic():
            job = Job.objects.select_for_update().filter(pk=self.job_id).held(self.fence).first()
            if job is None:
                raise FenceLostError(f"attempt {self.fence} no longer holds job {self.job_id}")
            yield job

    def note(self, message: str, level: EventLevel = EventLevel.INFO) -> None:
        JobEvent.objects.create(job_id=self.job_id, attempt=self.fence, level=level, message=message)

    def expect(self, tasks: int) -> None:
        with self.held() as job:
            job.expected = tasks
            job.save(update_fields=["expected"])

    def commit_chunk(self, chunk: ChunkResult) -> JobState:
        """Drift rows, counters, checkpoint and heartbeat together. Returns the state, which may ask for an end."""
        with self.held() as job:
            self._copy_drift(chunk)
            for finding in chunk.findings:
                setattr(job, finding.kind.value, getattr(job, finding.kind.value) + 1)
            job.scanned += chunk.scanned
            job.unsettled += chunk.unsettled
            job.published += len(chunk.receipts)
            job.stalled_attempts = 0
            if chunk.upto is None:
                job.phase = Phase.VERIFY  # with the last chunk: an attempt that dies after it must not walk it again
            else:
                job.checkpoint = chunk.upto
            job.heartbeat_at = Now()
            job.save(
                update_fields=[
                    *(kind.value for kind in DriftKind),
                    *("scanned", "unsettled", "published", "stalled_attempts", "checkpoint", "phase", "heartbeat_at"),
                ]
            )
            return JobState(job.state)

    def enter_verification(self) -> None:
        with self.held() as job:
            job.phase = Phase.VERIFY
            job.save(update_fields=["phase"])

    def mark(self, drift_ids: Sequence[int], verification: Verification) -> JobState:
        """Set the verification of published drift rows and count it, once per row however often this runs."""
        with self.held() as job:
            changed = Drift.objects.filter(pk__in=drift_ids, verification=Verification.PENDING).update(
                verification=verification
            )
            counter = "verified" if verification is Verification.VERIFIED else "unresolved"
            Job.objects.filter(pk=job.pk).update(**{counter: F(counter) + changed}, heartbeat_at=Now())
            return JobState(job.state)

    def state(self) -> JobState:
        """The job's present state, with a heartbeat. Raises FenceLostError."""
        with self.held() as job:
            Job.objects.filter(pk=job.pk).update(heartbeat_at=Now())
            return JobState(job.state)

    def _copy_drift(self, chunk: ChunkResult) -> None:
        """The chunk's drift rows by COPY: several times faster than INSERT, and drift comes by the hundred thousand."""
        if not chunk.findings:
            return
        now = timezone.now()
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY_DRIFT) as copy:
            for finding in chunk.findings:
                copy.write_row(self._drift_row(finding, chunk.receipts.get(finding.key), now))

    def _drift_row(self, finding: Finding, receipt: Receipt | None, now: datetime) -> tuple[object, ...]:
        """The values of `_DRIFT_COLUMNS`."""
        source, index = finding.source, finding.index
        return (
            self.job_id,
            str(finding.key),
            finding.kind.value,
            list(finding.fields),
            self._values(source),
            self._values(index),
            source.version if source else None,
            index.version if index else None,
            source.updated_at if source else None,
            receipt.partition if receipt else None,
            receipt.offset if receipt else None,
            now if receipt else None,
            (Verification.PENDING if receipt else Verification.NONE).value,
        )

    def _values(self, row: Row | None) -> str | None:
        if row is None or row.deleted:
            return None
        named = dict(zip(self._names, map(to_json, row.values), strict=True))
        return json.dumps(named | {"organization": to_json(row.organization)})
