"""Which organizations a window hit, of 5,000,000 tasks: the console's query against the same question bare in psql."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

import psycopg

from benchmarks.companies import main_company
from benchmarks.measurement import Goal, Measurement, in_turn
from benchmarks.stage import Company, Stage, finish
from opsconsole.times import Window
from sync.operations.affected import AffectedQuery, affected_organizations

SHARES = (0.01, 0.1, 1.0)
COMMAND = 'make bench ARGS="affected"'
BARE = """SELECT t.*, o.name FROM (
    SELECT organization_id, count(*), count(*) FILTER (WHERE status = 'completed'), min(updated_at), max(updated_at)
    FROM tasks WHERE updated_at >= '{start}' AND updated_at < '{end}' GROUP BY 1
) t JOIN organizations o ON o.id = t.organization_id ORDER BY 1"""


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    stage.use(company)
    for share in SHARES:
        window = _window(company, share)
        bare = BARE.format(start=window.start.isoformat(), end=window.end.isoformat())
        ours, bound = partial(_ask, window), partial(_ask_bare, stage, company, bare)
        took = in_turn({"ours": ours, "bound": bound}, stage.repeats)
        name = f"affected organizations, {company.layout.tasks:,} tasks, window {share:.0%}"
        yield Measurement(name, took["ours"], took["bound"], Goal(1.15), COMMAND)


def _window(company: Company, share: float) -> Window:
    """The last updates before the end: `share` of all tasks."""
    with psycopg.connect(company.source_url) as source:
        query = "SELECT percentile_disc(%s) WITHIN GROUP (ORDER BY updated_at), max(updated_at) FROM tasks"
        row = source.execute(query, (max(1 - share, 0),)).fetchone()
    assert row is not None
    start, last = row
    assert isinstance(start, datetime)
    return Window(start, last + timedelta(seconds=1))


def _ask(window: Window) -> None:
    found = sum(1 for _ in affected_organizations(AffectedQuery(window)))
    assert found > 0


def _ask_bare(stage: Stage, company: Company, query: str) -> None:
    finish([stage.psql(company.source_url, query)])
