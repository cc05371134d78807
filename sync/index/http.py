"""The index behind an HTTP endpoint that answers with JSON (`docs/http-index.md`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import monotonic, sleep
from urllib.parse import quote, urlsplit

import httpx

from opsconsole.closing import Closing
from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import Estate
from opsconsole.keys import NO_KEY, BadKeyError, Key, KeyKind, parse_key
from sync.engine.rows import Row
from sync.engine.values import agree
from sync.index.retry import request_with_retries
from sync.taskrows import microseconds

LONGEST_URL = 6_000
MOST_IDS = 500
BODY_BYTES = 1024 * 1024
BODY_BYTES_PER_ROW = 16 * 1024


class HttpIndex(Closing):
    """Reads the endpoint with one kept connection. `pause` waits between tries (seconds); tests replace it."""

    def __init__(self, estate: Estate, *, pause: Callable[[float], None] = sleep) -> None:
        index, tasks = estate.index, estate.source.tasks
        self._index = index
        self._pause = pause
        self._id_kind = tasks.id_type
        self._organization_kind = estate.source.organizations.id_type
        self._status = tasks.compare.index(tasks.status) if tasks.status in tasks.compare else None
        self._names = tuple(index.fields.get(name, name) for name in tasks.compare)
        self._version_from_updated_at = not tasks.version
        headers = {"Accept": "application/json", "User-Agent": "opsconsole"}
        if index.token:
            headers["Authorization"] = f"Bearer {index.token}"
        timeout = httpx.Timeout(index.timeout, connect=index.connect_timeout)
        # Proxies and .netrc of the machine are not part of the estate.
        self._client = httpx.Client(headers=headers, timeout=timeout, trust_env=False)

    def close(self) -> None:
        self._client.close()

    @property
    def _place(self) -> str:
        """The address without user, password or query."""
        parts = urlsplit(self._index.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    def ping(self) -> str:
        started = monotonic()
        self.by_keys([NO_KEY[self._id_kind]])
        return f"{self._place} answers in {(monotonic() - started) * 1000:.0f} ms"

    def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
        """At most `limit` tasks of `organization` with key > `after`, in key order. One request."""
        query = {"organization": str(organization), "limit": str(limit)}
        if after is not None:
            query["after"] = str(after)
        rows = self._fetch(query, limit)
        self._check_page(rows, organization, after)
        return rows

    def search(self, status: str, limit: int) -> Sequence[Row]:
        """The first tasks, by key, that the index has in `status`: at most `limit`. One request."""
        rows = self._fetch({"status": status, "limit": str(limit)}, limit)
        self._check_order(rows, None)
        if self._status is not None:
            for row in rows:
                if not agree(row.values[self._status], status):
                    raise self._wrong(
                        f"answered with task {row.key} in status {row.values[self._status]!r} when {status!r} was asked"
                    )
        return rows

    def _check_page(self, rows: Sequence[Row], organization: Key, after: Key | None) -> None:
        """A page in another order would make the walk skip tasks silently."""
        for row in rows:
            if row.organization != organization:
                raise self._wrong(
                    f"answered with task {row.key} of organization {row.organization} when {organization} was asked"
                )
        self._check_order(rows, after)

    def _check_order(self, rows: Sequence[Row], after: Key | None) -> None:
        previous = after
        for row in rows:
            if previous is not None and not _before(previous, row.key):
                raise self._wrong(f"is not ordered by id: task {row.key} came after {previous}")
            previous = row.key

    def by_keys(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The tasks with these keys. One request for each 500 keys or 6,000 characters of address."""
        found: dict[Key, Row] = {}
        for batch in self._batches(keys):
            wanted = set(batch)
            for row in self._fetch({"ids": ",".join(_written(key) for key in batch)}, len(batch)):
                if row.key not in wanted:
                    raise self._wrong(f"answered with task {row.key}, which was not asked")
                found[row.key] = row
        return found

    def _batches(self, keys: Sequence[Key]) -> Iterator[list[Key]]:
        room = LONGEST_URL - len(self._index.url) - len("?ids=")
        batch: list[Key] = []
        used = 0
        for key in dict.fromkeys(keys):
            length = len(quote(_written(key), safe="")) + len("%2C")
            if batch and (used + length > room or len(batch) == MOST_IDS):
                yield batch
                batch, used = [], 0
            batch.append(key)
            used += length
        if batch:
            yield batch

    def _fetch(self, query: dict[str, str], limit: int) -> list[Row]:
        most_bytes = BODY_BYTES + limit * BODY_BYTES_PER_ROW
        request = self._client.build_request("GET", self._index.url, params=query)
        body = request_with_retries(
            self._client,
            request,
            place=self._place,
            most_bytes=most_bytes,
            deadline=self._index.timeout,
            pause=self._pause,
        )
        tasks = self._tasks(body)
        if len(tasks) > limit:
            raise self._wrong(f"answered with {len(tasks)} tasks when at most {limit} were asked")
        return [self._row(task) for task in tasks]

    def _wrong(self, what: str) -> OutsideDataError:
        return OutsideDataError(f"The index ({self._place}) {what}.")

    def _tasks(self, body: bytes) -> list[object]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            raise self._wrong("did not answer with JSON") from None
        tasks = answer.get("tasks") if isinstance(answer, dict) else None
        if not isinstance(tasks, list):
            raise self._wrong('answered with JSON that is no object with a list "tasks"')
        return tasks

    def _row(self, task: object) -> Row:
        if not isinstance(task, dict):
            raise self._wrong('has an entry in "tasks" that is no object')
        key = self._key(task, self._index.id, self._id_kind)
        missing = [name for name in self._names if name not in task]
        if missing:
            raise self._wrong(f"left out field {missing[0]!r} of task {key}")
        updated_at = self._moment(task, key)
        version = self._version(task, key)
        if version is None and updated_at is not None and self._version_from_updated_at:
            version = microseconds(updated_at)
        organization = self._key(task, self._index.organization, self._organization_kind)
        return Row(key, organization, tuple(task[name] for name in self._names), version, updated_at)

    def _key(self, task: dict[str, object], name: str, kind: KeyKind) -> Key:
        value = task.get(name)
        if value is None:
            raise self._wrong(f"has a task without {name!r}")
        if kind is KeyKind.TEXT and isinstance(value, str):
            return value
        try:
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return parse_key(kind, str(value))
        except BadKeyError:
            pass
        raise self._wrong(f"has a task whose {name!r} is {value!r}, which is no key of the kind {kind.value}")

    def _version(self, task: dict[str, object], key: Key) -> int | None:
        value = task.get(self._index.version) if self._index.version else None
        if value is None:
            return None
        try:
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return int(value)
        except ValueError:
            pass
        raise self._wrong(f"has task {key} with the version {value!r}, which is no whole number")

    def _moment(self, task: dict[str, object], key: Key) -> datetime | None:
        value = task.get(self._index.updated_at) if self._index.updated_at else None
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None:
            raise self._wrong(f"has task {key} updated at {value!r}, which is no ISO 8601 time")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _written(key: Key) -> str:
    """A key in the comma-separated list `ids`: its own commas and percent signs are percent-encoded."""
    return str(key).replace("%", "%25").replace(",", "%2C")


def _before(one: Key, other: Key) -> bool:
    """Keys of one side are of one kind; mypy cannot know."""
    return one < other  # type: ignore[operator]
