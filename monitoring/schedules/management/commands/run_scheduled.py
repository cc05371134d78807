"""`manage.py run_scheduled`: run a scheduled job now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from monitoring.schedules.models import Run, RunEvent, RunState
from monitoring.schedules.operations.asking import find_job, run_now, sentence_of
from opsconsole.commands import ConsoleCommand, add_reason

LOOK_SECONDS = 0.5


class Command(ConsoleCommand):
    help = "Run a scheduled job now, and, with --following, what follows it, in order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The scheduled job.")
        parser.add_argument("--following", action="store_true", help="Run what follows it, too, in order.")
        parser.add_argument("--wait", action="store_true", help="Stay to the end; 1 where one did not succeed.")
        add_reason(parser, "Kept on the run and on the audit log.")
        parser.add_argument("--key", default="", help="An idempotency key: the same again is the same run.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        asked = run_now(
            find_job(options["name"]),
            self.actor(options),
            following=options["following"],
            reason=options["reason"],
            key=options["key"],
        )
        self.say(sentence_of(asked))
        runs = self._wait(asked.runs) if options["wait"] else asked.runs
        failed = options["wait"] and any(run.status is not RunState.DONE for run in runs)
        return {"failed": failed, "runs": [_as_json(run) for run in runs]}

    def _wait(self, runs: Sequence[Run]) -> list[Run]:
        """The runs, ended, with their logs said as they are written. Without a clock a retry never comes."""
        numbers, seen = [run.pk for run in runs], 0
        while True:
            found = list(Run.objects.filter(pk__in=numbers).select_related("scheduled_job").order_by("pk"))
            for event in RunEvent.objects.filter(run__in=numbers, pk__gt=seen).select_related("run__scheduled_job"):
                self.say(f"{event.run.scheduled_job.name}: {event.message}")
                seen = max(seen, event.pk)
            if _over(found):
                return found
            time.sleep(LOOK_SECONDS)


def _over(runs: Sequence[Run]) -> bool:
    """Whether nothing more will come: what waits behind one that failed waits for good."""
    active = [run for run in runs if not run.status.terminal]
    failed = any(run.status is RunState.FAILED for run in runs)
    return not active or (failed and all(run.status is RunState.WAITING for run in active))


def _as_json(run: Run) -> dict[str, Any]:
    return {
        "run": run.pk,
        "job": run.scheduled_job.name,
        "state": run.state,
        "attempts": run.attempt,
        "result": run.result,
        "error": run.error,
        "cause": run.cause,
    }
