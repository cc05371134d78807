"""The estate as frozen values: the outside systems this console looks after. `reader.py` makes them from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from opsconsole.keys import KeyKind
from opsconsole.tones import Tone

# "tasks", "crm.tasks" (schema and table), or the parts themselves where a name has a dot: ("Odd.Schema", "My Table").
TableName: TypeAlias = str | tuple[str, ...]


LARGEST_RATE = 1_000_000
LARGEST_LAG = 10**12
"""Of a throttle, in the file and for a batch: messages a second, and messages."""


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


class SecurityProtocol(StrEnum):
    """Kafka's own names: whether the connection is encrypted, and whether the broker asks for a login."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def encrypts(self) -> bool:
        return self in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def logs_in(self) -> bool:
        return self in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class Security:
    """How a client shows the broker who it is, and knows the broker. In the file these are keys of `[kafka]` itself.

    Files are PEM, by absolute path; empty means none: without `ca_file` the operating system's authorities count.
    """

    security_protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    sasl_mechanism: SaslMechanism | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    check_hostname: bool = True


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
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class Check:
    """Limits of a check. Seconds; rows; bytes. An organization of more than `split_tasks` tasks (0: none) is split into
    `split_ranges` ranges."""

    chunk_rows: int = 10_000
    settle_time: float = 10.0
    verify_timeout: float = 60.0
    memory_limit: int = 512 * 1024 * 1024
    split_tasks: int = 5_000_000
    split_ranges: int = 8


