"""What a scheduled job can do: one of the console's operations, declared here by name, or an HTTP call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from monitoring.schedules.models import Action, Run, ScheduledJob
from opsconsole.errors import UsageError

Log: TypeAlias = Callable[[str], None]
"""Writes a line into the run's log."""

Act: TypeAlias = Callable[[Mapping[str, Any], Run, Log], str]
"""Does the work and says in one sentence what came of it. May be killed anywhere, and run again."""

Verify: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Raises UsageError where parameters cannot be used."""


@dataclass(frozen=True, slots=True)
class Operation:
    """`parameters` says of each what it is. `may_wait`: nobody misses it while there is other work."""

    name: str
    summary: str
    parameters: Mapping[str, str]
    act: Act
    verify: Verify
    may_wait: bool


_operations: dict[str, Operation] = {}


def operation(
    name: str, summary: str, *, verify: Verify, may_wait: bool = False, **parameters: str
) -> Callable[[Act], Act]:
    """Declares a function as the operation `name` of scheduled jobs."""

    def register(act: Act) -> Act:
        _operations[name] = Operation(name, summary, parameters, act, verify, may_wait)
        return act

    return register


def operations() -> tuple[Operation, ...]:
    return tuple(_operations[name] for name in sorted(_operations))


def find_operation(name: str) -> Operation:
    """Raises UsageError where there is none of this name, with those there are."""
    if name not in _operations:
        raise UsageError(f"There is no operation '{name}'; there are {', '.join(sorted(_operations))}.")
    return _operations[name]


def may_wait(job: ScheduledJob) -> bool:
    """Whether the job's runs can wait behind everything else. No query."""
    chosen = _operations.get(job.operation)
    return chosen is not None and chosen.may_wait


def require_usable(action: Action, name: str, parameters: Mapping[str, Any]) -> None:
    """Raises UsageError where a scheduled job could not do this."""
    from monitoring.schedules.http_call import require_usable as require_usable_call  # noqa: PLC0415

    if action is Action.HTTP:
        require_usable_call(parameters)
        return
    chosen = find_operation(name)
    if unknown := sorted(set(parameters) - set(chosen.parameters)):
        allowed = ", ".join(chosen.parameters) or "none"
        raise UsageError(f"{name} has no parameter {unknown[0]}; allowed is {allowed}.")
    chosen.verify(parameters)


def perform(run: Run, log: Log) -> str:
    """Do what the run's job does. Raises what went wrong."""
    from monitoring.schedules.http_call import call  # noqa: PLC0415

    job = run.scheduled_job
    if Action(job.action) is Action.HTTP:
        return call(job.parameters, run, log)
    return find_operation(job.operation).act(job.parameters, run, log)
