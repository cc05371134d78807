"""Mass outages: many tasks of a scope that began to fail together are one incident, and its tasks wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Q

from monitoring.abandonment.guards import DAY_AFTER, TOGETHER, Outage, is_outage
from monitoring.abandonment.models import ScopeOutage, TrackedTask
from monitoring.alerts.incidents import scope_size
from monitoring.alerts.operations.life import fire, resolve
from opsconsole.estate.model import TrackedSource
from opsconsole.words import number

_TOGETHER = f"""
    SELECT DISTINCT ON (scope) scope, failing_since, together FROM (
        SELECT scope, failing_since, count(*) OVER (
            PARTITION BY scope ORDER BY failing_since RANGE BETWEEN CURRENT ROW AND %(within)s FOLLOWING
        ) AS together
        FROM {TrackedTask._meta.db_table}
        WHERE source = %(source)s AND failing_since IS NOT NULL AND gone_at IS NULL
    ) AS failing
    ORDER BY scope, together DESC, failing_since
"""  # noqa: S608  (the name is the model's own)


def current(source: str, now: datetime) -> dict[str, Outage]:
    """The outage of each scope that lasts, or ended within a day. One query."""
    lately = ScopeOutage.objects.filter(Q(ended_at=None) | Q(ended_at__gt=now - DAY_AFTER), source=source)
    return {row.scope: row.outage for row in lately.order_by("found_at")}


def scope_totals(source: str) -> dict[str, int]:
    """How many tasks of each scope can fail. One query."""
    counted = TrackedTask.objects.filter(source=source, enabled=True, has_shards=True, gone_at=None)
    return dict(counted.order_by().values_list("scope").annotate(total=Count("pk")))


def alert_scope(source: str, scope: str) -> str:
    """A scope's name in alerts: two sources may have scopes of one name."""
    return f"{source}/{scope}" if scope else source


@scope_size("abandoned", "idle", "auto_disabled")
def size_of_scope(scope: str) -> int:
    source, _, name = scope.partition("/")
    return TrackedTask.objects.filter(source=source, scope=name, enabled=True, gone_at=None).count()


def detect(source: TrackedSource, now: datetime) -> None:
    """Open and end the outages of this source, and their incidents. Inside a transaction."""
    totals = scope_totals(source.name)
    found = {
        scope: (began, together)
        for scope, began, together in _together(source.name)
        if is_outage(together, totals.get(scope, 0))
    }
    known = {row.scope: row for row in ScopeOutage.objects.filter(source=source.name, ended_at=None)}
    for scope, (began, together) in found.items():
        row = known.get(scope) or ScopeOutage(source=source.name, scope=scope, found_at=now)
        row.began_at, row.together, row.total = began, together, totals.get(scope, 0)
        row.save()
        _fire(source, row, now)
    for scope, row in known.items():
        if scope not in found:
            row.ended_at = now
            row.save(update_fields=["ended_at"])
            resolve("incident", row.subject, now=now, because="The tasks that failed together do not any more.")


def _together(source: str) -> list[tuple[str, datetime, int]]:
    """Of each scope the most tasks that began to fail within five minutes, and when the first did. One query."""
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"source": source, "within": TOGETHER}
        cursor.execute(_TOGETHER, values)
        return list(cursor.fetchall())


def _fire(source: TrackedSource, row: ScopeOutage, now: datetime) -> None:
    where = row.scope or source.label
    fire(
        "incident",
        row.subject,
        title=f"{number(row.together)} of {number(row.total)} tasks of {where} began to fail together",
        now=now,
        seen={
            "Since": f"{row.began_at:%Y-%m-%d %H:%M} UTC",
            "Failing together": row.together,
            "Tasks there": row.total,
            "next": "While it lasts, and the day after, no owner is warned and nothing is disabled there.",
        },
        scope=alert_scope(source.name, row.scope),
        link=f"/tracked-tasks/?source={source.name}&scope={row.scope}&state=failing",
    )
