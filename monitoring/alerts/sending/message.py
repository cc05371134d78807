"""What is sent, where to, and how it went: plain values, so that a thread can send without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.alerts.models import ChannelKind
from monitoring.alerts.texts import Rendered


@dataclass(frozen=True, slots=True)
class Target:
    """`address` is as it is stored; `env:…` is looked up when something is sent."""

    kind: ChannelKind
    address: str


@dataclass(frozen=True, slots=True)
class Message:
    """`key` is the idempotency key; `facts` are for programs."""

    key: str
    text: Rendered
    severity: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why it was not delivered. `permanent`: it never will be, whatever is sent there."""

    sentence: str
    permanent: bool = False