@dataclass(frozen=True, slots=True)
class Throttle:
    """What holds publishing back; None and an empty text hold nothing. `check_every` in seconds.

    `source_condition` is an SQL condition by the estate's author, like `TaskTable.where`.
    """

    messages_per_second: int | None = None
    lag_limit: int | None = None
    source_condition: str = ""
    check_every: float = 5.0


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """One entry of a status guide, in the order of a record's life. `limit`: seconds after which a record in it is
    stuck; None where no limit is given."""

    status: str
    label: str
    tone: Tone = Tone.WAITING
    meaning: str = ""
    customer: str = ""
    action: str = ""
    link: str = ""
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class RecordSource:
    """A table whose rows go through statuses. Times in seconds.

    `hidden` are statuses left out unless asked for. The window holds records older than `older_than` and younger than
    `younger_than`; stuck ones are looked for among those younger than `stuck_within`.
    """

    name: str
    label: str
    url: str = field(repr=False)
    table: TableName
    id: str = "id"
    id_type: KeyKind = KeyKind.UUID
    status: str = "status"
    created_at: str = "created_at"
    updated_at: str = ""
    organization: str = ""
    title: str = ""
    link: str = ""
    link_column: str = ""
    where: str = ""
    hidden: tuple[str, ...] = ()
    older_than: float = 15 * 60.0
    younger_than: float = 5 * 3600.0
    stuck_within: float = 86_400.0
    snapshot_every: float = 300.0
    statement_timeout: float = 10.0
    connect_timeout: float = 5.0
    status_prefix: str = ""
    statuses: tuple[RecordStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What is too much for one queue: messages waiting, seconds that the oldest waits, seconds that a job runs."""

    depth: int
    age: float
    job_time: float


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Limits of the monitoring of queues, workers and consumer, and the size of the drift canary. Times in seconds.

    The canary compares the `canary_recent` tasks updated last and about `canary_random` around random moments of the
    last `canary_reach`; more than `canary_limit` differing ones in a round are a problem.
    """

    high: QueueLimits = QueueLimits(depth=100, age=30.0, job_time=120.0)
    default: QueueLimits = QueueLimits(depth=10_000, age=3_600.0, job_time=3_600.0)
    low: QueueLimits = QueueLimits(depth=1_000, age=21_600.0, job_time=3_600.0)
    stuck_after: float = 300.0
    lag_limit: int = 10_000
    canary_every: float = 180.0
    canary_recent: int = 500
    canary_random: int = 100
    canary_reach: float = 604_800.0
    canary_limit: int = 2


class CatchUp(StrEnum):
    """What becomes of a critical job's due times in a downtime."""

    LATEST = "latest"
    ALL = "all"
    SKIP = "skip"


class Overlap(StrEnum):
    """What a run that is due does while the one before it is still under way."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to another system. `headers_env` maps a header to the variable that holds its value; an expected
    status of None means any from 200 to 299."""

    url: str
    method: str = "POST"
    headers_env: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    expected_status: int | None = None


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """Work that the clock starts by itself. Times in seconds. Exactly one of `cron` and `every`, and one of `operation`
    and `http`, is given; whether there is such an operation, and what its parameters mean, the operations know.

    `retries` are the waits before each further attempt; `after` names jobs that must have succeeded first.
    """

    name: str
    description: str = ""
    cron: str = ""
    zone: str = "UTC"
    every: float | None = None
    operation: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    http: HttpCall | None = None
    critical: bool = False
    grace: float = 3_600.0
    time_limit: float = 1_800.0
    retries: tuple[float, ...] = (300.0, 600.0, 1_200.0)
    catch_up: CatchUp = CatchUp.LATEST
    recovery_window: float = 7_200.0
    overlap: Overlap = Overlap.SKIP
    after: tuple[str, ...] = ()
    owner: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SqlStatements:
    """Disabling by SQL, with a role that may write. `%(id)s` is the task, `%(reference)s` the console's own mark of
    this disabling, `%(reason)s` a sentence. Each statement changes exactly one row."""

    url: str = field(repr=False)
    disable: str
    enable: str


@dataclass(frozen=True, slots=True)
class HttpCalls:
    """Disabling by a request; `{id}` in an address is the task. `headers_env` maps a header to the variable that holds
    its value. `timeout` in seconds."""

    disable_url: str
    enable_url: str
    method: str = "POST"
    headers_env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class KafkaMessages:
    """Disabling by a message to the estate's brokers."""

    topic: str


@dataclass(frozen=True, slots=True)
class DisableWay:
    """Exactly one way is given. `read_back`: seconds in which the task has to be seen as wanted afterwards."""

    sql: SqlStatements | None = None
    http: HttpCalls | None = None
    kafka: KafkaMessages | None = None
    read_back: float = 10.0


@dataclass(frozen=True, slots=True)
class TrackedSource:
    """Where long-running tasks of another system are seen: a table, a query, or that system's own reports. Times in
    seconds; the other texts are columns, empty where there is none; `enabled`, `has_shards`, `protected` and `healthy`
    are SQL conditions. Without `healthy`, healthy is whose `last_healthy_at` is within `healthy_within`.

    At most `most_disabled` tasks of a scope, and `most_disabled_percent` of them, are disabled within 24 hours.
    """

    name: str
    label: str
    url: str = field(default="", repr=False)
    table: TableName | None = None
    query: str = ""
    reported: bool = False
    id: str = "id"
    title: str = ""
    kind: str = ""
    owner: str = ""
    scope: str = ""
    enabled: str = ""
    has_shards: str = ""
    protected: str = ""
    created_at: str = ""
    healthy: str = ""
    last_healthy_at: str = ""
    last_data_at: str = ""
    failures: str = ""
    restarts: str = ""
    last_error: str = ""
    changed_at: str = ""
    link: str = ""
    link_column: str = ""
    where: str = ""
    look_every: float = 300.0
    healthy_within: float = 900.0
    most_disabled: int = 5
    most_disabled_percent: int = 2
    statement_timeout: float = 300.0
    connect_timeout: float = 5.0
    disable: DisableWay | None = None


@dataclass(frozen=True, slots=True)
class Monitor:
    """A job that runs elsewhere and says so by a ping. Times in seconds. Exactly one of `cron` and `period` is given.

    `ping_key` names the key under which it can be pinged by its name, too; empty: only by its own address.
    """

    name: str
    description: str = ""
    period: float | None = None
    cron: str = ""
    zone: str = "UTC"
    grace: float = 3_600.0
    time_limit: float = 1_800.0
    failures_to_open: int = 1
    successes_to_close: int = 1
    manual_resume: bool = False
    ping_key: str = ""
    owner: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estate:
    source: Source
    index: Index
    kafka: Kafka
    check: Check = Check()
    throttle: Throttle = Throttle()
    records: tuple[RecordSource, ...] = ()
    pipeline: Pipeline = Pipeline()
    scheduled_jobs: tuple[ScheduledJob, ...] = ()
    tracked_tasks: tuple[TrackedSource, ...] = ()
    monitors: tuple[Monitor, ...] = ()
