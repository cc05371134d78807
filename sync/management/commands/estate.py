"""`manage.py estate check`: connect to everything that the estate names and say what was found."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from opsconsole import estate
from opsconsole.commands import ConsoleCommand
from sync.estate_check.result import Result, has_problem
from sync.estate_check.systems import check_estate


class Command(ConsoleCommand):
    help = (
        "Check the estate: connect to source, index, broker, Redis and the console's database, and say what is there."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check"], help="check: connect to everything; nothing is written.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        results = []
        for result in check_estate(estate.load(settings.ESTATE), settings.REDIS_URL):
            results.append(result)
            self.say(_line(result))
        return {"failed": has_problem(results), "results": [asdict(result) for result in results]}


def _line(result: Result) -> str:
    return f"{result.status.value:<8} {result.name}: {result.sentence}"
