"""The breakdown by status over a table of 10,000,000 records, against the same question bare in psql."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg

from benchmarks.measurement import Goal, Measurement, in_turn
from benchmarks.stage import COMPARED, Stage, finish, say
from opsconsole.demo.sizes import Band, Layout
from opsconsole.estate.model import RecordSource
from opsconsole.keys import KeyKind

RECORDS = 10_000_000
DAYS = 30
HOURS = (5, 24, 24 * 7)
HIDDEN = ("ok", "only_meta", "deleted")
COMMAND = 'make bench ARGS="records"'
MAKE = """
CREATE UNLOGGED TABLE bench_records AS
SELECT number AS id,
    (ARRAY['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'only_meta', 'deleted', 'processing', 'converting', 'error'])
        [1 + (hashint8(number) & 2147483647) %% 12] AS status,
    %(end)s::timestamptz - (interval '1 day' * %(days)s * (%(rows)s - number) / %(rows)s) AS created_at
FROM generate_series(1, %(rows)s::bigint) AS number
"""
FINISH = ("CREATE INDEX ON bench_records (created_at)", "VACUUM (ANALYZE) bench_records")
BARE = """SELECT status, count(*), min(created_at) FROM bench_records
WHERE created_at >= '{start}' AND created_at < '{end}' AND status NOT IN ('ok', 'only_meta', 'deleted')
GROUP BY 1 ORDER BY 2 DESC"""


def measure(stage: Stage) -> Iterator[Measurement]:
    from monitoring.records.ages import Ages
    from monitoring.records.query import RecordTable
    from opsconsole.times import Window

    company = stage.company("records", Layout((Band(1, 10),), compared=COMPARED))
    rows, now = stage.scaled(RECORDS), datetime.now(UTC)
    make_records(company.source_owner_url, rows, now)
    source = RecordSource(
        "bench", "Records", company.source_url, "bench_records", id_type=KeyKind.INTEGER, statement_timeout=120.0
    )

    def ask(window: Window) -> None:
        with RecordTable(source) as table:
            assert {one.status for one in table.breakdown(window, HIDDEN).counts} == {
                "processing",
                "converting",
                "error",
            }

    def ask_bare(query: str) -> None:
        finish([stage.psql(company.source_url, query)])

    for hours in HOURS:
        window = Ages(900.0, hours * 3_600.0).window(now)
        bare = BARE.format(start=window.start.isoformat(), end=window.end.isoformat())
        took = in_turn({"ours": partial(ask, window), "bound": partial(ask_bare, bare)}, stage.repeats)
        name = f"records by status, {rows:,} records, window {hours} h"
        yield Measurement(name, took["ours"], took["bound"], Goal(1.2), COMMAND)


def make_records(owner_url: str, rows: int, now: datetime) -> None:
    """The table, its newest record made a moment ago; made anew where it is of another day, so that windows hit it."""
    with psycopg.connect(owner_url, autocommit=True) as source:
        found = source.execute("SELECT to_regclass('bench_records') IS NOT NULL").fetchone()
        if found and found[0]:
            kept = source.execute("SELECT max(id), max(created_at) FROM bench_records").fetchone()
            if kept and kept[0] == rows and now - kept[1] < timedelta(minutes=30):
                return
            source.execute("DROP TABLE bench_records")
        say(f"Making {rows:,} records ...")
        source.execute(MAKE, {"end": now, "days": DAYS, "rows": rows})
        for statement in FINISH:
            source.execute(statement.encode())
