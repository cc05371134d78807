"""Keys: what is read as one, what is refused, and that the order is the stores' order."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.keys import BadKeyError, Key, KeyKind, parse_key, restore_key

ONE = UUID("6f1d2c3b-4a59-4e68-9777-86a5b4c3d2e1")


@pytest.mark.parametrize("text", [str(ONE), ONE.hex, str(ONE).upper(), f"  {ONE}\n"])
def test_uuids(text: str) -> None:
    assert parse_key(KeyKind.UUID, text) == ONE


@pytest.mark.parametrize(
    "text",
    ["", "x", str(ONE)[:-1], f"{{{ONE}}}", f"urn:uuid:{ONE}", "6f1d2c3b4a59-4e68-9777-86a5b4c3-d2e1", "1" * 31 + "g"],
)
def test_no_uuids(text: str) -> None:
    with pytest.raises(BadKeyError, match="is no UUID"):
        parse_key(KeyKind.UUID, text)


@pytest.mark.parametrize(
    ("text", "key"), [("7", 7), (" -7 ", -7), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63))]
)
def test_integers(text: str, key: int) -> None:
    assert parse_key(KeyKind.INTEGER, text) == key


@pytest.mark.parametrize("text", ["", "-", "+7", "7.0", "1_000", "٣", "²", str(2**63), "9" * 5_000, "0x10"])
def test_no_integers(text: str) -> None:
    with pytest.raises(BadKeyError, match="is no integer id"):
        parse_key(KeyKind.INTEGER, text)


@pytest.mark.parametrize("text", ["a", "Zürich/7", "中" * 200])
def test_texts(text: str) -> None:
    assert parse_key(KeyKind.TEXT, text) == text


@pytest.mark.parametrize("text", ["", "  ", "x" * 201, "a\nb", "a\x00b", "a\u202eb"])
def test_no_texts(text: str) -> None:
    with pytest.raises(BadKeyError):
        parse_key(KeyKind.TEXT, text)


@given(st.one_of(st.uuids(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=200)))
def test_what_was_written_down_is_restored(key: Key) -> None:
    kind = {UUID: KeyKind.UUID, int: KeyKind.INTEGER, str: KeyKind.TEXT}[type(key)]
    assert restore_key(kind, str(key)) == key


def test_restored_text_keeps_its_blanks() -> None:
    assert restore_key(KeyKind.TEXT, " a ") == " a "


@given(st.lists(st.uuids()))
def test_uuids_sort_by_their_bytes(keys: list[UUID]) -> None:
    assert sorted(keys) == sorted(keys, key=lambda key: key.bytes)
    assert sorted(keys) == sorted(keys, key=str)


def test_uuids_of_any_version_are_keys() -> None:
    assert parse_key(KeyKind.UUID, str(UUID(int=0))) == UUID(int=0)
    assert parse_key(KeyKind.UUID, str(uuid4())).version == 4  # type: ignore[union-attr]
