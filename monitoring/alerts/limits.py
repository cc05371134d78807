"""How many messages a destination gets before the rest becomes one digest. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

CHANNEL_WINDOW, CHANNEL_MOST = timedelta(minutes=1), 6
PERSON_WINDOW, PERSON_MOST = timedelta(hours=1), 20
CHANNEL_DIGEST_AFTER = timedelta(minutes=1)
PERSON_DIGEST_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages that were sent to a channel in the last minute, and to an e-mail address in the last hour."""

    channel: int = 0
    person: int = 0


def digest_after(sent: Sent, *, critical: bool) -> timedelta | None:
    """How long a digest gathers what comes next; None: the next message may leave by itself.

    A person's digest gathers longer, unless something in it is critical.
    """
    if sent.person >= PERSON_MOST:
        return CHANNEL_DIGEST_AFTER if critical else PERSON_DIGEST_AFTER
    return CHANNEL_DIGEST_AFTER if sent.channel >= CHANNEL_MOST else None
