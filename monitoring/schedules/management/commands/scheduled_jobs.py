"""`manage.py scheduled_jobs`: the scheduled jobs, and taking the estate file's over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from monitoring.schedules.models import ScheduledJob
from monitoring.schedules.operations.taking_over import take_file_over
from opsconsole import audit
from opsconsole.commands import ConsoleCommand
from opsconsole.words import utc


class Command(ConsoleCommand):
    help = "List the scheduled jobs; or take them over from the estate file now, with its monitors, as the clock does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["list", "load"], help="list them, or load them from the estate file")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        return self._load() if options["action"] == "load" else self._list()

    def _load(self) -> dict[str, Any]:
        jobs, monitors = take_file_over(timezone.now(), audit.actor_of_command())
        for taken in (jobs, monitors):
            self.say(taken.sentence())
        return {
            "made": jobs.made,
            "changed": jobs.changed,
            "disabled": jobs.disabled,
            "monitors": {"made": monitors.made, "changed": monitors.changed, "paused": monitors.disabled},
        }

    def _list(self) -> dict[str, Any]:
        jobs = list(ScheduledJob.objects.order_by("name"))
        for job in jobs:
            due = utc(job.next_due) + " UTC" if job.enabled and job.next_due else "never"
            self.say(f"{job.name:<30} {job.schedule}, next {due}{'' if job.enabled else ', disabled'}")
        return {"jobs": [_as_json(job) for job in jobs]}


def _as_json(job: ScheduledJob) -> dict[str, Any]:
    return {
        "name": job.name,
        "origin": job.origin,
        "enabled": job.enabled,
        "schedule": str(job.schedule),
        "next_due": job.next_due if job.enabled else None,
        "after": job.after,
    }
