"""Pages of stuck records: the source's own rows, by creation and key, with the place in the address."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from monitoring.records.stuck import Place, StuckQuestion, StuckRecord, StuckRecords
from opsconsole.errors import UsageError
from opsconsole.estate.model import RecordSource
from opsconsole.keys import BadKeyError, parse_key, restore_key
from opsconsole.keyset import LONGEST_CURSOR, KeysetPage


def read_page(records: StuckRecords, question: StuckQuestion, cursor: str, size: int) -> KeysetPage[Any]:
    """The page at `cursor`. One query of `size + 1` rows. Raises UsageError for a cursor that cannot be read."""
    place = decode(cursor, records.source) if cursor else None
    backward = place is not None and place.backward
    found = records.page(question, place, size + 1)
    more = len(found) > size
    rows = found[-size:] if backward else found[:size]
    has_next, has_previous = (True, more) if backward else (more, place is not None)
    return KeysetPage(
        rows=tuple(rows),
        size=size,
        next=encode(rows[-1], backward=False) if rows and has_next else None,
        previous=encode(rows[0], backward=True) if rows and has_previous else None,
    )


def encode(record: StuckRecord, *, backward: bool) -> str:
    content = json.dumps([record.created.isoformat(), str(record.key), int(backward)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(cursor: str, source: RecordSource) -> Place:
    """Raises UsageError: it comes back as a stranger."""
    try:
        if len(cursor) > LONGEST_CURSOR:
            raise ValueError("too long")
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        created_text, key_text, backward = json.loads(content)
        created = datetime.fromisoformat(created_text)
        if created.tzinfo is None or backward not in (0, 1):
            raise ValueError("no place")
        parse_key(source.id_type, key_text)
        return Place(created, restore_key(source.id_type, key_text), bool(backward))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error, BadKeyError) as error:
        raise UsageError(
            "The place in the list that the address names (cursor=…) cannot be read; start again at the first page."
        ) from error
