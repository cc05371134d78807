"""The first start: the company is made and loses its messages. Every later start finds what the first one left."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from opsconsole.demo.addresses import ServerAddresses, write_private
from opsconsole.demo.captures import ensure_captures
from opsconsole.demo.company import Size, create_schema, drop_schema, populate
from opsconsole.demo.gap import Gap, make_gap
from opsconsole.demo.uploads import ensure_uploads
from opsconsole.errors import UnavailableError, UsageError

NOTE = "gap.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """The company to make and how many of its tasks lose their message."""

    size: Size = field(default_factory=Size)
    gap: int = 2_000
    seed: int = 2026


def found_company(folder: Path, addresses: ServerAddresses, plan: Plan, say: Callable[[str], None]) -> Gap:
    """Make the company and its gap, on the first start only. What an earlier, cut-short start left is made anew."""
    note = folder / NOTE
    source, index = addresses.source_owner_url, addresses.index_owner_url
    if not note.exists():
        say(f"Making the company: {plan.size.organizations:,} organizations, {plan.size.tasks:,} tasks ...")
        try:
            _clear(addresses)
            create_schema(source, index)
            populate(source, index, seed=plan.seed, size=plan.size)
            gap = make_gap(source, seed=plan.seed, size=plan.gap)
        except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
            raise UnavailableError(f"The company's databases cannot be written: {str(error).strip()}") from error
        write_private(note, json.dumps(describe_gap(gap)))
    try:
        ensure_uploads(source, seed=plan.seed)
        ensure_captures(source, seed=plan.seed)
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
        raise UnavailableError(f"The company's uploads and captures cannot be written: {str(error).strip()}") from error
    return read_gap(json.loads(note.read_text()))


def _clear(addresses: ServerAddresses) -> None:
    """Empty the embedded databases. Somebody else's is never emptied: tables in it are a reason to stop."""
    for side, url in (("SOURCE", addresses.source_owner_url), ("INDEX", addresses.index_owner_url)):
        if f"{side}_OWNER_DATABASE_URL" in addresses.given and _has_tables(url):
            raise UsageError(
                f"{side}_OWNER_DATABASE_URL names a database that already has a table of the demonstration's names "
                f"(organizations, tasks, tombstones, uploaded_files, captures), which it will not touch: "
                "give an empty database."
            )
    drop_schema(addresses.source_owner_url, addresses.index_owner_url)


def _has_tables(url: str) -> bool:
    found = (
        "SELECT coalesce(to_regclass('organizations'), to_regclass('tasks'), to_regclass('tombstones'),"
        " to_regclass('uploaded_files'), to_regclass('captures')) IS NOT NULL"
    )
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(found).fetchone()
    return bool(row and row[0])


def quiet_organization(source_owner_url: str, gap: Gap) -> UUID:
    """The smallest organization that the gap has not hit: one to be looked at again and again, in nobody's way."""
    smallest = (
        "SELECT o.id FROM organizations o LEFT JOIN tasks t ON t.organization_id = o.id"
        " WHERE o.id <> ALL(%s) GROUP BY o.id ORDER BY count(t.id), o.id LIMIT 1"
    )
    with psycopg.connect(source_owner_url, connect_timeout=5) as connection:
        row = connection.execute(smallest, [list(gap.organizations)]).fetchone()
    return row[0] if row else gap.organizations[0]


def describe_gap(gap: Gap) -> dict[str, object]:
    """For JSON: `from` and `to` (ISO 8601, UTC), `lost` tasks and the ids of the `organizations` hit."""
    return {
        "from": gap.window_from.isoformat(),
        "to": gap.window_to.isoformat(),
        "lost": gap.lost,
        "organizations": [str(organization) for organization in gap.organizations],
    }


def read_gap(note: dict[str, Any]) -> Gap:
    """The gap that `describe_gap` wrote down."""
    ends = [datetime.fromisoformat(note[end]) for end in ("from", "to")]
    return Gap(ends[0], ends[1], int(note["lost"]), tuple(UUID(text) for text in note["organizations"]))
