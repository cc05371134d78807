"""Windows that hit organizations, and runs of queries, for tests of affected organizations."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings

from opsconsole import estate
from opsconsole.times import Window
from sync.models import QueryRun
from tests.company import Company

START = datetime(2031, 5, 1, 12, tzinfo=UTC)
HOUR = Window(START, START + timedelta(hours=1))


def touch(company: Company, organization: UUID, *minutes: float, status: str = "waiting") -> None:
    """Say of the first tasks of `organization` that they were updated so many minutes after START."""
    for task, minute in zip(company.tasks(organization), minutes, strict=False):
        company.in_source(
            "UPDATE tasks SET updated_at = %s, status = %s WHERE id = %s",
            START + timedelta(minutes=minute),
            status,
            task,
        )


def hit_three(company: Company) -> list[UUID]:
    """Three organizations with 3, 2 and 1 tasks updated within the hour, the largest first."""
    organizations = company.organizations()[:3]
    for organization, updates in zip(organizations, (3, 2, 1), strict=True):
        touch(company, organization, *range(updates))
    return organizations


def join(run: QueryRun) -> QueryRun:
    """The run when its thread has ended."""
    for thread in threading.enumerate():
        if thread.name == f"query-run-{run.pk}":
            thread.join()
    run.refresh_from_db()
    return run


def make_slow(timeout: str = "30s") -> None:
    """From now on each task that the source looks at takes a twentieth of a second."""
    path = Path(settings.ESTATE)
    text = path.read_text(encoding="utf-8").replace('statement_timeout = "30s"', f'statement_timeout = "{timeout}"')
    slow = '[source.tasks]\nwhere = "pg_sleep(0.05) IS NOT NULL"'
    path.write_text(text.replace("[source.tasks]", slow), encoding="utf-8")
    estate.reset()
