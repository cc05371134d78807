"""Lists by keyset: a page, and the cursor of the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from django.db.models import Model, QuerySet
from ninja import Field, Query, Schema

from opsconsole.keyset import DEFAULT_SIZE, LARGEST_SIZE, LONGEST_CURSOR, KeysetPage, keyset_page

T = TypeVar("T")
M = TypeVar("M", bound=Model)


class Paging(Schema):
    """Where in the list, and how much of it."""

    cursor: str = Field(
        "", max_length=LONGEST_CURSOR, description="The `next` (or `previous`) of the page before; empty for the first."
    )
    size: int = Field(DEFAULT_SIZE, ge=1, le=LARGEST_SIZE, description="The most rows of a page.")


PagingQuery = Annotated[Paging, Query()]


class Page(Schema, Generic[T]):
    """One page; `next` and `previous` are null where there is no such page."""

    items: list[T] = Field(alias="rows")
    next: str | None
    previous: str | None


def page(rows: QuerySet[M], ordering: Sequence[str], paging: Paging) -> KeysetPage[M]:
    """One query of a page's rows. Raises UsageError for a cursor that is none of this list."""
    return keyset_page(rows, ordering, cursor=paging.cursor, size=paging.size)
