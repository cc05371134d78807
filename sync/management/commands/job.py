"""`manage.py job show|cancel|events NUMBER`: look at one job, stop it, read its log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit
from opsconsole.commands import ConsoleCommand
from sync.check import describe_result
from sync.management.job_command import job_result
from sync.models import Job
from sync.operations import jobs
from sync.operations.events import event_lines


class Command(ConsoleCommand):
    help = "Show a job, cancel it, or print its log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("show", "cancel", "events"))
        parser.add_argument("number", help="The job's number.")
        parser.add_argument("--reason", default="", help="Why it is cancelled; kept on the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        job = jobs.find_job(options["number"])
        match options["action"]:
            case "show":
                return self._show(job)
            case "cancel":
                return self._cancel(job, options["reason"])
            case _:
                return self._events(job)

    def _show(self, job: Job) -> dict[str, Any]:
        self.say(f"Job {job.pk}: {job.subject} {job.organization_name}".rstrip())
        count = job.attempts.count()
        tries = f"{count} attempt{'' if count == 1 else 's'}"
        self.say(f"{job.status.label}, mode {job.mode}, {tries}. {describe_result(job)[0]}")
        if job.error:
            self.say(f"Last error: {job.error}")
        attempts = [
            {
                "number": a.number,
                "worker": a.worker,
                "outcome": a.outcome,
                "error": a.error,
                "peak_memory": a.peak_memory,
            }
            for a in job.attempts.order_by("number")
        ]
        return job_result(job) | {"attempts": attempts}

    def _cancel(self, job: Job, reason: str) -> dict[str, Any]:
        state = jobs.cancel(job, audit.actor_of_command(), reason)
        self.say(f"Job {job.pk} is {state.label.lower()}.")
        return {"job": job.pk, "state": state.value}

    def _events(self, job: Job) -> dict[str, Any]:
        lines = list(event_lines(job))
        for line in lines:
            self.say(line)
        return {"job": job.pk, "events": lines}
