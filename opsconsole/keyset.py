"""Keyset pagination: the last page costs what the first one does, and rows arriving meanwhile shift nothing.

A page is bounded by the values of its last row in the ordering, carried in the address. They come back as strangers:
each is parsed by the very field it belongs to, and what does not fit is a UsageError.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import HttpRequest

from opsconsole.errors import UsageError

M = TypeVar("M", bound=Model)

DEFAULT_SIZE = 50
LARGEST_SIZE = 200
LONGEST_CURSOR = 2_000


@dataclass(frozen=True)
class KeysetPage(Generic[M]):
    """At most `size` rows; `next` and `previous` are cursors, None where there is no such page."""

    rows: tuple[M, ...]
    size: int
    next: str | None
    previous: str | None


@dataclass(frozen=True)
class CappedCount:
    """A count that stopped looking at its cap: `1,000+`."""

    value: int
    capped: bool

    def __str__(self) -> str:
        return f"{self.value:,}{'+' if self.capped else ''}"


@dataclass(frozen=True)
class Column:
    """One part of the ordering. Empty values come last whichever way it runs, so a nullable column needs an index
    that says `NULLS LAST` where it descends."""

    name: str
    field: Field[Any, Any]
    descending: bool
    nullable: bool

    def order(self, backward: bool) -> OrderBy:
        falls = self.descending is not backward
        if not self.nullable:
            return F(self.name).desc() if falls else F(self.name).asc()
        nulls = {"nulls_first": True} if backward else {"nulls_last": True}
        return F(self.name).desc(**nulls) if falls else F(self.name).asc(**nulls)

    def equal(self, value: object) -> Q:
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})

    def beyond(self, value: object, backward: bool) -> Q | None:
        """Rows strictly further on than `value` in this column; None where there cannot be any."""
        if value is None:
            return Q(**{f"{self.name}__isnull": False}) if backward else None
        further = Q(**{f"{self.name}__{self._direction(backward)}": value})
        return further | Q(**{f"{self.name}__isnull": True}) if self.nullable and not backward else further

    def bound(self, value: object, backward: bool) -> Q:
        """What the other conditions imply, said alone, so that the database can start inside the index."""
        if self.nullable:
            return Q()
        return Q(**{f"{self.name}__{self._direction(backward)}e": value})

    def _direction(self, backward: bool) -> str:
        return "lt" if self.descending is not backward else "gt"

    def write(self, value: Any) -> str | None:
        return None if value is None else value.isoformat() if isinstance(value, datetime) else str(value)

    def read(self, text: object) -> object:
        """Raises ValueError, ValidationError or TypeError for what is no value of this column."""
        if text is None and self.nullable:
            return None
        if not isinstance(text, str) or "\x00" in text:
            raise ValueError("a value of the cursor is no text")
        if self.field.get_internal_type() == "DateTimeField" and datetime.fromisoformat(text).tzinfo is None:
            raise ValueError("a time of the cursor has no zone")
        value = self.field.to_python(text)
        self.field.run_validators(value)
        return value


def page_of(request: HttpRequest, rows: QuerySet[M], ordering: Sequence[str]) -> KeysetPage[M]:
    """The page that `?cursor=` and `?size=` ask for. One query. Raises UsageError for either being wrong."""
    return keyset_page(rows, ordering, cursor=request.GET.get("cursor", ""), size=page_size(request.GET.get("size")))


def page_size(text: str | None) -> int:
    """Rows per page, bounded by LARGEST_SIZE. Raises UsageError."""
    if not text:
        return DEFAULT_SIZE
    short = len(text) <= len(str(LARGEST_SIZE))
    if not (short and text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_SIZE):
        raise UsageError(f"The page size {text[:20]!r} cannot be used; allowed are 1 to {LARGEST_SIZE}.")
    return int(text)


def keyset_page(
    rows: QuerySet[M], ordering: Sequence[str], *, cursor: str = "", size: int = DEFAULT_SIZE
) -> KeysetPage[M]:
    """The page of `rows` after (or before) `cursor`. One query, of `size + 1` rows.

    `ordering` names fields or annotations (`"-created_at", "-id"`) and must be unique over all of them together.
    Raises UsageError where the cursor is malformed or belongs to another ordering.
    """
    columns = tuple(column_of(rows, name) for name in ordering)
    backward, values = _decode(cursor, columns) if cursor else (False, None)
    if values is not None:
        rows = rows.filter(_further(columns, values, backward))
    found = list(rows.order_by(*(column.order(backward) for column in columns))[: size + 1])
    more, found = len(found) > size, found[:size]
    if backward:
        found.reverse()
    has_next = True if backward else more
    has_previous = more if backward else values is not None
    return KeysetPage(
        rows=tuple(found),
        size=size,
        next=cursor_at(columns, found[-1], backward=False) if found and has_next else None,
        previous=cursor_at(columns, found[0], backward=True) if found and has_previous else None,
    )


def keyset_pages(rows: QuerySet[M], ordering: Sequence[str], *, size: int) -> Iterator[tuple[M, ...]]:
    """All rows in that order, page after page: one query each, and nothing is held open between them."""
    cursor: str | None = ""
    while cursor is not None:
        page = keyset_page(rows, ordering, cursor=cursor, size=size)
        yield page.rows
        cursor = page.next


def capped_count(rows: QuerySet[Any], cap: int = 1_000) -> CappedCount:
    """How many rows, counted up to `cap` and no further. One query whose cost is bounded by the cap."""
    value = rows.order_by().values("pk")[: cap + 1].count()
    return CappedCount(min(value, cap), value > cap)


def column_of(rows: QuerySet[Any], name: str) -> Column:
    """`name` as in an ordering: a field or an annotation of `rows`, with a minus where it descends."""
    bare = name.removeprefix("-")
    annotation = rows.query.annotations.get(bare)
    if annotation is not None:
        return Column(bare, annotation.output_field, name != bare, nullable=True)
    field = rows.model._meta.get_field(bare)
    if not isinstance(field, Field):
        raise FieldDoesNotExist(f"{bare} is no column that rows can be ordered by")
    return Column(bare, field, name != bare, nullable=field.null)


def _further(columns: Sequence[Column], values: Sequence[object], backward: bool) -> Q:
    """Beyond in the first column; or equal there and beyond in the second; and so on."""
    condition, equal = Q(pk__in=[]), Q()
    for column, value in zip(columns, values, strict=True):
        beyond = column.beyond(value, backward)
        if beyond is not None:
            condition |= equal & beyond
        equal &= column.equal(value)
    return columns[0].bound(values[0], backward) & condition


def _signature(columns: Sequence[Column]) -> str:
    return ",".join(f"{'-' if column.descending else ''}{column.name}" for column in columns)


def cursor_at(columns: Sequence[Column], row: Model, *, backward: bool) -> str:
    """For the address of the page that begins after this row; backward: that ends before it."""
    values = [column.write(getattr(row, column.name)) for column in columns]
    content = json.dumps([_signature(columns), int(backward), values], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _decode(cursor: str, columns: Sequence[Column]) -> tuple[bool, tuple[object, ...]]:
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError("too long")
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        signature, backward, texts = json.loads(content)
        if signature != _signature(columns) or backward not in (0, 1) or not isinstance(texts, list):
            raise ValueError("made for another list")
        return bool(backward), tuple(column.read(text) for column, text in zip(columns, texts, strict=True))
    except (ValueError, TypeError, RecursionError, OverflowError, binascii.Error, ValidationError) as error:
        raise UsageError(
            "The place in the list that the address names (cursor=…) cannot be read; start again at the first page."
        ) from error
