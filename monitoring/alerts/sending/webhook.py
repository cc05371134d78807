"""A POST of JSON to an address of another system, with the idempotency key as a header."""

from __future__ import annotations

import json

from monitoring.alerts.sending.message import Failure, Message
from opsconsole import outgoing
from opsconsole.errors import UsageError
from opsconsole.outgoing import Answer, Request, is_address

TIMEOUT = 10.0
GONE = 410


def send(address: str, message: Message) -> Failure | None:
    """Any status from 200 to 299 is delivered; 410 says that nobody will ever be there.

    Raises UsageError where it may not be called, UnavailableError where it does not answer.
    """
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
    request = Request("POST", address, json.dumps(body_of(message)).encode(), headers)
    return _judge(outgoing.call(request, patience=TIMEOUT, keep=0))


def body_of(message: Message) -> dict[str, object]:
    return {"key": message.key, "subject": message.text.subject, "text": message.text.plain, **message.facts}


def _judge(answer: Answer) -> Failure | None:
    if answer.is_success:
        return None
    if answer.status == GONE:
        return Failure("The address answered 410: it is gone for good.", permanent=True)
    return Failure(f"The address {answer.said} A status from 200 to 299 is needed.")


def require_usable(address: str) -> None:
    """Raises UsageError where nothing can be sent there."""
    if not is_address(address):
        raise UsageError("A webhook's address begins with http:// or https:// and names a host.")
    outgoing.require_allowed(address)
