"""The ways to disable a task and to enable it again: SQL by a role that may write, an HTTP call, a Kafka message.

Each tells its system the same reference for the same disabling, however often it is tried. Raises UnavailableError
where trying again may help, OutsideDataError where it will not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

import psycopg

from monitoring.abandonment.source import SeenTask, TrackedTable, locked_task
from opsconsole import env, estate, outgoing
from opsconsole.errors import OutsideDataError, UnavailableError, UsageError
from opsconsole.estate.model import HttpCalls, KafkaMessages, SqlStatements, TrackedSource
from opsconsole.outgoing import Request, place_of
from opsconsole.postgres import connect, explain
from sync.engine.messages import Message
from sync.publisher import Publisher, Refused

LONGEST_SAID = 300


class Wanted(StrEnum):
    DISABLE = "disable"
    ENABLE = "enable"


@dataclass(frozen=True, slots=True)
class Order:
    """What the system is asked: which task, what, why, and the console's mark of this disabling."""

    key: str
    wanted: Wanted
    reference: str
    reason: str


class NotWantedError(Exception):
    """Looked at again, it is not to be done any more; the message says why."""


Look = Callable[[SeenTask | None], None]
"""Gets the task as it is now, None where it is gone. Raises NotWantedError where it is to be left alone."""


See = Callable[[], SeenTask | None]
"""The task as it is now, None where it is gone. Raises what the source raises."""


def order(source: TrackedSource, what: Order, seen: See, look: Look, now: datetime) -> None:
    """Look again, then ask for it. Where the source is a table that SQL changes, both are one transaction of its
    database with the row locked; elsewhere the look, at what `seen` finds, comes right before."""
    way = source.disable
    assert way is not None, "asked for only where there is a way"
    if way.sql is not None:
        _by_sql(source, way.sql, what, seen, look, now)
        return
    look(seen())
    if way.http is not None:
        _by_http(way.http, what)
    elif way.kafka is not None:
        _by_kafka(way.kafka, what, now)


def see(source: TrackedSource, key: str, now: datetime) -> SeenTask | None:
    """The task as its table or query has it now."""
    with TrackedTable(source, now) as table:
        return table.one(key)


def _by_sql(source: TrackedSource, way: SqlStatements, what: Order, seen: See, look: Look, now: datetime) -> None:
    name = f"the database in which {source.label} are disabled"
    if source.reported or source.query:  # a query's row cannot be locked by another statement
        look(seen())
    statement = way.disable if what.wanted is Wanted.DISABLE else way.enable
    values = {"id": what.key, "reference": what.reference, "reason": what.reason}
    connection = connect(
        way.url,
        name,
        statement_timeout=source.statement_timeout,
        connect_timeout=source.connect_timeout,
        read_only=False,
    )
    try:
        with connection, connection.transaction():
            if source.table is not None:
                look(locked_task(source, connection, what.key, now))
            changed = connection.execute(statement.encode(), values).rowcount
            if changed != 1:
                raise OutsideDataError(
                    f"The statement to {what.wanted} {source.label} changed {changed} rows for {what.key}; exactly one"
                    " is needed, so nothing was changed."
                )
    except psycopg.Error as error:
        raise explain(error, name, way.url, source.statement_timeout) from error


def _by_http(way: HttpCalls, what: Order) -> None:
    url = (way.disable_url if what.wanted is Wanted.DISABLE else way.enable_url).replace(
        "{id}", quote(what.key, safe="")
    )
    request = Request(
        way.method,
        url,
        body=json.dumps({"id": what.key, "reference": what.reference, "reason": what.reason}).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": f"{what.reference}-{what.wanted}"},
        secret_headers=_headers(way),
    )
    try:
        answer = outgoing.call(request, patience=way.timeout, place=place_of(url))
    except UsageError as error:
        raise OutsideDataError(str(error)) from error
    if answer.is_success:
        return
    sentence = f"{place_of(url)} {answer.beginning(LONGEST_SAID).said}"
    if answer.may_pass:
        raise UnavailableError(sentence)
    raise OutsideDataError(sentence)


def _headers(way: HttpCalls) -> dict[str, str]:
    return {header: env.text(variable, "") for header, variable in way.headers_env.items()}


def _by_kafka(way: KafkaMessages, what: Order, now: datetime) -> None:
    content = {
        "id": what.key,
        "action": what.wanted.value,
        "reference": what.reference,
        "reason": what.reason,
        "at": now.isoformat(),
    }
    message = Message(what.key, json.dumps(content).encode(), (("reference", what.reference.encode()),))
    with Publisher(replace(estate.current().kafka, topic=way.topic)) as publisher:
        (outcome,) = publisher.publish([message])
    if isinstance(outcome, Refused):
        raise OutsideDataError(outcome.sentence)
