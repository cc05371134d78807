"""What a running attempt writes down. Each write is one transaction that first proves it still holds the job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from psycopg import sql

from opsconsole.errors import ConsoleError
from sync.engine.compare import ORGANIZATION_FIELD, TaskError
from sync.engine.rows import DriftKind, Finding, State
from sync.models import Drift, EventLevel, Job, JobEvent, JobState, Mode, Phase, SetAside, Verification
from sync.publisher import Receipt

_DRIFT_COLUMNS = (
    *("job_id", "task_id", "kind", "fields", "source", "index", "source_version", "index_version"),
    *("source_updated_at", "partition", "offset", "published_at", "verification"),
)
_COPY_DRIFT = sql.SQL("COPY {} ({}) FROM STDIN").format(
    sql.Identifier(Drift._meta.db_table), sql.SQL(", ").join(map(sql.Identifier, _DRIFT_COLUMNS))
)


_MARK_VERIFIED = sql.SQL(
    "UPDATE {drift} SET verification = {verified} WHERE verification = {pending} AND id = ANY(%s)"
).format(
    drift=sql.Identifier(Drift._meta.db_table),
    verified=sql.Literal(Verification.VERIFIED.value),
    pending=sql.Literal(Verification.PENDING.value),
)

NULL = r"\N"
_ABSENT = NULL, NULL, NULL
_PENDING, _NONE, _REFUSED = (one.value for one in (Verification.PENDING, Verification.NONE, Verification.REFUSED))


class FenceLostError(ConsoleError):
    """The job has been given to another attempt (or ended) while this one worked on. Stop without a word."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """One judged chunk: what goes into the database with the checkpoint `upto` (None: the walk ends with it).

    `receipts` are those of the findings, in their order, None for a refused message; empty where nothing was published.
    `set_aside` are tasks that the job goes on without.
    """

    upto: str | None
    scanned: int
    unsettled: int
    findings: tuple[Finding, ...]
    receipts: Sequence[Receipt | None]
    set_aside: tuple[TaskError, ...] = ()

    @property
    def published(self) -> int:
        return sum(receipt is not None for receipt in self.receipts)

    def joined(self, following: ChunkResult) -> ChunkResult:
        """Both, where `following` begins where this one ends."""
        return ChunkResult(
            following.upto,
            self.scanned + following.scanned,
            self.unsettled + following.unsettled,
            self.findings + following.findings,
            [*self.receipts, *following.receipts],
            self.set_aside + following.set_aside,
        )


class Ledger:
    """The durable side of one attempt, guarded by its fence."""

    def __init__(self, job_id: int, fence: int) -> None:
        self.job_id = job_id
        self.fence = fence

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
            if job.mode == Mode.REPORT:
                _commit_lazily()
            self._copy_drift(chunk)
            job.set_aside += self._set_aside(chunk.set_aside)
            for kind, count in Counter(finding.kind for finding in chunk.findings).items():
                setattr(job, kind.value, getattr(job, kind.value) + count)
            job.scanned += chunk.scanned
            job.unsettled += chunk.unsettled
            job.published += chunk.published
            self._advance(job, chunk)
            self.beat(job)
            job.save(
                update_fields=[
                    *(kind.value for kind in DriftKind),
                    *(
                        "scanned",
                        "unsettled",
                        "set_aside",
                        "published",
                        "stalled_attempts",
                        "checkpoint",
                        "phase",
                        "expected",
                        "heartbeat_at",
                    ),
                ]
            )
            return JobState(job.state)

    def _advance(self, job: Job, chunk: ChunkResult) -> None:
        """Move the checkpoint to the chunk's end."""
        job.stalled_attempts = 0
        if chunk.upto is None:
            _walked(job)  # with the last chunk: an attempt that dies after it must not walk it again
        else:
            job.checkpoint = chunk.upto

    def beat(self, job: Job) -> None:
        """A sign of life, to be saved with the job."""
        job.heartbeat_at = Now()

    def enter_verification(self) -> None:
        with self.held() as job:
            _walked(job)
            job.save(update_fields=["phase", "expected"])

    def mark_verified(self, drift_ids: Sequence[int]) -> JobState:
        """Published drift rows that the index was seen to have: counted once per row however often this runs."""
        with self.held() as job:
            with connection.wrap_database_errors, connection.cursor() as cursor:
                cursor.execute(_MARK_VERIFIED, [list(drift_ids)])
                changed = cursor.rowcount
            Job.objects.filter(pk=job.pk).update(verified=F("verified") + changed, unresolved=0, heartbeat_at=Now())
            return JobState(job.state)

    def give_up(self, unresolved: int) -> None:
        """So many published tasks were not seen in the index in time: those whose rows are pending (`Drift.status`)."""
        with self.held() as job:
            Job.objects.filter(pk=job.pk).update(unresolved=unresolved, heartbeat_at=Now())

    def state(self) -> JobState:
        """The job's present state, with a heartbeat. Raises FenceLostError."""
        with self.held() as job:
            self.beat(job)
            job.save(update_fields=["heartbeat_at"])
            return JobState(job.state)

    def _set_aside(self, errors: Sequence[TaskError]) -> int:
        """Keep tasks that the job goes on without, each once. Returns how many are new."""
        kept = SetAside.objects.filter(job_id=self.job_id)
        before = set(kept.filter(task_id__in=[str(error.key) for error in errors]).values_list("task_id", flat=True))
        new = [error for error in errors if str(error.key) not in before]
        for error in new:
            self.note(f"Task {error.key} set aside: {error.sentence}", EventLevel.WARNING)
        SetAside.objects.bulk_create(
            SetAside(job_id=self.job_id, task_id=str(error.key), step=error.step.value, error=error.sentence)
            for error in new
        )
        return len(new)

    def _copy_drift(self, chunk: ChunkResult) -> None:
        """The chunk's drift rows by COPY: several times faster than INSERT, and drift comes by the hundred thousand."""
        if not chunk.findings:
            return
        now = timezone.now().isoformat()
        without = f"{NULL}\t{NULL}\t{NULL}\t{_REFUSED if chunk.receipts else _NONE}"
        receipts = chunk.receipts or [None] * len(chunk.findings)
        rows = "".join(
            _drift_row(self.job_id, finding, receipt, now, without)
            for finding, receipt in zip(chunk.findings, receipts, strict=True)
        )
        with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_COPY_DRIFT) as copy:
            copy.write(rows)


