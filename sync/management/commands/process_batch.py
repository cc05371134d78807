"""`manage.py process_batch`: queue a batch of staged organizations, and wait for it where asked."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit, estate
from opsconsole.commands import ConsoleCommand
from opsconsole.words import counted
from sync.models import Batch, BatchOrder, BatchState, Job, JobState, Mode
from sync.operations import batches
from sync.operations.batches import BatchOptions

POLL_SECONDS = 0.5
ORDER_HELP = "Which of the staged organizations it takes first (default %(default)s)."


class Command(ConsoleCommand):
    help = "Take staged organizations and queue a job for each. Prints each organization with its job number."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--size", type=int, default=batches.DEFAULT_SIZE, help="How many organizations (default %(default)s)."
        )
        parser.add_argument("--sync", action="store_true", help="Publish what is out of sync. Without it: report only.")
        parser.add_argument("--wait", action="store_true", help="Stay until every job has ended, or the batch pauses.")
        parser.add_argument("--name", default="", help="What people will know it by.")
        parser.add_argument("--tag", action="append", default=[], help="May be given several times.")
        parser.add_argument("--order", choices=BatchOrder.values, default=BatchOrder.OLDEST.value, help=ORDER_HELP)
        parser.add_argument("--at-once", type=int, metavar="N", help="So many jobs queued or running at most.")
        parser.add_argument("--stop-after", type=int, metavar="N", help="Pause when so many jobs failed or looped.")
        parser.add_argument("--canary", type=int, default=0, metavar="N", help="Run so many first, then wait for a go.")
        parser.add_argument(
            "--messages-per-second", type=int, metavar="N", help="Publish so many at most; the estate's rate holds too."
        )
        parser.add_argument(
            "--lag-limit", type=int, metavar="N", help="Wait while the indexer is more messages behind than this."
        )
        parser.add_argument("--auto-advance", action="store_true", help="When it is done, start the next by itself.")
        parser.add_argument("--unstage", action="store_true", help="After a report, do not keep them staged.")
        parser.add_argument(
            "--confirm", default="", metavar="N", help="The number of organizations, where there are very many."
        )

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        prefix = estate.current().source.id_prefix  # an estate that cannot be read must not be noticed after queueing
        batch = batches.start_options(_batch_options(options), audit.actor_of_command(), options["confirm"])
        self.say(f"Batch {batch.pk}, mode {batch.mode}:")
        for job in batch.jobs.order_by("pk"):
            self.say(f"  {prefix}{job.organization_id}  job {job.pk}  {job.organization_name}")
        if options["wait"]:
            self._wait(batch)
        return self._result(batch, waited=options["wait"])

    def _wait(self, batch: Batch) -> None:
        while not batch.status.terminal and batch.state != BatchState.PAUSED:
            sums = batches.totals(batch)
            left = batch.jobs.active().count()
            self.show_progress(
                f"{counted(left, 'job')} left; {sums.scanned:,} scanned, {sums.drift:,} out of sync, "
                f"{sums.published:,} published"
            )
            time.sleep(POLL_SECONDS)
            batches.advance(batch.pk)
            batches.close_ended_batches([batch.pk])
            batch.refresh_from_db()
        self.end_progress()
        if batch.pause_reason:
            self.say(f"Batch {batch.pk} is paused. {batch.pause_reason}")

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
            "messages_per_second": batch.messages_per_second,
            "lag_limit": batch.lag_limit,
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


def _batch_options(options: dict[str, Any]) -> BatchOptions:
    return BatchOptions(
        mode=Mode.SYNC if options["sync"] else Mode.REPORT,
        size=options["size"],
        name=options["name"],
        tags=tuple(options["tag"]),
        order=BatchOrder(options["order"]),
        most_at_once=options["at_once"],
        stop_after_failures=options["stop_after"],
        canary=options["canary"],
        messages_per_second=options["messages_per_second"],
        lag_limit=options["lag_limit"],
        keep_staged=not options["unstage"],
        auto_advance=options["auto_advance"],
    )


def _job_result(job: Job) -> dict[str, Any]:
    counters = ("scanned", "stale", "missing", "orphan", "unsettled", "published", "verified", "unresolved")
    return {
        "job": job.pk,
        "organization": job.organization_id,
        "state": job.state,
        "error": job.error,
        **{name: getattr(job, name) for name in counters},
    }
