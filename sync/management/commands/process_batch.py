"""`manage.py process_batch`: queue a batch of staged organizations, and wait for it where asked."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit, estate
from opsconsole.commands import ConsoleCommand
from sync.models import Batch, Job, JobState, Mode
from sync.operations import batches

POLL_SECONDS = 0.5


class Command(ConsoleCommand):
    help = "Take staged organizations and queue a job for each. Prints each organization with its job number."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--size", type=int, default=batches.DEFAULT_SIZE, help="How many organizations (default %(default)s)."
        )
        parser.add_argument("--sync", action="store_true", help="Publish what is out of sync. Without it: report only.")
        parser.add_argument("--wait", action="store_true", help="Stay until every job has ended.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        mode = Mode.SYNC if options["sync"] else Mode.REPORT
        prefix = estate.current().source.id_prefix  # an estate that cannot be read must not be noticed after queueing
        batch = batches.start_batch(options["size"], mode, audit.actor_of_command())
        self.say(f"Batch {batch.pk}, mode {mode.value}:")
        for job in batch.jobs.order_by("pk"):
            self.say(f"  {prefix}{job.organization_id}  job {job.pk}  {job.organization_name}")
        if options["wait"]:
            self._wait(batch)
        return self._result(batch, waited=options["wait"])

    def _wait(self, batch: Batch) -> None:
        while not batch.status.terminal:
            sums = batches.totals(batch)
            left = batch.jobs.active().count()
            self.show_progress(
                f"{left} jobs left; {sums.scanned:,} scanned, {sums.drift:,} out of sync, {sums.published:,} published"
            )
            time.sleep(POLL_SECONDS)
            batches.close_ended_batches([batch.pk])
            batch.refresh_from_db()
        self.end_progress()

    def _result(self, batch: Batch, *, waited: bool) -> dict[str, Any]:
        jobs = [_job_result(job) for job in batch.jobs.order_by("pk")]
        sums = batches.totals(batch)
        failed = waited and any(job["state"] != JobState.DONE for job in jobs)
        if waited:
            self.say(
                f"{sums.scanned:,} scanned, {sums.drift:,} out of sync, {sums.published:,} published, "
                f"{sums.verified:,} verified, {sums.unresolved:,} unresolved"
                + ("; not every job succeeded." if failed else ".")
            )
        return {
            "batch": batch.pk,
            "state": batch.state,
            "mode": batch.mode,
            "jobs": jobs,
            "totals": {
                "scanned": sums.scanned,
                "drift": sums.drift,
                "unsettled": sums.unsettled,
                "published": sums.published,
                "verified": sums.verified,
                "unresolved": sums.unresolved,
            },
            "failed": failed,
        }


def _job_result(job: Job) -> dict[str, Any]:
    counters = ("scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved")
    return {
        "job": job.pk,
        "organization": job.organization_id,
        "state": job.state,
        "error": job.error,
        **{name: getattr(job, name) for name in counters},
    }
