"""`manage.py sync_tasks`: compare some tasks named by hand, and publish those that differ."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opsconsole import audit
from opsconsole.commands import lines_of
from sync.management.job_command import JobCommand
from sync.models import Mode
from sync.operations import jobs


class Command(JobCommand):
    help = "Compare the named tasks with the index and publish those that differ, here and now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="Task ids in any shape; - reads standard input.")
        parser.add_argument("--report", action="store_true", help="Only say what differs; publish nothing.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        mode = Mode.REPORT if options["report"] else Mode.SYNC
        job = jobs.sync_tasks(lines_of(options["ids"]), mode, audit.actor_of_command(), enqueue=False)
        return self.run_job(job)
