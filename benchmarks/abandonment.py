"""A look at 100,000 tracked tasks: the first, which takes them in, and the next, where little changed.

The bound is psql reading the same query, alone. A look reads, evaluates every task, and writes what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import psycopg

from benchmarks.measurement import Goal, Measurement
from benchmarks.stage import COMPARED, Stage, finish, say
from opsconsole.demo.sizes import Band, Layout
from opsconsole.estate.model import TrackedSource

TASKS = 100_000
SECONDS = 10.0
COMMAND = 'make bench ARGS="abandonment"'
MAKE = """
CREATE UNLOGGED TABLE bench_tracked AS
SELECT number AS id, 'customer/task-' || number AS name, 'owner' || number %% 997 || '@example.com' AS owner,
    'plane-' || number %% 4 AS plane, (ARRAY['capture', 'derivation'])[1 + number %% 2] AS kind,
    now() - interval '200 days' AS created_at,
    now() - (number %% 50 = 0)::int * (number %% 751) * interval '48 minutes' AS healthy_at,
    now() - interval '1 second' * (number %% 60) AS data_at, number %% 9 AS restarts
FROM generate_series(1, %(rows)s::bigint) AS number
"""
MOVE = """UPDATE bench_tracked SET data_at = now(), restarts = restarts + (id % 50 = 0)::int,
    healthy_at = CASE WHEN id % 50 = 0 THEN healthy_at ELSE now() END"""
BARE = "SELECT id, name, owner, plane, kind, created_at, healthy_at, data_at, restarts FROM bench_tracked"


def measure(stage: Stage) -> Iterator[Measurement]:
    from monitoring.abandonment.models import SourceLook, TrackedTask
    from monitoring.abandonment.operations.looking import Looked, look_at

    company = stage.company("tracked", Layout((Band(1, 10),), compared=COMPARED))
    rows = stage.scaled(TASKS)
    say(f"Making {rows:,} tracked tasks ...")
    run(company.source_owner_url, "DROP TABLE IF EXISTS bench_tracked", MAKE, rows=rows)
    source = TrackedSource(
        name="bench",
        label="Bench",
        url=company.source_url,
        table="bench_tracked",
        title="name",
        owner="owner",
        scope="plane",
        kind="kind",
        created_at="created_at",
        last_healthy_at="healthy_at",
        last_data_at="data_at",
        restarts="restarts",
        healthy_within=3_600.0,
        statement_timeout=1_800.0,
    )

    def look() -> Looked:
        looked = look_at(source, datetime.now(UTC) + timedelta(seconds=1))
        assert looked is not None
        assert looked.tasks == rows, looked.error
        return looked

    first, again, bound = [], [], []
    for _ in range(stage.few_repeats):
        TrackedTask.objects.filter(source="bench").delete()
        SourceLook.objects.filter(source="bench").delete()
        first.append(look().seconds)
        look()  # decides: what is abandoned since long gets its alert
        run(company.source_owner_url, MOVE, rows=rows)
        again.append(look().seconds)
        began = perf_counter()
        finish([stage.psql(company.source_url, BARE)])
        bound.append(perf_counter() - began)
    for name, took in (("first", first), ("next", again)):
        ours = median(took)
        what = f"tracked tasks, {name} look, {rows:,}"
        yield Measurement(what, ours, median(bound), Goal(SECONDS, "s"), COMMAND, other_figure=ours)


def run(url: str, *statements: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as source:
        for statement in statements:
            source.execute(statement.encode(), {"rows": rows} if "%(rows)s" in statement else None)