def _walked(job: Job) -> None:
    """All of the job is walked."""
    job.phase = Phase.VERIFY
    job.expected = job.scanned  # which may have been an estimate


def _commit_lazily() -> None:
    """A report has published nothing: what a crash of the console's database takes with it is looked at again."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")


def _drift_row(job_id: int, finding: Finding, receipt: Receipt | None, now: str, without: str) -> str:
    """The values of `_DRIFT_COLUMNS` as a line of COPY's text format. `without` a receipt is how it stands then."""
    source, index = finding.source, finding.index
    mine, my_version, moment = _ABSENT if source is None else _side(source)
    theirs, their_version, _ = _ABSENT if index is None else _side(index)
    sent = f"{receipt.partition}\t{receipt.offset}\t{now}\t{_PENDING}" if receipt else without
    return (
        f"{job_id}\t{copied(finding.task_id)}\t{finding.kind._value_}\t{_array(finding.fields)}\t{mine}\t{theirs}"
        f"\t{my_version}\t{their_version}\t{moment}\t{sent}\n"
    )


def _side(state: State) -> tuple[str, int | str, str]:
    """The compared values as JSON, which holds no tab and no line's end; version; time of update."""
    fields, organization, version, moment, deleted = state
    number = NULL if version is None else version
    if deleted:
        return NULL, number, moment or NULL
    values = f'{{{fields},"{ORGANIZATION_FIELD}":{organization}}}'
    return values.replace("\\", "\\\\") if "\\" in values else values, number, moment or NULL


def copied(text: str) -> str:
    """Text as COPY's text format has it."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text if text.isprintable() else text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


@lru_cache(maxsize=1024)
def _array(names: tuple[str, ...]) -> str:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return copied("{" + ",".join(f'"{name}"' for name in quoted) + "}")
