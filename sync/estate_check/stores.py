"""The source and a PostgreSQL index: tables, columns, keys, rights and indexes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from psycopg import sql

from opsconsole.errors import ConsoleError, OutsideDataError
from opsconsole.estate.model import Estate, TableName
from opsconsole.keys import KeyKind
from opsconsole.postgres import Database, place, table_identifier, trusted
from sync.estate_check import judge
from sync.estate_check.catalog import TableFacts, last_updates, scans, table_facts
from sync.estate_check.result import Result, has_problem, ok, problem
from sync.index.postgres import PostgresIndex, index_shape
from sync.source import Source


def clock_difference(database: Database) -> timedelta:
    """How far the server's clock is ahead of this machine's, as exact as the round trip is short."""
    before = datetime.now(UTC)
    server: datetime = database.row(sql.SQL("SELECT clock_timestamp()"))[0]
    return server - (before + (datetime.now(UTC) - before) / 2)


def check_source(estate: Estate, source: Source) -> Iterator[Result]:
    """Raises UnavailableError where the source does not answer."""
    settings = estate.source
    organizations, tasks = settings.organizations, settings.tasks
    yield ok("source", f"PostgreSQL {source.version()}, {place(settings.url)}.")
    wanted = (organizations.id, organizations.name)
    results, facts = checked_table(source.database, "source organizations", organizations.table, wanted)
    yield from results
    if facts:
        yield judge.judge_key("source organization key", organizations.id, organizations.id_type, facts)
        yield from check_condition(
            source.database, "source organizations.where", organizations.table, organizations.where
        )
    named = (tasks.id, tasks.organization, tasks.updated_at, tasks.created_at, tasks.status, tasks.version)
    results, facts = checked_table(source.database, "source tasks", tasks.table, (*named, *tasks.compare, *tasks.extra))
    yield from results
    if facts:
        yield from _keys("source", tasks.id, tasks.id_type, tasks.organization, organizations.id_type, facts)
        yield from check_condition(source.database, "source tasks.where", tasks.table, tasks.where)
        yield from check_condition(source.database, "source tasks.deleted", tasks.table, tasks.deleted)
        yield judge.judge_writing("source role", tasks.table, facts)
        compared = (*tasks.compare, tasks.version, tasks.updated_at)
        yield judge.judge_walk_index("source walk", tasks.table, (tasks.organization, tasks.id), compared, facts)
        keys = (tasks.updated_at, tasks.organization)
        ways = window_scans(estate, source, facts)
        yield judge.judge_window_index("source window", tasks.table, keys, tasks.status, facts, ways)
        yield judge.judge_visibility("source vacuum", tasks.table, facts)


def check_postgres_index(estate: Estate, index: PostgresIndex) -> Iterator[Result]:
    """Raises UnavailableError where the index does not answer."""
    shape = index_shape(estate)
    yield ok("index", f"{index.ping()}: {place(estate.index.url)}.")
    wanted = (shape.id, shape.organization, shape.version, shape.updated_at, *shape.values)
    results, facts = checked_table(index.database, "index tasks", shape.table, wanted)
    yield from results
    if facts:
        yield from _keys("index", shape.id, shape.id_kind, shape.organization, shape.organization_kind, facts)
        yield judge.judge_writing("index role", shape.table, facts)
        compared = (*shape.values, shape.version, shape.updated_at)
        yield judge.judge_walk_index("index walk", shape.table, (shape.organization, shape.id), compared, facts)
        yield judge.judge_visibility("index vacuum", shape.table, facts)


def window_scans(estate: Estate, source: Source, facts: TableFacts) -> tuple[str, ...]:
    """How the planner would read the tasks for the last hundredth of the updates. Empty where there are no statistics
    to know those by, or the estate's own conditions do not work, which other results say."""
    table, updated_at = estate.source.tasks.table, estate.source.tasks.updated_at
    if facts.is_view:
        return ()
    try:
        window = last_updates(source.database, table, updated_at)
        return tuple(scans(source.affected_plan(window), table)) if window else ()
    except OutsideDataError:
        return ()


def checked_table(
    database: Database, name: str, table: TableName, wanted: tuple[str, ...]
) -> tuple[list[Result], TableFacts | None]:
    """The facts only where nothing is wrong with them, so that no later judgement meets a missing column."""
    facts = table_facts(database, table)
    if facts is None:
        return [problem(name, f"There is no table {judge.shown(table)} that this role can see.")], None
    results = [judge.judge_columns(name, table, wanted, facts)]
    return results, None if has_problem(results) else facts


def _keys(
    side: str, task: str, task_kind: KeyKind, organization: str, organization_kind: KeyKind, facts: TableFacts
) -> Iterator[Result]:
    yield judge.judge_key(f"{side} task key", task, task_kind, facts)
    yield judge.judge_key(f"{side} task's organization", organization, organization_kind, facts)


def check_condition(database: Database, name: str, table: TableName, condition: str) -> Iterator[Result]:
    """Whether the server understands the estate's own SQL; it is run for no rows."""
    if not condition:
        return
    query = sql.SQL("SELECT 1 FROM {} WHERE ({}) LIMIT 0").format(table_identifier(table), trusted(condition))
    try:
        database.rows(query)
    except ConsoleError as error:
        yield problem(name, f"The condition {condition!r} does not work: {error}")
    else:
        yield ok(name, f"The condition {condition!r} works.")
