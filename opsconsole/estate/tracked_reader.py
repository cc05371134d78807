"""`[[tracked_tasks]]`: long-running tasks of other systems, where to see how they are, and how to disable one."""

from __future__ import annotations

import re
from collections import Counter

from opsconsole.estate.fields import Fields
from opsconsole.estate.model import DisableWay, HttpCalls, KafkaMessages, Source, SqlStatements, TrackedSource
from opsconsole.estate.record_reader import LONGEST_NAME, NAME
from opsconsole.estate.schedule_reader import METHODS
from opsconsole.outgoing.urls import is_address

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
COLUMNS = (
    *("title", "kind", "owner", "scope", "created_at", "last_healthy_at", "last_data_at"),
    *("failures", "restarts", "last_error", "changed_at", "link_column"),
)
CONDITIONS = ("enabled", "has_shards", "protected", "healthy")
NO_TABLE = ("",)
TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)


def tracked_sources(top: Fields, source: Source) -> tuple[TrackedSource, ...]:
    """All sources of tracked tasks, in the order of the file."""
    tables = top.tables("tracked_tasks")
    found = tuple(_tracked_source(fields, source) for fields in tables)
    names = Counter(one.name for one in found if one.name)
    for fields, one in zip(tables, found, strict=True):
        if names[one.name] > 1:
            fields.mistake("name", f"is {one.name!r}, which is used more than once; each source has a name of its own.")
    return found


def _tracked_source(fields: Fields, source: Source) -> TrackedSource:
    name = fields.text("name", needed="a name for addresses")
    if name and (not NAME.fullmatch(name) or len(name) > LONGEST_NAME):
        fields.mistake(
            "name", f"is {name[:80]!r}; allowed are lower-case letters and digits with single dashes, at most 60."
        )
    reported = fields.boolean("reported", False)
    if reported:
        fields.useless(["table", "query", "url_env", "where", "id", *COLUMNS, *CONDITIONS], "`reported = false`")
    found = TrackedSource(
        name=name,
        label=fields.text("label", name.replace("-", " ").capitalize() or "Tasks"),
        reported=reported,
        url="" if reported else fields.postgres_url(required=False) or source.url,
        query="" if reported else _query(fields),
        table=None if reported else _table(fields),
        id=fields.text("id", "id", needed="a column name") if not reported else "id",
        **({} if reported else {name: fields.text(name, "", needed="a column name") for name in COLUMNS}),
        **({} if reported else {name: fields.condition(name) for name in CONDITIONS}),
        where="" if reported else fields.condition("where"),
        link=fields.link(),
        look_every=fields.duration("look_every", 5 * MINUTE, minimum=10, maximum=DAY),
        healthy_within=fields.duration("healthy_within", 15 * MINUTE, minimum=10, maximum=DAY),
        most_disabled=fields.integer("most_disabled", 5, minimum=0, maximum=10_000),
        most_disabled_percent=fields.integer("most_disabled_percent", 2, minimum=0, maximum=100),
        statement_timeout=fields.duration("statement_timeout", 300.0, minimum=0.1, maximum=3_600),
        connect_timeout=fields.duration("connect_timeout", 5.0, minimum=1, maximum=60),
        disable=_disable(fields),
    )
    _require_health(fields, found)
    fields.end()
    return found


def _query(fields: Fields) -> str:
    query = fields.text("query", "", needed="an SQL query").strip().removesuffix(";")
    if ";" in query:
        fields.mistake("query", "has a semicolon in it; one SELECT is allowed.")
    return query


def _table(fields: Fields) -> str | tuple[str, ...] | None:
    name = fields.table_name("table", NO_TABLE)
    return None if name == NO_TABLE else name


def _require_health(fields: Fields, found: TrackedSource) -> None:
    if found.reported:
        return
    if bool(found.query) == (found.table is not None):
        which = "together with `query`" if found.query else "missing, and so is `query`"
        fields.mistake("table", f"is {which}; exactly one of the two is needed.")
    if not found.healthy and not found.last_healthy_at:
        fields.mistake("last_healthy_at", "is missing, and so is `healthy`; without either nobody knows what fails.")


def _disable(fields: Fields) -> DisableWay | None:
    table = fields.optional_table("disable")
    if table is None:
        return None
    sql, http, kafka = (table.optional_table(way) for way in ("sql", "http", "kafka"))
    given = [way for way in (sql, http, kafka) if way is not None]
    if len(given) != 1:
        fields.mistake("disable", f"has {len(given)} ways; exactly one of `sql`, `http` and `kafka` is needed.")
    way = DisableWay(
        sql=None if sql is None else _statements(sql),
        http=None if http is None else _calls(http),
        kafka=None if kafka is None else _messages(kafka),
        read_back=table.duration("read_back", 10.0, minimum=0, maximum=300),
    )
    table.end()
    return way


def _statements(fields: Fields) -> SqlStatements:
    found = SqlStatements(
        url=fields.postgres_url(), disable=_statement(fields, "disable"), enable=_statement(fields, "enable")
    )
    fields.end()
    return found


def _statement(fields: Fields, key: str) -> str:
    text = fields.text(key, needed="an SQL statement with %(id)s in it").strip().removesuffix(";")
    if not text:
        return text
    rest = re.sub(r"%\((id|reference|reason)\)s|%%", "", text)
    if ";" in text or "%(id)s" not in text or "%" in rest:
        fields.mistake(
            key,
            f"is {text[:80]!r}; allowed is one statement with %(id)s in it, and %(reference)s and %(reason)s where"
            " wanted; a percent sign of its own is written twice.",
        )
    return text


def _calls(fields: Fields) -> HttpCalls:
    found = HttpCalls(
        disable_url=_address(fields, "disable_url"),
        enable_url=_address(fields, "enable_url"),
        method=fields.one_of("method", METHODS, "POST"),
        headers_env=fields.variables("headers_env"),
        timeout=fields.duration("timeout", 10.0, minimum=0.1, maximum=300),
    )
    fields.end()
    return found


def _address(fields: Fields, key: str) -> str:
    url = fields.text(key, needed="an address with {id} in it")
    if url and ("{id}" not in url or not is_address(url.replace("{id}", "1"))):
        fields.mistake(key, f"is {url[:80]!r}; allowed is an http or https address with {{id}} in it.")
    return url


def _messages(fields: Fields) -> KafkaMessages:
    topic = fields.text("topic", needed="a topic name")
    if topic and not TOPIC.fullmatch(topic):
        fields.mistake("topic", f"is {topic!r}; allowed are letters, digits, dot, dash and underscore, at most 249.")
    fields.end()
    return KafkaMessages(topic)
