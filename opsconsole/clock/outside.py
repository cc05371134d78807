"""The outgoing ping: a watch outside of this console hears every minute that all is well, and alerts when it does not.

It is held back while anything fails that `/healthz` would tell. So one address outside watches the clock, the
deliveries, the workers and the daily digest; and its own silence is told by somebody who does not depend on us.
"""

from __future__ import annotations

import logging

import httpx
from django.conf import settings
from django.utils import timezone

from opsconsole.clock.duties import duty
from opsconsole.health import failed_checks

logger = logging.getLogger(__name__)

PING_SECONDS = 60.0
PATIENCE_SECONDS = 10.0


@duty("clock.ping_outside", every=PING_SECONDS, slow=True)
def ping_outside() -> bool:
    """Whether the ping was sent and taken. False without an address."""
    if not settings.OUTSIDE_PING_URL:
        return False
    if failed := failed_checks(timezone.now()):
        logger.error("the outgoing ping is held back: %s", ", ".join(failed))
        return False
    try:
        answer = httpx.get(settings.OUTSIDE_PING_URL, timeout=PATIENCE_SECONDS, headers={"User-Agent": "opsconsole"})
        answer.raise_for_status()
    except httpx.HTTPError as error:  # the address is a secret: not into the log
        logger.warning("the outgoing ping was not taken: %s", type(error).__name__)
        return False
    return True
