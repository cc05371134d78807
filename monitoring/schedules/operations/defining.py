"""Scheduled jobs that people make and change, and switching any of them off and on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from monitoring.schedules import http_call
from monitoring.schedules.models import Action, Origin, ScheduledJob
from monitoring.schedules.operations.saving import change, disable, enable, require_chain, require_possible
from opsconsole import audit, outgoing
from opsconsole.errors import UnavailableError, UsageError


def add_job(name: str, values: Mapping[str, Any], actor: audit.Actor, now: datetime) -> ScheduledJob:
    """A new job with these values (`saving.DEFINITION`). Audited. Raises UsageError where it cannot be used."""
    job = ScheduledJob(name=name, origin=Origin.CONSOLE, anchor=now)
    try:
        with transaction.atomic():
            require_chain(name, values.get("after", ()), _chains())
            _require_callable(values)
            change(job, values, now, new=True)
            job.save()
            audit.record(actor, "scheduled_job.added", _subject(job), schedule=str(job.schedule))
    except IntegrityError as error:
        raise UsageError(f"There is a scheduled job {name!r} already.") from error
    return job


def change_job(job: ScheduledJob, values: Mapping[str, Any], actor: audit.Actor, now: datetime) -> list[str]:
    """Returns the names of what changed. Audited. Raises UsageError where it cannot be used, or the file has it."""
    with transaction.atomic():
        row = ScheduledJob.objects.select_for_update().get(pk=job.pk)
        if row.origin == Origin.ESTATE:
            raise UsageError(f"{row.name} is kept in the estate file; change it there.")
        require_chain(row.name, values.get("after", ()), _chains())
        _require_callable(values)
        changed = change(row, values, now)
        require_possible(row)
        if changed:
            row.save()
            audit.record(actor, "scheduled_job.changed", _subject(row), changed=changed, schedule=str(row.schedule))
    return changed


def switch(job: ScheduledJob, on: bool, actor: audit.Actor, reason: str, now: datetime) -> None:
    """Enable or disable it. What falls due while it is off never comes. Audited. Raises UsageError where it is so."""
    with transaction.atomic():
        row = ScheduledJob.objects.select_for_update().get(pk=job.pk)
        if row.enabled == on:
            raise UsageError(f"{row.name} is {'enabled' if on else 'disabled'} already.")
        if on:
            enable(row, now)
        else:
            disable(row, now, actor.name, reason)
        row.save()
        act = "scheduled_job.enabled" if on else "scheduled_job.disabled"
        audit.record(actor, act, _subject(row), reason=reason)


def _require_callable(values: Mapping[str, Any]) -> None:
    """Raises UsageError where a call that somebody typed leads to where it may not. A name that cannot be resolved here
    and now is no reason: the worker looks again."""
    if values.get("action") != Action.HTTP:
        return
    parameters = values.get("parameters", {})
    http_call.require_usable(parameters)
    http_call.require_readable(parameters)
    with suppress(UnavailableError):
        outgoing.require_allowed(parameters["url"])


def _chains() -> dict[str, list[str]]:
    return dict(ScheduledJob.objects.values_list("name", "after"))


def _subject(job: ScheduledJob) -> str:
    return f"scheduled_job:{job.name}"
