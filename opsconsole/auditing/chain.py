"""Whether the audit log is whole: each entry's hash covers the entry and the hash before it.

The database chains entries when they are committed. Here the server only writes each entry as text; the hashes are made
again in Python, so that a function changed in the database cannot vouch for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connection

from opsconsole.models import AuditAnchor

FIRST_HASH = "0" * 64
ROWS_AT_ONCE = 5_000
# As `opsconsole_audit_hash` in the migrations has it: a change of either breaks every chain there is.
ROWS_SQL = """
    SELECT id, position, previous_hash, hash, jsonb_build_array(
        position, previous_hash, id, (extract(epoch FROM at) * 1000000)::bigint, actor, actor_user_id, token_id,
        door, address, elevation, action, subject, reason, ticket, trace_id, before, after, details)::text
    FROM opsconsole_auditentry WHERE position > %s ORDER BY position LIMIT %s
"""
# Only entries of transactions that are still open are not chained, and nobody else can see these.
LOOSE_SQL = "SELECT min(id) FROM opsconsole_auditentry WHERE position IS NULL"


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it stands: `text` is what its hash is made of."""

    number: int
    position: int
    previous_hash: str
    hash: str
    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain: the entry at `position`, and its hash. Kept elsewhere, it proves that nothing was cut off
    the end, or written anew."""

    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is empty for a whole chain, else a sentence that names the first entry that is wrong."""

    checked: int
    head: Head
    broken: str = ""


def follow(links: Iterable[Link], start: Head, expected: Head | None = None) -> Verdict:
    """Go along the chain from after `start`, and stop at the first entry that is wrong. Pure.

    `expected` is a head that was noted earlier; the chain has to go through it.
    """
    head, checked = start, 0
    met = expected is None or expected == start
    for link in links:
        if why := _wrong(link, head):
            return Verdict(checked, head, why)
        head, checked = Head(link.position, link.hash), checked + 1
        if expected is not None and expected.position == head.position:
            if expected != head:
                return Verdict(checked, head, f"Position {head.position:,} has another hash than was noted for it.")
            met = True
    if expected is not None and not met:
        where = "before the first entry that is kept" if expected.position <= start.position else "behind the last"
        return Verdict(checked, head, f"Position {expected.position:,}, which was noted, is {where}.")
    return Verdict(checked, head)


def _wrong(link: Link, head: Head) -> str:
    named = f"Entry {link.number} at position {link.position:,}"
    if link.position != head.position + 1:
        return f"{named} follows position {head.position:,}: entries between them are missing."
    if link.previous_hash != head.hash:
        return f"{named} does not follow from the entry before it: one of the two was replaced."
    if hashlib.sha256(link.text.encode()).hexdigest() != link.hash:
        return f"{named} was changed after it was written: its hash does not fit it."
    return ""


def verify(expected: Head | None = None) -> Verdict:
    """Check the whole audit log. Reads all of it, a few thousand rows at a time, in bounded memory."""
    start = anchor()
    verdict = follow(_links(start.position), start, expected)
    if verdict.broken:
        return verdict
    with connection.cursor() as cursor:
        cursor.execute(LOOSE_SQL)
        loose = cursor.fetchone()[0]
    if loose is not None:
        return Verdict(verdict.checked, verdict.head, f"Entry {loose} is not in the chain: it was put in around it.")
    return verdict


def anchor() -> Head:
    """What the first entry that is kept has to follow."""
    last = AuditAnchor.objects.order_by("-position").first()
    return Head(last.position, last.hash) if last else Head(0, FIRST_HASH)


def _links(position: int) -> Iterator[Link]:
    while True:
        with connection.cursor() as cursor:
            cursor.execute(ROWS_SQL, [position, ROWS_AT_ONCE])
            rows = cursor.fetchall()
        for row in rows:
            yield Link(*row)
        if len(rows) < ROWS_AT_ONCE:
            return
        position = rows[-1][1]
