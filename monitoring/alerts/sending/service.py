"""Chat and paging services through Apprise, which knows each one's own way. They get no idempotency key: most have
no place for one."""

from __future__ import annotations

import logging

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat, NotifyType

from monitoring.alerts.sending.message import Failure, Message
from monitoring.alerts.types import Severity
from opsconsole.errors import UsageError
from opsconsole.outgoing import addresses_of, allowed_connections_only

# These speak to their makers' own hosts only.
THEIR_HOSTS = frozenset(
    {
        *("betterstack", "discord", "flock", "gchat", "incidentio", "opsgenie", "pagerduty", "pagertree", "pover"),
        *("pushover", "signl4", "slack", "spike", "splunk", "squadcast", "tgram", "twist", "victorops", "webex"),
        "wxteams",
    }
)
# The address of these names a host: Microsoft Teams' workflows, and what people run themselves.
ANY_HOST = frozenset(
    {
        *("gotify", "gotifys", "matrix", "matrixs", "mmost", "mmosts", "ntfy", "ntfys", "rocket", "rockets"),
        *("workflow", "workflows"),
    }
)
TYPES = {
    Severity.INFO: NotifyType.INFO,
    Severity.WARNING: NotifyType.WARNING,
    Severity.CRITICAL: NotifyType.FAILURE,
}
HTTPS = 443


class _NoAddresses(logging.Filter):
    """What Apprise says of an address that it cannot read has the address in it, which is a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "URL" not in str(record.msg)


logging.getLogger("apprise").addFilter(_NoAddresses())


def send(address: str, message: Message) -> Failure | None:
    service = _service(address)
    # It resolves names anew: whatever it finds then, it connects to nothing that is not allowed.
    with allowed_connections_only(str(getattr(service, "host", None) or "")):
        taken = service.notify(
            title=message.text.subject,
            body=message.text.plain,
            body_format=NotifyFormat.TEXT,
            notify_type=TYPES.get(Severity(message.severity), NotifyType.INFO),
        )
    return None if taken else Failure(f"{service.service_name} did not take it; the clock's log says why.")


def require_usable(address: str) -> None:
    """Raises UsageError where nothing can be sent there. The sentence does not repeat the address: it is a secret."""
    _service(address)


def _service(address: str) -> NotifyBase:
    asset = AppriseAsset(app_id="Opsconsole", async_mode=False, http_redirects=False, secure_logging=True)
    service = Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if not isinstance(service, NotifyBase):
        raise UsageError("This is no address of a service as Apprise has them, such as slack://token/token/token.")
    names = {*_names(service.protocol), *_names(service.secure_protocol)}
    if not names & (THEIR_HOSTS | ANY_HOST):
        allowed = ", ".join(sorted(THEIR_HOSTS | ANY_HOST))
        raise UsageError(f"{service.service_name} cannot be used; allowed are {allowed}.")
    if getattr(service, "template", None):
        raise UsageError("template= reads a file of this machine and cannot be used.")
    service.redirects = False  # as an address could ask for them again
    host = getattr(service, "host", None)
    if names & ANY_HOST and host:
        addresses_of(host, getattr(service, "port", None) or HTTPS)
    return service


def _names(protocol: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else tuple(protocol or ())
