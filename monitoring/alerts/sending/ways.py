"""The three ways out: e-mail, webhook, service. One function to send, one to judge an address that somebody typed."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from monitoring.alerts.models import ChannelKind
from monitoring.alerts.models.channel import FROM_ENVIRONMENT
from monitoring.alerts.sending import email, service, webhook
from monitoring.alerts.sending.message import Failure, Message, Target
from opsconsole import env
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.sealed import UNREADABLE

VARIABLE = re.compile(r"^ALERT_[A-Z0-9_]+$")


def send(target: Target, message: Message) -> Failure | None:
    """Send it. None: delivered. Waits at most some ten seconds at each step; asks no database."""
    try:
        address = resolve_address(target)
        match target.kind:
            case ChannelKind.EMAIL:
                return email.send(address, message)
            case ChannelKind.WEBHOOK:
                return webhook.send(address, message)
            case ChannelKind.SERVICE:
                return service.send(address, message)
    except ConsoleError as error:
        return Failure(str(error))


def require_usable(target: Target) -> None:
    """Raises UsageError, which repeats no secret, where nothing could be sent there."""
    address = resolve_address(target)
    match target.kind:
        case ChannelKind.EMAIL:
            try:
                validate_email(address)
            except ValidationError:
                raise UsageError("This is no e-mail address; write it like team@example.com.") from None
        case ChannelKind.WEBHOOK:
            webhook.require_usable(address)
        case ChannelKind.SERVICE:
            service.require_usable(address)


def resolve_address(target: Target) -> str:
    """The address itself. Only variables that begin with ALERT_ are read: a channel's address is typed by people, and
    the environment has other secrets. Raises UsageError."""
    if target.address == UNREADABLE:
        raise UsageError(
            "The channel's address cannot be read, as SECRET_KEY has changed: give it anew, or name the old key in "
            "SECRET_KEY_FALLBACKS."
        )
    if not target.address.startswith(FROM_ENVIRONMENT):
        return target.address
    name = target.address.removeprefix(FROM_ENVIRONMENT)
    if not VARIABLE.match(name):
        raise UsageError(f"env:{name[:60]} cannot be read; the variable's name has to begin with ALERT_.")
    value = env.text(name, "")
    if not value:
        raise UsageError(f"The environment has no variable {name}, which holds the channel's address.")
    return value
