"""Values of two stores: the same meaning agrees whatever the types, another meaning never does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.engine.values import agree, to_json

ID = UUID("6f1ed002-ab5d-4f9c-9d3e-0f5a1b2c3d4e")
NOON = datetime(2026, 3, 8, 12, 0, 0, 5, tzinfo=UTC)


class Status(Enum):
    OPEN = "open"


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.uuids(),
    st.binary(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.datetimes(),
    st.datetimes(timezones=offsets),
)
stored_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)


@given(stored_values)
def test_a_value_agrees_with_its_own_json(value: object) -> None:
    text = json.dumps(to_json(value), allow_nan=False)
    assert agree(value, json.loads(text))
    assert agree(json.loads(text), value)


@given(stored_values)
def test_a_value_agrees_with_itself(value: object) -> None:
    assert agree(value, value)


@given(stored_values, stored_values)
def test_agreement_is_symmetric(one: object, other: object) -> None:
    assert agree(one, other) == agree(other, one)


SAME_KIND = [
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.text(),
    st.uuids(),
    st.binary(),
    st.dates(),
    st.timedeltas(),
    st.datetimes(timezones=offsets),
]


@given(st.one_of(*(st.tuples(kind, kind) for kind in SAME_KIND)))
def test_different_values_of_one_kind_do_not_agree(pair: tuple[Any, Any]) -> None:
    one, other = pair
    assert agree(one, other) == (one == other)
    assert agree(one, json.loads(json.dumps(to_json(other)))) == (one == other)


@pytest.mark.parametrize(
    ("source", "index"),
    [
        (ID, str(ID)),
        (ID, str(ID).upper()),
        (ID, ID.hex),
        (NOON, "2026-03-08T12:00:00.000005Z"),
        (NOON, "2026-03-08T07:00:00.000005-05:00"),
        (NOON, "2026-03-08 12:00:00.000005+00"),
        (NOON, NOON.astimezone(timezone(timedelta(hours=9)))),
        (NOON.replace(tzinfo=None), NOON),
        (Decimal("1.10"), "1.1"),
        (Decimal("0.1"), 0.1),
        (Decimal(3), 3),
        (12, "12"),
        (date(2026, 3, 8), "2026-03-08"),
        (time(9, 30), "09:30"),
        (True, True),
        (None, None),
        (Status.OPEN, "open"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        ((1, 2), [1, 2]),
        (b"\x00\xff", "00ff"),
        (b"\x00\xff", "\\x00FF"),
        (timedelta(seconds=90), "90"),
        ("infinity", "infinity"),
    ],
)
def test_the_same_meaning_in_other_types(source: object, index: object) -> None:
    assert agree(source, index)
    assert agree(index, source)


@pytest.mark.parametrize(
    ("source", "index"),
    [
        (None, ""),
        (None, 0),
        (None, False),
        (True, 1),
        (True, "true"),
        (False, 0),
        ("7", "07"),
        (7, "007"),
        ("a", "A"),
        ("é", "e\u0301"),
        (NOON, "2026-03-08T12:00:00Z"),
        (NOON, "2026-03-08T12:00:00.000005+01:00"),
        (NOON, "2026-03-08"),
        (datetime(2026, 3, 8, tzinfo=UTC), date(2026, 3, 8)),
        (Decimal("0.10000001"), 0.1),
        (ID, "6f1ed002-ab5d-4f9c-9d3e-0f5a1b2c3d4f"),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        (2**53 + 1, float(2**53)),
    ],
)
def test_another_meaning(source: object, index: object) -> None:
    assert not agree(source, index)
    assert not agree(index, source)


def test_the_canonical_form() -> None:
    value = {
        "id": ID,
        "at": NOON.astimezone(timezone(timedelta(hours=2))),
        "sum": Decimal("1.50"),
        "raw": b"\x0f",
        "on": True,
    }
    assert to_json(value) == {
        "id": str(ID),
        "at": "2026-03-08T12:00:00.000005+00:00",
        "sum": "1.50",
        "raw": "0f",
        "on": True,
    }
