"""What one check of `manage.py estate check` found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Result:
    """`name` is the subject ("source tasks"), `sentence` what was found and, where it is not well, what to do."""

    name: str
    status: Status
    sentence: str


def ok(name: str, sentence: str) -> Result:
    return Result(name, Status.OK, sentence)


def warning(name: str, sentence: str) -> Result:
    return Result(name, Status.WARNING, sentence)


def problem(name: str, sentence: str) -> Result:
    return Result(name, Status.PROBLEM, sentence)


def has_problem(results: Iterable[Result]) -> bool:
    return any(result.status is Status.PROBLEM for result in results)
