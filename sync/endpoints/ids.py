"""Ids in any shape into any other, looked up in the source."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Field, Schema

from opsconsole.access import Scoping
from opsconsole.api.routes import Routes
from sync.access import VIEW
from sync.endpoints.common import Body
from sync.operations.ids import Output, Subject
from sync.operations.ids.conversion import convert

routes = Routes("Ids", "ids", scoping=Scoping.NARROWED)


class Ids(Body):
    """`column`: the column of a CSV, or the key of JSON objects, that has the ids; needed only where it is in doubt."""

    text: str = Field(min_length=1, examples=["s-7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d, s-0b51…"])
    of: Subject = Subject.ORGANIZATIONS
    to: Output = Output.BARE
    column: str = Field("", max_length=200)
    look_up: bool = Field(True, description="Whether the source is asked which of them it has.")


class UnknownId(Schema):
    line: int
    id: int | str


class MalformedId(Schema):
    line: int
    text: str
    why: str


class Converted(Schema):
    """`ids` are the good ones, bare; `list` has them as `to` says. `malformed` has the first 1,000."""

    of: Subject
    read_as: str
    column: str | None
    looked_up: bool
    valid: int
    duplicates: int
    unknown: list[UnknownId]
    malformed_total: int
    malformed: list[MalformedId]
    ids: list[int | str]
    to: Output
    list: str


@routes.act("convert", VIEW, Converted, summary="Read ids in any shape, and give them back in another")
def convert_ids(request: HttpRequest, body: Ids) -> Any:
    """A POST since a list is too long for an address; it changes nothing."""
    return convert(body.text, body.of, to=body.to, column=body.column, ask_source=body.look_up).as_json()
