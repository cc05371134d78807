"""`[[records]]` and `[[records.statuses]]`: the record sources of an estate and their status guides."""

from __future__ import annotations

import re
from collections import Counter

from opsconsole.estate.fields import Fields
from opsconsole.estate.model import RecordSource, RecordStatus, Source
from opsconsole.keys import KeyKind
from opsconsole.tones import Tone

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
LONGEST_NAME = 60
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
OLDEST = 3_650 * DAY


def record_sources(top: Fields, source: Source) -> tuple[RecordSource, ...]:
    """All record sources, in the order of the file. One without a URL of its own is in the source's database."""
    tables = top.tables("records")
    found = tuple(_record_source(fields, source) for fields in tables)
    names = Counter(one.name for one in found if one.name)
    for fields, one in zip(tables, found, strict=True):
        if names[one.name] > 1:
            fields.mistake("name", f"is {one.name!r}, which is used more than once; each source has a name of its own.")
    return found


def _record_source(fields: Fields, source: Source) -> RecordSource:
    name = _name(fields)
    prefix = fields.plain("status_prefix")
    found = RecordSource(
        name=name,
        label=fields.text("label", name.replace("-", " ").capitalize() or "Records"),
        url=fields.postgres_url(required=False) or source.url,
        table=fields.table_name("table"),
        id=fields.text("id", "id", needed="a column name"),
        id_type=fields.choice("id_type", KeyKind, KeyKind.UUID) or KeyKind.UUID,
        status=fields.text("status", "status", needed="a column name"),
        created_at=fields.text("created_at", "created_at", needed="a column name"),
        updated_at=fields.text("updated_at", "", needed="a column name"),
        organization=fields.text("organization", "", needed="a column name"),
        title=fields.text("title", "", needed="a column name"),
        link=fields.link(),
        link_column=fields.text("link_column", "", needed="a column name"),
        where=fields.condition("where"),
        hidden=fields.words("hidden"),
        older_than=fields.duration("older_than", 15 * MINUTE, maximum=OLDEST),
        younger_than=fields.duration("younger_than", 5 * HOUR, minimum=MINUTE, maximum=OLDEST),
        stuck_within=fields.duration("stuck_within", DAY, minimum=MINUTE, maximum=OLDEST),
        snapshot_every=fields.duration("snapshot_every", 5 * MINUTE, minimum=10, maximum=DAY),
        statement_timeout=fields.duration("statement_timeout", 10.0, minimum=0.1, maximum=300),
        connect_timeout=fields.duration("connect_timeout", 5.0, minimum=1, maximum=60),
        status_prefix=prefix,
        statuses=_statuses(fields, prefix),
    )
    if found.older_than >= found.younger_than:
        fields.mistake(
            "older_than",
            f"is {found.older_than:g} s, which leaves nothing younger than `younger_than` ({found.younger_than:g} s).",
        )
    fields.end()
    return found


def _name(fields: Fields) -> str:
    name = fields.text("name", needed="a name for addresses")
    if name and (not NAME.fullmatch(name) or len(name) > LONGEST_NAME):
        fields.mistake(
            "name", f"is {name[:80]!r}; allowed are lower-case letters and digits with single dashes, at most 60."
        )
    return name


def _statuses(source: Fields, prefix: str) -> tuple[RecordStatus, ...]:
    """The guide. Its order is the order of a record's life."""
    tables = source.tables("statuses")
    found = tuple(_status(fields, prefix) for fields in tables)
    seen: set[str] = set()
    for fields, one in zip(tables, found, strict=True):
        if one.status and one.status in seen:
            fields.mistake("status", f"is {one.status!r}, which the guide has already; each status is allowed once.")
        seen.add(one.status)
    return found


def _status(fields: Fields, prefix: str) -> RecordStatus:
    status = fields.text("status", needed="a status as it is in the data")
    found = RecordStatus(
        status=status,
        label=fields.text("label", readable(status, prefix)),
        tone=fields.choice("tone", Tone, Tone.WAITING) or Tone.WAITING,
        meaning=fields.plain("meaning"),
        customer=fields.plain("customer"),
        action=fields.plain("action"),
        link=_address(fields),
        limit=fields.duration("limit", 0.0, maximum=OLDEST) or None,
    )
    fields.end()
    return found


def readable(status: str, prefix: str) -> str:
    """A status as a label: `status.generic.needs_processing` is "needs processing" with the prefix taken off."""
    return status.removeprefix(prefix).replace("_", " ") or status


def _address(fields: Fields) -> str:
    link = fields.text("link", "", needed="an address")
    if link and not link.startswith(("http://", "https://")):
        fields.mistake("link", f"is {link!r}; allowed is an http or https address.")
    return link
