"""The record of who did what. One row per act, written in the transaction of the act."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from allauth.core.internal.httpkit import get_client_ip
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from opsconsole import trace
from opsconsole.models import AuditEntry

LONGEST_TICKET = 100


class Door(StrEnum):
    """Which way in an act came by."""

    PAGE = "page"
    COMMAND = "command"
    API = "api"
    CLOCK = "clock"
    WORKER = "worker"


@dataclass(frozen=True)
class Actor:
    """Who acts. `user_id` is None for commands, services and the console's own processes; `name` is never empty.

    `token_id` is the API token that was used; `elevation` how the person last confirmed who they are, where that was
    recent; `ticket` what the act is for, in another system."""

    name: str
    door: Door
    user_id: int | None = None
    address: str = ""
    token_id: int | None = None
    elevation: str = ""
    ticket: str = ""


def actor_of(request: HttpRequest) -> Actor:
    user = request.user
    assert not isinstance(user, AnonymousUser), "routes need a login"
    # Here and not above: models of the libraries below are there only when Django has loaded all apps.
    from opsconsole.signin.elevation import elevation_of

    return Actor(
        user.get_username(),
        Door.PAGE,
        user.pk,
        address_of(request),
        elevation=elevation_of(request),
        ticket=request.POST.get("ticket", "").strip()[:LONGEST_TICKET],
    )


def address_of(request: HttpRequest) -> str:
    """The client's address; behind proxies that the settings trust, the one they saw."""
    return get_client_ip(request) or ""


def actor_of_command(ticket: str = "") -> Actor:
    """The operating-system user at the keyboard: `sudo` is looked through."""
    return Actor(os.environ.get("SUDO_USER") or _name_of(os.getuid()), Door.COMMAND, ticket=ticket)


def _name_of(user: int) -> str:
    """In a container a user may have a number only."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


CLOCK = Actor("clock", Door.CLOCK)
WORKER = Actor("worker", Door.WORKER)


def record(
    actor: Actor,
    action: str,
    subject: str,
    *,
    reason: str = "",
    trace_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **details: Any,
) -> None:
    """Append one audit row. Call it inside the transaction of the act, so that both stand or neither.

    Without a `trace_id` it is that of what is going on.

    `action` is dotted and in the past (`batch.started`), `subject` names the thing (`batch:12`), `details` are JSON;
    `before` and `after` are the fields that a change replaced. The database chains the row when the transaction
    commits, which is the only time at which those who write wait for each other.
    """
    AuditEntry.objects.create(
        actor=actor.name,
        actor_user_id=actor.user_id,
        token_id=actor.token_id,
        door=actor.door,
        address=actor.address,
        action=action,
        subject=subject,
        reason=reason,
        trace_id=trace_id or trace.current(),
        details=details,
        elevation=actor.elevation,
        ticket=actor.ticket,
        before=before,
        after=after,
    )


def exported(actor: Actor, subject: str, **details: Any) -> None:
    """Record that data leaves the console: as a file (`file` is its name), or as a stream of the API."""
    given = {name: value for name, value in details.items() if value}
    record(actor, "data.exported", subject, **given)
