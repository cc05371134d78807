"""A task as it is written: in drift rows, and in messages."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sync.engine.rows import Row, State
from sync.engine.values import to_json

dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""JSON as messages have it. Raises ValueError for a float that JSON cannot write."""


def state_of(row: Row, names: Sequence[str]) -> State:
    """The row written, its values under `names`, in the order of `Row.values`. Raises ValueError where the numbers of
    names and values differ."""
    fields = [f"{dumps(name)}:{dumps(to_json(value))}" for name, value in zip(names, row.values, strict=True)]
    moment = None if row.updated_at is None else str(to_json(row.updated_at))
    return State(",".join(fields), dumps(to_json(row.organization)), row.version, moment, row.deleted)
