"""What the commands that run one job in the foreground share: progress, the result, the exit status."""

from __future__ import annotations

from typing import Any

from opsconsole.commands import ConsoleCommand
from sync.check import describe_result
from sync.models import Job, JobRange, JobState
from sync.operations.foreground import run_in_foreground


class JobCommand(ConsoleCommand):
    def run_job(self, job: Job) -> dict[str, Any]:
        """Run `job` here, with progress on a terminal, and say how it ended."""
        self.say(f"Job {job.pk}: {job.subject}, mode {job.mode}.")
        try:
            job = run_in_foreground(job, self._progress)
        finally:
            self.end_progress()
        self.say(describe_result(job)[0] if job.state == JobState.DONE else f"{job.status.label}: {job.error}")
        return job_result(job) | {"failed": job.state != JobState.DONE}

    def _progress(self, job: Job) -> None:
        of = f" of {job.expected:,}" if job.expected else ""
        self.show_progress(
            f"{job.get_phase_display()}: {job.scanned:,}{of} scanned, {job.drift_found:,} out of sync, "
            f"{job.published:,} published, {job.verified:,} verified"
        )


def job_result(job: Job) -> dict[str, Any]:
    """A job as JSON; its ranges, where it is split, take one query."""
    counters = (
        *("expected", "scanned", "stale", "missing", "orphan", "unsettled"),
        *("published", "verified", "unresolved", "set_aside"),
    )
    return {
        "job": job.pk,
        "kind": job.kind,
        "mode": job.mode,
        "organization": job.organization_id,
        "state": job.state,
        "checkpoint": job.checkpoint,
        "error": job.error,
        "waits_for": job.held_up,
        **{name: getattr(job, name) for name in counters},
        "ranges": [_range_result(part) for part in job.ranges.order_by("number")],
    }


def _range_result(part: JobRange) -> dict[str, Any]:
    names = ("number", "state", "worker", "lower", "upper", "checkpoint", "scanned", "drift", "published", "bad_ends")
    return {name: getattr(part, name) for name in names}
