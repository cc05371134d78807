"""A POST of JSON to an address of another system, with the idempotency key as a header."""

from __future__ import annotations

import httpx

from monitoring.alerts.sending.message import Failure, Message
from monitoring.alerts.sending.reach import address_of
from opsconsole.errors import UsageError
from opsconsole.estate.schedule_reader import is_address

TIMEOUT = 10.0
GONE = 410
PORTS = {"http": 80, "https": 443}


def send(address: str, message: Message) -> Failure | None:
    """Any status from 200 to 299 is delivered; 410 says that nobody will ever be there. Redirects are not followed:
    they would lead where nobody has looked."""
    url = httpx.URL(address)
    pinned = url.copy_with(host=address_of(url.host, url.port or PORTS[url.scheme]))
    headers = {
        "Host": url.netloc.decode(),
        "Idempotency-Key": message.key,
        "User-Agent": "opsconsole",
    }
    try:
        with (
            httpx.Client(timeout=TIMEOUT, trust_env=False) as client,
            # Not read: whatever it says beyond its status, however long.
            client.stream(
                "POST", pinned, json=body_of(message), headers=headers, extensions={"sni_hostname": url.host}
            ) as answer,
        ):
            return _judge(answer.status_code)
    except httpx.HTTPError as error:
        return Failure(f"The address did not answer: {type(error).__name__}.")


def body_of(message: Message) -> dict[str, object]:
    return {"key": message.key, "subject": message.text.subject, "text": message.text.plain, **message.facts}


def _judge(status: int) -> Failure | None:
    if httpx.codes.is_success(status):
        return None
    if status == GONE:
        return Failure("The address answered 410: it is gone for good.", permanent=True)
    return Failure(f"The address answered {status}; a status from 200 to 299 is needed.")


def require_usable(address: str) -> None:
    """Raises UsageError where nothing can be sent there."""
    if not is_address(address):
        raise UsageError("A webhook's address begins with http:// or https:// and names a host.")
    url = httpx.URL(address)
    address_of(url.host, url.port or PORTS[url.scheme])
