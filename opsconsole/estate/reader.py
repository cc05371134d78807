"""From the TOML file to the frozen estate: typed, and with all mistakes at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opsconsole.errors import UsageError
from opsconsole.estate.fields import Fields, nearest
from opsconsole.estate.model import (
    LARGEST_LAG,
    LARGEST_RATE,
    Check,
    Estate,
    Index,
    IndexAdapter,
    Kafka,
    OrganizationTable,
    Source,
    TaskTable,
    Throttle,
)
from opsconsole.estate.monitor_reader import monitors
from opsconsole.estate.pipeline_reader import pipeline_limits
from opsconsole.estate.record_reader import record_sources
from opsconsole.estate.schedule_reader import scheduled_jobs
from opsconsole.estate.security import read_security
from opsconsole.estate.tracked_reader import tracked_sources
from opsconsole.keys import KeyKind

COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)
VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}", re.ASCII)
BROKER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:,/]+):\d{1,5}")


class EstateError(UsageError):
    """The estate file is not usable. `mistakes` has one sentence for each thing that is wrong."""

    def __init__(self, path: str, mistakes: tuple[str, ...], *, missing: bool = False) -> None:
        self.path = path
        self.mistakes = mistakes
        self.missing = missing
        if missing or len(mistakes) == 1:
            super().__init__(mistakes[0] if missing else f"{path}: {mistakes[0]}")
        else:
            super().__init__("\n".join([f"{path} has {len(mistakes)} mistakes:", *(f"  - {m}" for m in mistakes)]))


def read(path: str | Path, environ: Mapping[str, str]) -> Estate:
    """The estate in the file at `path`; secrets come from `environ`. Raises EstateError with every mistake."""
    return build(_parse(Path(path)), str(path), environ)


def _parse(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        sentence = (
            f"There is no estate file at {path}; copy estate.example.toml there, "
            "or name another file in OPSCONSOLE_ESTATE."
        )
        raise EstateError(str(path), (sentence,), missing=True) from None
    except OSError as error:
        raise EstateError(str(path), (f"The file cannot be read: {error.strerror}.",)) from error
    except UnicodeDecodeError as error:
        raise EstateError(str(path), ("The file is not UTF-8 text.",)) from error
    except tomllib.TOMLDecodeError as error:
        raise EstateError(str(path), (f"The file is not TOML: {error}.",)) from error


def build(values: Mapping[str, object], path: str, environ: Mapping[str, str]) -> Estate:
    """The estate from parsed TOML. Raises EstateError with every mistake; `path` is only named in it."""
    mistakes: list[str] = []
    top = Fields("", values, environ, mistakes)
    source = _source(top.table("source"))
    estate = Estate(
        source=source,
        index=_index(top.table("index"), source.tasks),
        kafka=_kafka(top.table("kafka"), Path(path).absolute().parent),
        check=_check(top.table("check", required=False)),
        throttle=_throttle(top.table("throttle", required=False)),
        records=record_sources(top, source),
        pipeline=pipeline_limits(top.table("pipeline", required=False)),
        scheduled_jobs=scheduled_jobs(top),
        tracked_tasks=tracked_sources(top, source),
        monitors=monitors(top),
    )
    top.end()
    if mistakes:
        raise EstateError(path, tuple(mistakes))
    return estate


def _source(fields: Fields) -> Source:
    source = Source(
        url=fields.postgres_url(),
        organizations=_organizations(fields.table("organizations")),
        tasks=_tasks(fields.table("tasks")),
        id_prefix=fields.plain("id_prefix"),
        statement_timeout=fields.duration("statement_timeout", 30.0, minimum=0.1, maximum=3600),
        connect_timeout=fields.duration("connect_timeout", 5.0, minimum=1, maximum=300),
    )
    fields.end()
    return source


def _organizations(fields: Fields) -> OrganizationTable:
    table = OrganizationTable(
        table=fields.table_name("table"),
        id=fields.text("id", "id", needed="a column name"),
        name=fields.text("name", "name", needed="a column name"),
        id_type=fields.choice("id_type", KeyKind, KeyKind.UUID) or KeyKind.UUID,
        link=fields.link(),
        where=fields.condition("where"),
    )
    fields.end()
    return table


def _tasks(fields: Fields) -> TaskTable:
    table = TaskTable(
        table=fields.table_name("table"),
        organization=fields.text("organization", needed="a column name"),
        compare=fields.words("compare", required=True),
        id=fields.text("id", "id", needed="a column name"),
        id_type=fields.choice("id_type", KeyKind, KeyKind.UUID) or KeyKind.UUID,
        updated_at=fields.text("updated_at", "updated_at", needed="a column name"),
        created_at=fields.text("created_at", "", needed="a column name"),
        status=fields.text("status", "status", needed="a column name"),
        version=fields.text("version", "", needed="a column name"),
        deleted=fields.condition("deleted"),
        where=fields.condition("where"),
        active=fields.words("active"),
        completed=fields.words("completed"),
        extra=fields.words("extra"),
        link=fields.link(),
    )
    both = sorted(set(table.active) & set(table.completed))
    if both:
        fields.mistake(
            "completed", f"names {', '.join(map(repr, both))}, which `active` names too; a status is one or the other."
        )
    fields.end()
    return table


def _index(fields: Fields, tasks: TaskTable) -> Index:
    adapter = fields.choice("adapter", IndexAdapter, None) or IndexAdapter.POSTGRES
    over_http = adapter is IndexAdapter.HTTP
    names = fields.mapping("fields")
    index = Index(
        adapter=adapter,
        url=_http_url(fields) if over_http else fields.postgres_url(),
        table="tasks" if over_http else fields.table_name("table", "tasks"),
        id=fields.text("id", "id", needed="a column name"),
        organization=fields.text("organization", "organization_id", needed="a column name"),
        version=fields.text("version", "version" if over_http else "", needed="a column name"),
        updated_at=fields.text("updated_at", "updated_at" if over_http else "", needed="a column name"),
        fields=names,
        token=fields.secret("token_env", required=False) if over_http else "",
        timeout=fields.duration("timeout", 10.0, minimum=0.1, maximum=3600),
        connect_timeout=fields.duration("connect_timeout", 5.0, minimum=1, maximum=300),
    )
    for name in names:
        if tasks.compare and name not in tasks.compare:
            allowed = ", ".join(tasks.compare)
            fields.mistake(
                f"fields.{name}", f"is no compared column{nearest(name, tasks.compare)}; allowed are {allowed}."
            )
    fields.end()
    return index


def _http_url(fields: Fields) -> str:
    url = fields.secret("url_env")
    parts = urlsplit(url) if url else None
    if parts and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        fields.mistake("url_env", "names a variable whose value is no http or https address without a query.")
    return url


def _kafka(fields: Fields, folder: Path) -> Kafka:
    compression = fields.one_of("compression", COMPRESSIONS, "gzip")
    kafka = Kafka(
        bootstrap_servers=_brokers(fields),
        topic=fields.text("topic", needed="a topic name"),
        consumer_group=fields.text("consumer_group", needed="a consumer group's name"),
        api_version=_api_version(fields),
        idempotence=fields.boolean("idempotence", True),
        compression=compression,
        delivery_timeout=fields.duration("delivery_timeout", 30.0, minimum=1, maximum=600),
        security=read_security(fields, folder),
    )
    if kafka.topic and not TOPIC.fullmatch(kafka.topic):
        fields.mistake(
            "topic", f"is {kafka.topic!r}; allowed are letters, digits, dot, dash and underscore, at most 249."
        )
    fields.end()
    return kafka


def _brokers(fields: Fields) -> tuple[str, ...]:
    text = fields.secret("bootstrap_servers_env")
    servers = tuple(server.strip() for server in text.split(",") if server.strip())
    if text and (not servers or not all(BROKER.fullmatch(server) for server in servers)):
        fields.mistake("bootstrap_servers_env", f"gives {text!r}; allowed are host:port pairs, separated by commas.")
    return servers


def _api_version(fields: Fields) -> tuple[int, ...] | None:
    text = fields.text("api_version", "", needed="a broker's version")
    if not text:
        return None
    if VERSION.fullmatch(text):
        return tuple(map(int, text.split(".")))
    fields.mistake("api_version", f'is {text!r}; allowed is a broker\'s version such as "2.3".')
    return None


def _check(fields: Fields) -> Check:
    check = Check(
        chunk_rows=fields.integer("chunk_rows", 10_000, minimum=1, maximum=100_000),
        settle_time=fields.duration("settle_time", 10.0, maximum=3600),
        verify_timeout=fields.duration("verify_timeout", 60.0, maximum=3600),
        memory_limit=fields.size("memory_limit", 512 * 1024**2, minimum=64 * 1024**2, maximum=1024**4),
        split_tasks=fields.integer("split_tasks", 5_000_000, minimum=0, maximum=10**12),
        split_ranges=fields.integer("split_ranges", 8, minimum=2, maximum=64),
    )
    fields.end()
    return check


def _throttle(fields: Fields) -> Throttle:
    throttle = Throttle(
        messages_per_second=fields.limit("messages_per_second", maximum=LARGEST_RATE),
        lag_limit=fields.limit("lag_limit", maximum=LARGEST_LAG),
        source_condition=fields.condition("source_condition"),
        check_every=fields.duration("check_every", 5.0, minimum=0.5, maximum=600),
    )
    fields.end()
    return throttle
