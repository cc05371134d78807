"""The estate as frozen values: the outside systems this console looks after. `reader.py` makes them from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from opsconsole.keys import KeyKind

# "tasks", "crm.tasks" (schema and table), or the parts themselves where a name has a dot: ("Odd.Schema", "My Table").
TableName: TypeAlias = str | tuple[str, ...]


class IndexAdapter(StrEnum):
    POSTGRES = "postgres"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class OrganizationTable:
    """Where organizations are. `table` may carry a schema (`crm.accounts`); names are quoted when used."""

    table: TableName
    id: str = "id"
    name: str = "name"
    id_type: KeyKind = KeyKind.UUID
    link: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class TaskTable:
    """Where tasks are and which of their columns must agree with the index (`compare`).

    `deleted` and `where` are SQL conditions written by the estate's author, without semicolons. `completed` names the
    statuses that count as completed, `active` those that are still open.
    """

    table: TableName
    organization: str
    compare: tuple[str, ...]
    id: str = "id"
    id_type: KeyKind = KeyKind.UUID
    updated_at: str = "updated_at"
    created_at: str = ""
    status: str = "status"
    version: str = ""
    deleted: str = ""
    where: str = ""
    active: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The system of record. Times in seconds."""

    url: str = field(repr=False)
    organizations: OrganizationTable
    tasks: TaskTable
    id_prefix: str = ""
    statement_timeout: float = 30.0
    connect_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Index:
    """How the index is read. `fields` gives the index's names of compared columns of the source, where they differ."""

    adapter: IndexAdapter
    url: str = field(repr=False)
    table: TableName = "tasks"
    id: str = "id"
    organization: str = "organization_id"
    version: str = ""
    updated_at: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    timeout: float = 10.0
    connect_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker that carries updates from the source to the index. `delivery_timeout` in seconds."""

    bootstrap_servers: tuple[str, ...]
    topic: str
    consumer_group: str
    api_version: tuple[int, ...] | None = None
    idempotence: bool = True
    compression: str = "gzip"
    delivery_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """Limits of a check. Seconds; rows; bytes."""

    chunk_rows: int = 5_000
    settle_time: float = 10.0
    verify_timeout: float = 60.0
    memory_limit: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Estate:
    source: Source
    index: Index
    kafka: Kafka
    check: Check = Check()
