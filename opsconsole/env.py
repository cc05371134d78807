"""Typed readers of environment variables.

Each reader refuses a value it cannot use with a sentence naming the variable, and every reader also accepts
`NAME_FILE`, the path of a file that holds the value, so that secrets need not be in the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import overload
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

HOST_NAME = re.compile(r"^([a-z0-9_]([a-z0-9_-]*[a-z0-9])?\.)*[a-z]([a-z0-9-]*[a-z0-9])?$")

KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""For libpq, in seconds. By the system's own values, whoever waits for an answer that a cut cable has lost does so for
two hours, although somebody else has long gone on with the job."""
IDLE_IN_TRANSACTION = "-c idle_in_transaction_session_timeout=10s"
"""A process that stands still in a transaction (stopped, or its machine is gone) keeps its locks. The server ends its
session before the clock gives its job to another, who would wait for them."""


@overload
def text(name: str, default: str, environ: Mapping[str, str] = ...) -> str: ...
@overload
def text(name: str, default: None = ..., environ: Mapping[str, str] = ...) -> str | None: ...
def text(name: str, default: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of `name`, else the content of the file named by `name_FILE`, else `default`.

    Raises ImproperlyConfigured where both are set or the file cannot be read.
    """
    path = environ.get(f"{name}_FILE")
    if path and name in environ:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; set one of them.")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path!r}, which cannot be read: {error}.") from error
    return environ.get(name, default)


def choice(name: str, default: str, allowed: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> str:
    """One of `allowed`, whatever its case."""
    value = text(name, "", environ) or default
    for one in allowed:
        if one.lower() == value.lower():
            return one
    named = [f"{one!r}{' (the default)' if one == default else ''}" for one in allowed]
    raise ImproperlyConfigured(f"{name} is {value!r}; allowed are {', '.join(named[:-1])} and {named[-1]}.")


def boolean(name: str, default: bool, environ: Mapping[str, str] = os.environ) -> bool:
    value = text(name, None, environ)
    if value is None or value == "":
        return default
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; allowed are {', '.join(sorted(TRUE | FALSE))}.")


def integer(name: str, default: int, *, minimum: int = 0, environ: Mapping[str, str] = os.environ) -> int:
    value = text(name, None, environ)
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; a whole number is needed.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name} is {number}; at least {minimum} is needed.")
    return number


def time_of_day(name: str, default: str, environ: Mapping[str, str] = os.environ) -> time | None:
    """`07:00`; None where it is empty."""
    value = text(name, default, environ)
    try:
        return time.fromisoformat(value) if value else None
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; a time of day such as '07:00' is needed, or nothing."
        ) from None


def zone(name: str, default: str, environ: Mapping[str, str] = os.environ) -> ZoneInfo:
    value = text(name, default, environ)
    if value not in available_timezones():
        raise ImproperlyConfigured(f"{name} is {value!r}; a time zone such as UTC or Europe/Paris is needed.")
    return ZoneInfo(value)


def words(name: str, default: tuple[str, ...] = (), environ: Mapping[str, str] = os.environ) -> list[str]:
    """A comma-separated list, blanks removed."""
    value = text(name, None, environ)
    if value is None:
        return list(default)
    return [word.strip() for word in value.split(",") if word.strip()]


def pairs(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A comma-separated list of `this=that`."""
    found = {}
    for one in words(name, (), environ):
        this, equals, that = (part.strip() for part in one.rpartition("="))
        if not (this and equals and that):
            raise ImproperlyConfigured(f"{name} has {one!r}, which is no pair; their-group=operator is.")
        found[this] = that
    return found


def networks(name: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A comma-separated list of addresses and networks (`10.0.0.0/8`)."""
    found = words(name, (), environ)
    for one in found:
        try:
            ip_network(one, strict=False)
        except ValueError:
            raise ImproperlyConfigured(f"{name} has {one!r}, which is no network; 10.0.0.0/8 and ::1 are.") from None
    return found


def reachable(name: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A comma-separated list of networks (`10.0.0.0/8`), addresses and host names, in lower case."""
    found = [word.lower().rstrip(".") for word in words(name, (), environ)]
    for one in found:
        if not (HOST_NAME.match(one) or is_network(one)):
            raise ImproperlyConfigured(
                f"{name} has {one!r}, which is neither a network (10.0.0.0/8) nor a host's name."
            )
    return found


def is_network(text: str) -> bool:
    """Whether it is an address or a network, and not a name."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def postgres(name: str, default: str, environ: Mapping[str, str] = os.environ) -> dict[str, object]:
    """A PostgreSQL URL (any form libpq takes) as a Django database entry.

    A session that stands still in a transaction is ended after ten seconds, and a server that is cut off is noticed
    within a minute, unless the URL says otherwise.
    """
    url = text(name, default, environ)
    try:
        parts = conninfo_to_dict(url)
    except Exception as error:  # psycopg raises ProgrammingError; its text repeats what was wrong
        raise ImproperlyConfigured(f"{name} is no PostgreSQL URL: {str(error).strip()}.") from error
    known = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER", "password": "PASSWORD"}
    entry: dict[str, object] = {"ENGINE": "django.db.backends.postgresql"}
    entry |= {django: str(parts.pop(libpq)) for libpq, django in known.items() if parts.get(libpq) is not None}
    entry["OPTIONS"] = {**KEEPALIVES, **parts, "options": f"{IDLE_IN_TRANSACTION} {parts.get('options') or ''}".strip()}
    return entry
