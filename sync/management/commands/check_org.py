"""`manage.py check_org`: check one organization in the foreground."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit
from sync.management.job_command import JobCommand
from sync.models import Mode
from sync.operations import jobs


class Command(JobCommand):
    help = "Check one organization against the index, here and now, and say what is out of sync."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="The organization's id, with or without prefix.")
        parser.add_argument("--sync", action="store_true", help="Publish what is out of sync, too.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        mode = Mode.SYNC if options["sync"] else Mode.REPORT
        job = jobs.check_organization(options["id"], mode, audit.actor_of_command(), enqueue=False)
        return self.run_job(job)
