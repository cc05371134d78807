"""The message of one task's state, as `docs/messages.md` describes it to consumers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeAlias

from sync.engine.rows import DriftKind, Finding, Key, State
from sync.engine.values import to_json
from sync.engine.written import dumps

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Message(NamedTuple):
    """One Kafka record: `value` is JSON in UTF-8, or None for a tombstone. `key` is the task's, not yet bytes."""

    key: Key
    value: bytes | None
    headers: Headers


class MessageWriter:
    """Makes the messages of one job. `number_keys`: whether tasks' keys are whole numbers. `now` gives the present UTC
    time."""

    def __init__(self, *, job_id: str, trace_id: str, number_keys: bool, now: Callable[[], datetime]) -> None:
        self._number_keys = number_keys
        self._now = now
        self._always = (("job_id", job_id.encode()), ("trace_id", trace_id.encode()))

    def message(self, finding: Finding) -> Message:
        """The message that makes the index agree with the source's present state of the task.

        An orphan gives a tombstone. One that is gone from the source altogether has no version there any more: its
        tombstone is one above the index's, so that no late copy of the last message brings it back. Without a time of
        update, the present stands for it.
        """
        source, task_id = finding.source, finding.task_id
        version = source.version if source else _above(finding.index)
        moment = (source.updated_at if source else None) or str(to_json(self._now()))
        headers: Headers = (("updated_at", moment.encode()), *self._always)
        if version is not None:  # a header whose value is not known is left out
            headers = (("version", b"%d" % version), *headers)
        if source is None or finding.kind is DriftKind.ORPHAN:
            return Message(task_id, None, headers)
        key = task_id if self._number_keys else dumps(task_id)
        text = (
            f'{{"id":{key},"organization_id":{source.organization},"version":{"null" if version is None else version}'
            f',"updated_at":"{moment}","fields":{{{source.fields}}}}}'
        )
        return Message(task_id, text.encode(), headers)


def _above(index: State | None) -> int | None:
    return None if index is None or index.version is None else index.version + 1
