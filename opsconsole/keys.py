"""Keys of organizations and tasks: UUID, integer or text, ordered alike in Python and in every store.

UUIDs compare by their 16 bytes, integers by value, text by code point, which for UTF-8 is the order of its bytes:
what PostgreSQL calls `COLLATE "C"`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

Key: TypeAlias = UUID | int | str

BIGINT = range(-(2**63), 2**63)
LONGEST_TEXT_KEY = 200
MOST_DIGITS = 19


class KeyKind(StrEnum):
    UUID = "uuid"
    INTEGER = "integer"
    TEXT = "text"


# A key that no task or organization has: to ask for it proves that asking works, at no cost.
NO_KEY: dict[KeyKind, Key] = {KeyKind.UUID: UUID(int=0), KeyKind.INTEGER: 0, KeyKind.TEXT: "-"}


class BadKeyError(ValueError):
    """A text that is no key of the wanted kind; the message says why."""


def parse_key(kind: KeyKind, text: str) -> Key:
    """`text` as a key of `kind`. Raises BadKeyError. Blanks around it are forgiven, nothing else is."""
    text = text.strip()
    match kind:
        case KeyKind.UUID:
            return _parse_uuid(text)
        case KeyKind.INTEGER:
            return _parse_integer(text)
        case KeyKind.TEXT:
            return _parse_text(text)


def _parse_uuid(text: str) -> UUID:
    # UUID() also takes braces, "urn:" and dashes anywhere; ids are written in one of two ways only.
    if len(text) in (32, 36) and text.count("-") in (0, 4):
        try:
            value = UUID(text)
        except ValueError:
            pass
        else:
            if text.lower() in (str(value), value.hex):
                return value
    raise BadKeyError(f"{text!r} is no UUID (32 hexadecimal digits, with or without dashes)")


def _parse_integer(text: str) -> int:
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS and int(text) in BIGINT:
        return int(text)
    raise BadKeyError(f"{text!r} is no integer id (whole numbers of 64 bits)")


def _parse_text(text: str) -> str:
    if not text or len(text) > LONGEST_TEXT_KEY:
        raise BadKeyError(f"an id of {len(text)} characters (allowed are 1 to {LONGEST_TEXT_KEY})")
    if not text.isprintable():
        raise BadKeyError(f"{text!r} has control characters, which no id may have")
    return text


def restore_key(kind: KeyKind, text: str) -> Key:
    """A key that the console itself wrote down with `str(key)`. No forgiveness: blanks are part of a text key."""
    match kind:
        case KeyKind.UUID:
            return UUID(text)
        case KeyKind.INTEGER:
            return int(text)
        case KeyKind.TEXT:
            return text
