"""`manage.py job show|cancel|stop|kill|delete|events NUMBER`: look at one job, end it, read its log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole.audit import Actor
from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.words import counted
from sync.check import describe_result
from sync.management.job_command import job_result
from sync.models import Job, Step
from sync.operations import jobs
from sync.operations.deleting import delete_jobs
from sync.operations.events import event_lines
from sync.operations.ladder import Target, climb
from sync.reading import ladder_of


class Command(ConsoleCommand):
    help = "Show a job, end it (cancel, stop, kill), or print its log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("show", *Step.values, "delete", "events"))
        parser.add_argument("number", help="The job's number.")
        add_reason(parser, "Why it is ended; kept on the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        job = jobs.find_job(options["number"])
        match options["action"]:
            case "show":
                return self._show(job)
            case "events":
                return self._events(job)
            case "delete":
                return self._delete(job, self.actor(options), options["reason"])
            case step:
                return self._climb(job, Step(step), self.actor(options), options["reason"])

    def _show(self, job: Job) -> dict[str, Any]:
        self.say(f"Job {job.pk}: {job.subject} {job.organization_name}".rstrip())
        count = job.attempts.filter(range_number=0).count()
        tries = counted(count, "attempt")
        self.say(f"{job.status.label}, mode {job.mode}, {tries}. {describe_result(job)[0]}")
        if job.held_up:
            self.say(job.held_up)
        if job.error:
            self.say(f"Last error: {job.error}")
        for part in job.ranges.order_by("number"):
            who = f", {part.worker}" if part.worker else ""
            self.say(f"Range {part.number}: {part.status.label.lower()}{who}, {part.scanned:,} scanned.")
        attempts = [
            {
                "number": a.number,
                "range": a.range_number or None,
                "worker": a.worker,
                "outcome": a.outcome,
                "error": a.error,
                "peak_memory": a.peak_memory,
            }
            for a in job.attempts.order_by("pk")
        ]
        return job_result(job) | {"attempts": attempts, "ladder": self._ladder(job)}

    def _ladder(self, job: Job) -> list[dict[str, Any]]:
        """The steps asked of the last attempt, with what is known of its process."""
        rows = []
        for one in ladder_of(job):
            step = one.step
            times = {name: getattr(step, name) for name in ("requested_at", "acknowledged_at", "ended_at")}
            self.say(f"{step.status.label} asked by {step.requested_by}: {' '.join(step.sentences) or 'not heard yet'}")
            rows.append({"step": step.step, "by": step.requested_by, **times, "evidence": step.sentences})
        return rows

    def _climb(self, job: Job, step: Step, actor: Actor, reason: str) -> dict[str, Any]:
        state = climb(job, step, actor, reason)
        self.say(f"Job {job.pk} is {state.label.lower()}.")
        evidence = [line for one in ladder_of(job) for line in one.step.sentences if one.step.step == step]
        for line in evidence:
            self.say(line)
        return {"job": job.pk, "state": state.value, "evidence": evidence}

    def _delete(self, job: Job, actor: Actor, reason: str) -> dict[str, Any]:
        result = delete_jobs([Target(job.pk)], actor, reason)
        self.say(result.sentence())
        return {"deleted": result.deleted}

    def _events(self, job: Job) -> dict[str, Any]:
        lines = list(event_lines(job))
        for line in lines:
            self.say(line)
        return {"job": job.pk, "events": lines}
