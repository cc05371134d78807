"""Taking a ping: one statement, one round trip. What it means is worked out by the clock a moment later.

The statement takes a token of the address's rate limit (a burst of thirty, then ten a minute) and keeps the ping.
Beyond the limit only its kind and time are kept, on the monitor itself, so that a flood fills no
table and still counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.db import connection

from monitoring.schedules.models import BODY_BYTES, BURST, Monitor, PingKey
from monitoring.schedules.pings import PingKind

PER_MINUTE = 10
PERIOD_OF_MADE = timedelta(days=1)

_LEFT = f"LEAST({BURST}, m.tokens + EXTRACT(EPOCH FROM now() - m.tokens_at) * {PER_MINUTE} / 60.0)"
_TAKE = """
WITH taken AS (
    UPDATE schedules_monitor m SET
        tokens = CASE WHEN {left} >= 1 THEN {left} - 1 ELSE {left} END,
        tokens_at = now(),
        limited_kind = CASE WHEN {left} >= 1 THEN m.limited_kind ELSE %(kind)s END,
        limited_at = CASE WHEN {left} >= 1 THEN m.limited_at ELSE now() END,
        limited_rid = CASE WHEN {left} >= 1 THEN m.limited_rid ELSE %(rid)s END
    FROM schedules_monitor found {which} AND m.id = found.id
    RETURNING m.id, m.limited_at IS DISTINCT FROM now() AS within
), kept AS (
    INSERT INTO schedules_ping (monitor_id, kind, exit_status, rid, method, agent, body)
    SELECT id, %(kind)s, %(exit_status)s, %(rid)s, %(method)s, %(agent)s, %(body)s FROM taken WHERE within
)
SELECT within FROM taken
"""
_BY_CODE = _TAKE.format(left=_LEFT, which="WHERE found.code = %(code)s")
_BY_NAME = _TAKE.format(
    left=_LEFT,
    which="JOIN schedules_pingkey key ON key.id = found.key_id WHERE key.key = %(key)s AND found.name = %(name)s",
)


class Taken(Enum):
    """What became of a ping."""

    KEPT = "kept"
    LIMITED = "limited"
    UNKNOWN = "unknown"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A ping as it came. `body` is cut to what is kept."""

    kind: PingKind
    exit_status: int | None = None
    rid: UUID | None = None
    method: str = "GET"
    agent: str = ""
    body: bytes = b""

    def values(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "exit_status": self.exit_status,
            "rid": self.rid,
            "method": self.method[:10],
            "agent": self.agent[:200],
            "body": self.body[:BODY_BYTES],
        }


def take(code: UUID, arrival: Arrival) -> Taken:
    """A ping at a monitor's own address."""
    return _take(_BY_CODE, {"code": code, **arrival.values()})


def take_by_name(key: str, name: str, arrival: Arrival, *, create: bool = False) -> Taken:
    """A ping under a key and a name. `create` makes a monitor that nobody has named yet: a day's period, an hour's
    grace; three round trips then, once."""
    values = {"key": key, "name": name, **arrival.values()}
    taken = _take(_BY_NAME, values)
    if taken is not Taken.UNKNOWN or not create or not _make(key, name):
        return taken
    taken = _take(_BY_NAME, values)
    return Taken.MADE if taken is Taken.KEPT else taken


def _take(query: str, values: dict[str, Any]) -> Taken:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        row = cursor.fetchone()
    if row is None:
        return Taken.UNKNOWN
    return Taken.KEPT if row[0] else Taken.LIMITED


def _make(key: str, name: str) -> bool:
    """Whether there is a key of this value; then there is a monitor of this name under it, too."""
    found = PingKey.objects.filter(key=key).first()
    if found is None:
        return False
    Monitor.objects.get_or_create(key=found, name=name, defaults={"period": PERIOD_OF_MADE})
    return True
