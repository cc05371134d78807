"""A console that has been in use for long: many jobs, much drift, made by the server itself with `generate_series`."""

# Everything put into the statements is a number, or a constant of this file.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

STATES = "'done','done','done','done','done','done','failed','cancelled','looping','done'"


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows. `drift_of_one` of the drift belongs to the last job of the first batch, the rest to all alike."""

    jobs: int = 100_000
    drift: int = 1_000_000
    drift_of_one: int = 200_000
    batch_size: int = 2_000
    staged: int = 20_000
    skipped: int = 20_000


QUICK = Size(jobs=10_000, drift=60_000, drift_of_one=20_000, staged=2_000, skipped=2_000)


@dataclass(frozen=True, slots=True)
class Filled:
    """Numbers and ids to look at."""

    job: int
    batch: int
    run: int
    organization: str
    fingerprint: str
    worker: str


def fill(size: Size) -> Filled:
    """Fill an empty console. Commits; call `VACUUM ANALYZE` afterwards where the plans matter."""
    with connection.cursor() as cursor:
        for statement in _statements(size):
            cursor.execute(statement)
        cursor.execute("SELECT min(id), max(id) FROM sync_batch")
        batch, _ = cursor.fetchone()
        cursor.execute("SELECT max(id) FROM sync_job WHERE batch_id = %s", [batch])
        (job,) = cursor.fetchone()
        _fill_drift(cursor, size, job)
        _end_batches()
        cursor.execute("SELECT id FROM sync_queryrun ORDER BY id DESC LIMIT 1")
        (run,) = cursor.fetchone()
        cursor.execute("SELECT organization_id, worker FROM sync_job WHERE id = %s", [job])
        organization, worker = cursor.fetchone()
    return Filled(job, batch, run, organization, f"{1:016x}", worker)


def _statements(size: Size) -> list[str]:
    organization = f"lpad(to_hex(n % {max(size.jobs // 5, 1)}), 8, '0') || '-0000-4000-8000-000000000000'"
    return [
        f"""INSERT INTO sync_batch (name, tags, mode, size, "order", failures_accepted, canary, canary_passed,
          keep_staged, auto_advance, relation, plan_hash, state, pause_reason, created_by, trace_id, created_at)
        SELECT '', '{{}}', 'sync', {size.batch_size}, 'oldest', 0, 0, false, true, false, '', '', 'done', '', 'ada',
          gen_random_uuid(), now() - n * interval '1 hour'
        FROM generate_series(1, greatest({size.jobs // size.batch_size}, 60)) n""",
        f"""INSERT INTO sync_job (kind, mode, organization_id, organization_name, task_ids, trace_id, created_by,
          created_at, batch_id, state, phase, fence, worker, started_at, ended_at, scanned, expected, stale, missing,
          orphan, unsettled, published, verified, unresolved, set_aside, failures, stalled_attempts, waits_for, error,
          error_type, error_fingerprint)
        SELECT 'organization', 'sync', {organization}, 'Customer ' || n, '[]', gen_random_uuid(), 'ada',
          now() - ({size.jobs} - n) * interval '1 minute',
          (SELECT min(id) FROM sync_batch) + n / {size.batch_size},
          (ARRAY[{STATES}])[n % 10 + 1], 'walk', 1, 'worker-' || n % 20,
          now() - ({size.jobs} - n) * interval '1 minute', now() - ({size.jobs} - n) * interval '1 minute',
          1000, 1000, 10, 0, 0, 0, 10, 10, 0, 0, 0, 0, '',
          CASE WHEN n % 10 IN (6, 8) THEN 'Row ' || n || ' is odd.' ELSE '' END, '',
          CASE WHEN n % 10 IN (6, 8) THEN lpad(to_hex(n % 37), 16, '0') ELSE '' END
        FROM generate_series(0, {size.jobs} - 1) n""",
        """INSERT INTO sync_attempt (job_id, number, range_number, worker, host, pid, outcome, error, scanned_before)
        SELECT id, 1, 0, worker, 'ops-1', 4711, 'done', '', 0 FROM sync_job""",
        """INSERT INTO sync_jobevent (job_id, attempt, level, message)
        SELECT id, 1, 'info', 'Queued.' FROM sync_job""",
        f"""INSERT INTO sync_stagedorganization (organization_id, name, staged_by, origin, staged_at)
        SELECT lpad(to_hex(n), 8, '0') || '-0000-4000-8000-111111111111', 'Customer ' || n, 'ada', '',
          now() - n * interval '1 second'
        FROM generate_series(1, {size.staged}) n""",
        f"""INSERT INTO sync_skippedorganization (organization_id, name, reason, note, skipped_by, resolution,
          skipped_at)
        SELECT lpad(to_hex(n), 8, '0') || '-0000-4000-8000-222222222222', 'Customer ' || n, 'looped', 'too big',
          'clock', '', now() - n * interval '1 minute'
        FROM generate_series(1, {size.skipped}) n""",
        f"""INSERT INTO sync_queryrun (parameters, window_from, window_to, started_by, state, organizations,
          tasks_updated, error)
        SELECT '{{"window": ["1h"]}}', now() - interval '1 day', now(), 'ada', 'done', {size.staged}, 1, ''
        FROM generate_series(1, 200) n""",
        f"""INSERT INTO sync_affectedrow (run_id, organization_id, name, updated, completed, first_update,
          last_update)
        SELECT (SELECT max(id) FROM sync_queryrun), lpad(to_hex(n), 8, '0') || '-0000-4000-8000-333333333333',
          'Customer ' || n, n, 1, now(), now()
        FROM generate_series(1, {size.staged}) n""",
    ]


def _end_batches() -> None:
    """As `close_ended_batches` leaves them."""
    from sync.batch_sums import summed
    from sync.models import Batch

    for number, sums in summed(Batch.objects.values_list("pk", flat=True)).items():
        Batch.objects.filter(pk=number).update(ended_at=Now(), summary=asdict(sums))


def _fill_drift(cursor: CursorWrapper, size: Size, job: int) -> None:
    """One in two hundred of the large job's is an orphan."""
    insert = """INSERT INTO sync_drift (job_id, task_id, kind, fields, source, index, source_version, index_version,
        partition, "offset", published_at, verification)
      SELECT {job}, md5(n::text)::uuid::text, {kind}, '{{status}}', '{{"status": "completed"}}',
        '{{"status": "waiting"}}', 2, 1, 0, n, now(), 'verified' FROM {rows}"""
    cursor.execute(
        insert.format(
            job=job,
            kind="CASE WHEN n % 200 = 0 THEN 'orphan' ELSE 'stale' END",
            rows=f"generate_series(1, {size.drift_of_one}) n",
        )
    )
    each = (size.drift - size.drift_of_one) // size.jobs
    rows = f"sync_job, generate_series(1, {each}) n WHERE sync_job.id <> {job}"
    cursor.execute(insert.format(job="sync_job.id", kind="'stale'", rows=rows))
    cursor.execute(
        "UPDATE sync_job SET stale = %s, orphan = %s WHERE id = %s",
        [size.drift_of_one - size.drift_of_one // 200, size.drift_of_one // 200, job],
    )
