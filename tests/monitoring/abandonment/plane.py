"""A data plane's table that nobody here designed, its source, and the steps that a test takes with the console."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from monitoring.abandonment.models import Disabling, Policy, SourceLook, TrackedTask
from monitoring.abandonment.operations import disabling, looking
from monitoring.abandonment.operations.looking import Looked
from monitoring.abandonment.rules import Stage
from monitoring.alerts.models import Alert, Notification, NotificationState
from opsconsole import audit, estate
from opsconsole.estate.model import DisableWay, SqlStatements, TrackedSource
from opsconsole.postgres import Query, identifier, table_identifier
from tests.sync.stores import Store, temporary_store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OWNER = "ann@example.com"
ANN = audit.Actor("ann", audit.Door.PAGE)
TABLE = "Live Tasks 100%"
CREATE = f"""
CREATE TABLE "{TABLE}" (
    "Id" bigint PRIMARY KEY, "Na""me" text, kind text, mail text, "Data Plane" text, on_off text, shards int,
    vip boolean NOT NULL DEFAULT false, made timestamptz, primary_at timestamptz, data_at timestamp, failed int,
    restarted int, err text, edited timestamptz, "switched%by" text
)
"""
COLUMNS = (
    *('"Id"', '"Na""me"', "kind", "mail", '"Data Plane"', "on_off", "shards", "vip", "made", "primary_at", "data_at"),
    *("failed", "restarted", "err", "edited"),
)
DISABLE = "UPDATE {table} SET on_off = 'off', \"switched%%by\" = %(reference)s WHERE \"Id\" = %(id)s AND on_off = 'on'"
ENABLE = (
    'UPDATE {table} SET on_off = \'on\', "switched%%by" = NULL WHERE "Id" = %(id)s AND "switched%%by" = %(reference)s'
)


class Plane:
    """The table and a source for it. Times of rows are given as they are; `now` is the test's own clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW

    def source(self, **changed: Any) -> TrackedSource:
        table = f'"{self.store.schema}"."Live Tasks 100%%"'
        keys: dict[str, Any] = {
            "name": "live",
            "label": "Live tasks",
            "url": self.store.url,
            "table": self.store.table(TABLE),
            "id": "Id",
            "title": 'Na"me',
            "kind": "kind",
            "owner": "mail",
            "scope": "Data Plane",
            "enabled": "on_off = 'on'",
            "has_shards": "shards > 0",
            "protected": "vip",
            "created_at": "made",
            "last_healthy_at": "primary_at",
            "last_data_at": "data_at",
            "failures": "failed",
            "restarts": "restarted",
            "last_error": "err",
            "changed_at": "edited",
            "link": "https://app.example.com/tasks/{id}",
            "disable": DisableWay(
                sql=SqlStatements(self.store.url, DISABLE.format(table=table), ENABLE.format(table=table)),
                read_back=0.0,
            ),
        }
        return TrackedSource(**(keys | changed))

    def put(self, number: int, **values: Any) -> None:
        """A task: healthy and moving data unless told otherwise; `failing` and `quiet` are since when."""
        failing, quiet = values.pop("failing", None), values.pop("quiet", None)
        row = {
            'Na"me': f"task {number}",
            "kind": "capture",
            "mail": OWNER,
            "Data Plane": "eu-1",
            "on_off": "on",
            "shards": 1,
            "vip": False,
            "made": NOW - 400 * DAY,
            "primary_at": failing or self.now,
            "data_at": (quiet or self.now).replace(tzinfo=None),
            "failed": 0,
            "restarted": 0,
            "err": "" if failing is None else "connection refused",
            "edited": None,
        } | values
        names = sql.SQL(", ").join(map(identifier, ["Id", *row]))
        places = sql.SQL(", ").join([sql.Placeholder()] * (len(row) + 1))
        self._run(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(self._table, names, places), (number, *row.values())
        )

    def fill(self, first: int, last: int) -> None:
        """Healthy tasks with these numbers, one in twenty failing; in one statement."""
        self._run(
            sql.SQL(
                'INSERT INTO {} ("Id", "Na""me", kind, mail, "Data Plane", on_off, shards, made, primary_at, data_at)'
                " SELECT number, 'task ' || number, 'capture', 'owner' || number || '@example.com', 'eu-1', 'on', 1,"
                " %s, %s - (number %% 20 = 0)::int * number * interval '1 minute', %s"
                " FROM generate_series(%s::int, %s::int) number"
            ).format(self._table),
            (NOW - 400 * DAY, self.now, self.now.replace(tzinfo=None), first, last),
        )

    def change(self, number: int, **values: Any) -> None:
        sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(identifier(name)) for name in values)
        self._run(sql.SQL('UPDATE {} SET {} WHERE "Id" = %s').format(self._table, sets), (*values.values(), number))

    def remove(self, number: int) -> None:
        self._run(sql.SQL('DELETE FROM {} WHERE "Id" = %s').format(self._table), (number,))

    def value(self, number: int, name: str) -> Any:
        with psycopg.connect(self.store.url) as connection:
            query = sql.SQL('SELECT {} FROM {} WHERE "Id" = %s').format(identifier(name), self._table)
            row = connection.execute(query, (number,)).fetchone()
        assert row is not None
        return row[0]

    @property
    def _table(self) -> sql.Identifier:
        return table_identifier(self.store.table(TABLE))

    def _run(self, query: Query, values: tuple[Any, ...]) -> None:
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            connection.execute(query, values)

    def clear(self) -> None:
        self.store.run(f'DELETE FROM "{TABLE}"')  # noqa: S608  (a constant)
        self.now = NOW

    def healthy(self, *numbers: int) -> None:
        """These are healthy now, and move data."""
        if numbers:
            query = sql.SQL('UPDATE {} SET primary_at = %s, data_at = %s WHERE "Id" = ANY(%s)').format(self._table)
            self._run(query, (self.now, self.now.replace(tzinfo=None), list(numbers)))


