"""Affected organizations, streamed as they are found, a line of JSON for each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Generic, Literal, TypeVar

from django.http import HttpRequest
from django.utils import timezone
from ninja import Field, Query, Schema
from ninja.streaming import JSONL

from opsconsole import audit
from opsconsole.access import Scoping
from opsconsole.api.filters import FilterError
from opsconsole.api.routes import Routes, actor_of
from opsconsole.errors import ConsoleError
from sync.access import QUERY
from sync.affected_form import LARGEST_MINIMUM, AffectedForm, Exclusion, Preset
from sync.operations.affected import AffectedQuery, affected_organizations
from sync.source import AffectedOrganization

T = TypeVar("T")
routes = Routes("Affected organizations", "affected-organizations", scoping=Scoping.NARROWED)


class NDJSON(JSONL, Generic[T]):  # type: ignore[type-arg]  # JSONL[T] makes no class
    media_type = "application/x-ndjson"


class Affected(Schema):
    """The parameters of the page's own address. Give `window`, or `from` and `to`."""

    window: Preset | None = None
    start: str | None = Field(None, alias="from", max_length=40, examples=["2026-11-20 02:00:00"])
    end: str | None = Field(None, alias="to", max_length=40, examples=["2026-11-20 03:00:00"])
    status: list[str] = Field(default_factory=list, max_length=50)
    minimum: int | None = Field(None, alias="min", ge=1, le=LARGEST_MINIMUM)
    exclude: list[Exclusion] = Field(default_factory=list, max_length=2)
    checked_since: str | None = Field(None, max_length=40)
    without: str | None = Field(None, max_length=5_000, description="Ids to leave out, in any shape.")


class Found(Schema):
    """One organization with tasks updated in the window."""

    organization: str
    name: str
    updated: int
    completed: int
    first_update: datetime
    last_update: datetime


class End(Schema):
    """The last line. A stream without it was cut off; `problem` says why it is not all."""

    end: Literal[True]
    organizations: int
    problem: str | None


class Line(Schema):
    """Either an organization or the end; the other is null."""

    found: Found | None = None
    done: End | None = None


@routes.read("", QUERY, NDJSON[Line], summary="Organizations with tasks updated in a window, as a stream")
def stream_affected(request: HttpRequest, asked: Annotated[Affected, Query()]) -> Iterator[Any]:
    """By id, in one statement at the source. What is wrong before the first organization is an error; later, it is in
    the last line, `done`."""
    query = _query(asked)
    rows = affected_organizations(query)
    first = next(rows, None)
    audit.exported(actor_of(request), "affected", window=str(query.window))
    return _lines(rows if first is None else chain([first], rows))


def _query(asked: Affected) -> AffectedQuery:
    values = asked.model_dump(by_alias=True, exclude_none=True, mode="json")
    form = AffectedForm.of({name: _texts(value) for name, value in values.items()})
    if not form.is_valid():
        raise FilterError(form)
    return form.query(timezone.now())


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _lines(rows: Iterator[AffectedOrganization]) -> Iterator[dict[str, Any]]:
    count, problem = 0, None
    try:
        for row in rows:
            yield {"found": _found(row)}
            count += 1
    except ConsoleError as error:
        problem = str(error)
    yield {"done": {"end": True, "organizations": count, "problem": problem}}


def _found(row: AffectedOrganization) -> dict[str, Any]:
    return {
        "organization": str(row.key),
        "name": row.name,
        "updated": row.updated,
        "completed": row.completed,
        "first_update": row.first_update,
        "last_update": row.last_update,
    }
