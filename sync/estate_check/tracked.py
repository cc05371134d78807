"""Sources of tracked tasks: table or query, columns and conditions, rights, and the role that disables."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from opsconsole.commands import first_line
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import SqlStatements, TrackedSource
from opsconsole.postgres import Database, connect, identifier, place, trusted
from opsconsole.words import duration
from sync.estate_check import judge
from sync.estate_check.result import Result, has_problem, ok, problem, warning
from sync.estate_check.stores import check_condition, checked_table


def check_tracked_source(source: TrackedSource) -> Iterator[Result]:
    """Raises UnavailableError where its database does not answer."""
    name = f"tracked tasks {source.name}"
    if source.reported:
        yield ok(name, f"They are reported by the API, at least every {duration(3 * source.look_every)}.")
    else:
        with Database(
            source.url,
            f"the database of {source.label}",
            statement_timeout=source.statement_timeout,
            connect_timeout=source.connect_timeout,
        ) as database:
            yield from _check_table(name, source, database) if source.table else _check_query(name, source, database)
    yield judge_meaning(name, source)
    if source.disable is None:
        yield warning(f"{name} disable", "No way to disable is named: owners can be warned, nothing is disabled.")
    elif source.disable.sql is not None:
        yield check_writer(f"{name} disable", source, source.disable.sql)


def columns_of(source: TrackedSource) -> tuple[str, ...]:
    times = (source.created_at, source.last_healthy_at, source.last_data_at, source.changed_at)
    counters = (source.failures, source.restarts, source.last_error, source.link_column)
    return tuple(filter(None, (source.id, source.title, source.kind, source.owner, source.scope, *times, *counters)))


def _check_table(name: str, source: TrackedSource, database: Database) -> Iterator[Result]:
    assert source.table is not None
    results, facts = checked_table(database, name, source.table, columns_of(source))
    yield from results
    if facts is None:
        return
    for key in ("enabled", "has_shards", "protected", "healthy", "where"):
        yield from check_condition(database, f"{name} {key}", source.table, getattr(source, key))
    yield judge.judge_writing(f"{name} role", source.table, facts)


def _check_query(name: str, source: TrackedSource, database: Database) -> Iterator[Result]:
    relation = sql.SQL("({}) AS tracked").format(trusted(source.query))
    query = sql.SQL("SELECT * FROM {} LIMIT 0").format(relation)
    try:
        there = [column.name for column in database.columns(query)]
    except ConsoleError as error:
        yield problem(name, f"The query does not work: {error}")
        return
    missing = [column for column in columns_of(source) if column not in there]
    results = [
        problem(name, f"The query gives no column {', '.join(map(repr, missing))}; it gives {', '.join(there)}.")
        if missing
        else ok(name, f"The query gives every column that is named, in {place(source.url)}.")
    ]
    yield from results
    if has_problem(results):
        return
    for key in ("enabled", "has_shards", "protected", "healthy", "where"):
        condition = getattr(source, key)
        if condition:
            query = sql.SQL("SELECT {} FROM {} WHERE ({}) LIMIT 0").format(
                identifier(source.id), relation, trusted(condition)
            )
            yield _tried(f"{name} {key}", condition, database, query)


def _tried(name: str, condition: str, database: Database, query: sql.Composed) -> Result:
    try:
        database.rows(query)
    except ConsoleError as error:
        return problem(name, f"The condition {condition!r} does not work: {error}")
    return ok(name, f"The condition {condition!r} works.")


def judge_meaning(name: str, source: TrackedSource) -> Result:
    """What the console cannot tell without the columns that are not named."""
    without = [
        sentence
        for column, sentence in (
            (source.reported or source.owner, "owner: nobody can be warned"),
            (source.reported or source.last_data_at, "last_data_at: nothing is idle"),
            (source.reported or source.changed_at, "changed_at: a person's change does not hold back"),
            (source.reported or source.scope, "scope: an outage is told of all its tasks together only"),
        )
        if not column
    ]
    if without:
        return warning(f"{name} meaning", f"Not named: {'; '.join(without)}.")
    return ok(f"{name} meaning", "Owner, data, changes and scopes are known.")


def check_writer(name: str, source: TrackedSource, way: SqlStatements) -> Result:
    """Whether the writing role gets in and the server can plan both statements; nothing is run."""
    values = {"id": "0", "reference": "opsconsole-0", "reason": "check"}
    try:
        with connect(way.url, f"the database in which {source.label} are disabled", read_only=False) as connection:
            for statement in (way.disable, way.enable):
                connection.execute(b"EXPLAIN " + statement.encode(), values)
    except ConsoleError as error:
        return problem(name, str(error))
    except psycopg.Error as error:
        return problem(name, f"A statement does not work: {first_line(error)}.")
    return ok(name, f"Its role in {place(way.url)} may run both statements.")
