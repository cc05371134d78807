"""Peak memory of a worker's process: an organization of 200,000 tasks against one of 5,000,000, 0.1 % out of sync."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from uuid import UUID, uuid4

from benchmarks.companies import LARGE_OF_MEMORY as LARGE
from benchmarks.companies import SMALL_OF_MEMORY as SMALL
from benchmarks.companies import memory_company, only_organization
from benchmarks.measurement import Goal, Measurement
from benchmarks.stage import Stage, wait_for
from opsconsole import audit
from sync.models import Attempt, Job, JobState, Mode
from sync.operations.jobs import create_job

MIB = 1024 * 1024
SHARE = 0.001
COMMAND = 'make bench ARGS="memory"'


def measure(stage: Stage) -> Iterator[Measurement]:
    company = memory_company(stage)
    stage.use(company, settle_time="2s")
    peaks: dict[int, list[float]] = {LARGE: [], SMALL: []}
    drift = {band: company.spread_drift(only_organization(company, band), SHARE) for band in peaks}
    with stage.worker():
        for _ in range(stage.repeats):
            for band, found in peaks.items():
                found.append(_peak(only_organization(company, band), drift[band]))
    large, small = median(peaks[LARGE]), median(peaks[SMALL])
    sizes = [f"{company.layout.bands[band].tasks:,}" for band in (LARGE, SMALL)]
    name = f"peak memory of the worker, {sizes[0]} tasks against {sizes[1]}"
    yield Measurement(name, large, small, Goal(1.1), COMMAND, "MiB")
    most = max(peaks[LARGE])
    name = f"peak memory of the worker, {sizes[0]} tasks"
    yield Measurement(name, most, small, Goal(160, "MiB"), COMMAND, "MiB", other_figure=most)


def _peak(organization: UUID, drift: int) -> float:
    """MiB that the attempt recorded. A job is a process of its own: the worker forks."""
    new = Job(mode=Mode.REPORT, organization_id=str(organization), trace_id=uuid4(), created_by="benchmarks")
    job = create_job(new, audit.actor_of_command())

    def ended() -> bool:
        job.refresh_from_db()
        return job.status.terminal

    wait_for(ended, f"job {job.pk} ends")
    if job.state != JobState.DONE or job.drift_found != drift:
        raise RuntimeError(f"job {job.pk} is {job.state}, found {job.drift_found} of {drift}: {job.error}")
    peak = Attempt.objects.get(job=job).peak_memory
    assert peak is not None
    return peak / MIB
