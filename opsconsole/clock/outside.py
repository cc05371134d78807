"""The outgoing ping: a watch outside of this console hears every minute that all is well, and alerts when it does not.

It is held back while anything fails that `/healthz` would tell. So one address outside watches the clock, the
deliveries, the workers and the daily digest; and its own silence is told by somebody who does not depend on us.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.utils import timezone

from opsconsole import outgoing
from opsconsole.clock.duties import duty
from opsconsole.errors import ConsoleError
from opsconsole.health import failed_checks
from opsconsole.outgoing import Request

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
        answer = outgoing.call(Request("GET", settings.OUTSIDE_PING_URL), patience=PATIENCE_SECONDS, keep=0)
    except ConsoleError as error:  # its sentence has no address, which is a secret
        logger.warning("the outgoing ping was not taken: %s", error)
        return False
    if not answer.is_success:
        logger.warning("the outgoing ping was not taken: the address %s", answer.said)
    return answer.is_success