@contextmanager
def made_plane(admin_url: str) -> Iterator[Plane]:
    with temporary_store(admin_url) as store:
        store.run(CREATE)
        yield Plane(store)


class Console:
    """The console's side: the estate, looks, the post, and what came of it."""

    def __init__(self, plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plane, self._monkeypatch = plane, monkeypatch
        self.use(plane.source())

    def use(self, *sources: TrackedSource) -> None:
        changed = replace(estate.load(settings.ESTATE), tracked_tasks=sources)
        self._monkeypatch.setattr(estate, "current", cache(lambda: changed))
        self.source = (*sources, self.plane.source())[0]

    def look(self) -> Looked:
        looked = looking.look_at(self.source, self.plane.now)
        assert looked is not None, "nobody else looks"
        return looked

    def settle(self) -> None:
        """The first two looks: the first takes in, the second decides."""
        self.look()
        self.passes(5 * MINUTE)

    def passes(self, time: timedelta, *, every: timedelta = 5 * MINUTE, keep: tuple[int, ...] = ()) -> None:
        """Look every five minutes; those to keep are healthy and move data all the while."""
        end = self.plane.now + time
        while self.plane.now < end:
            self.plane.now = min(self.plane.now + every, end)
            self.plane.healthy(*keep)
            self.look()

    def jumps(self, time: timedelta) -> None:
        """Time passes in which the looks were as often as ever and saw nothing new: told to the rows, not lived."""
        self.plane.now += time
        SourceLook.objects.filter(source=self.source.name).update(looked_at=self.plane.now, tried_at=self.plane.now)
        TrackedTask.objects.filter(source=self.source.name).update(looked_at=self.plane.now)
        self.look()

    def task(self, number: int) -> TrackedTask:
        return TrackedTask.objects.get(source=self.source.name, key=str(number))

    def deliver(self) -> int:
        """The post brings everything that waits."""
        return Notification.objects.waiting().update(
            state=NotificationState.DELIVERED, delivered_at=self.plane.now, ended_at=self.plane.now
        )

    def mails(self, template: str = "") -> list[tuple[str, str]]:
        """Template and address of every notice, in order."""
        rows = Notification.objects.filter(about="notice", template__contains=template).order_by("pk")
        return [(row.template.rpartition("/")[2], row.to) for row in rows]

    def alerts(self, **filters: Any) -> list[tuple[str, str]]:
        """Kind and subject of the open ones."""
        return list(Alert.objects.open().filter(**filters).order_by("pk").values_list("kind", "subject"))

    def work(self) -> int:
        return disabling.work_off(self.plane.now)

    def disablings(self) -> list[str]:
        return list(Disabling.objects.order_by("pk").values_list("state", flat=True))


def policy(stage: Stage = Stage.DISABLE, scope: str = "*", kind: str = "*", **values: Any) -> Policy:
    """A policy whose reminders are those of the default."""
    return Policy.objects.create(
        scope=scope,
        kind=kind,
        failing_stage=stage.value,
        idle_stage=stage.value,
        reminders=[72, 24],
        changed_at=NOW,
        changed_by="root",
        **values,
    )
