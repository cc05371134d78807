"""Where a call may lead to. People type addresses, and the console stands where they may not: whatever is not of the
open internet is refused, unless `OPSCONSOLE_OUTGOING_ALLOW` names its network or its host."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from django.conf import settings

from opsconsole.env import is_network
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.outgoing.urls import host_and_port

Address: TypeAlias = IPv4Address | IPv6Address

NAT64 = IPv6Network("64:ff9b::/96")
SETTING = "OPSCONSOLE_OUTGOING_ALLOW"


def require_allowed(url: str) -> None:
    """Raises UsageError where it may not be called, UnavailableError where its name cannot be resolved."""
    addresses_of(*host_and_port(url))


def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """The addresses of `host`, each of which may be called. Whoever calls uses these and does not ask again: a name
    may answer differently the second time.

    Raises UsageError where one of them is refused, UnavailableError where the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"The name {host[:100]!r} cannot be resolved.") from error
    addresses = tuple(str(entry[4][0]) for entry in found)
    if not _names(host) and not all(is_allowed(ip_address(one)) for one in addresses):
        raise _refusal(host)
    return addresses


def is_allowed(address: Address) -> bool:
    """Whether it is of the open internet, or in a network that the settings name."""
    inner = _inner(address)
    return is_public(inner) or any(
        inner in network for network in map(ip_network, filter(is_network, settings.OUTGOING_ALLOW))
    )


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet; one that wraps another counts as that one."""
    inner = _inner(address)
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def _inner(address: Address) -> Address:
    """Where packets to an IPv6 address end up that has an IPv4 address in it."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _names(host: str) -> bool:
    return host.lower().rstrip(".") in settings.OUTGOING_ALLOW


def _refusal(host: str) -> UsageError:
    return UsageError(
        f"{host[:100]} is on a loopback, link-local, private or reserved address; {SETTING} names what is allowed."
    )


_guarded: ContextVar[bool] = ContextVar("opsconsole_outgoing_guarded", default=False)


@contextmanager
def allowed_connections_only(*hosts: str) -> Iterator[None]:
    """Inside, this thread connects to no address that is not allowed, whatever library does it and however it came to
    that address: the interpreter asks before each connection. Of `hosts` that the settings name, every one is.

    A connection that is refused raises UsageError.
    """
    _watch_connections()
    token = _guarded.set(not any(map(_names, hosts)))
    try:
        yield
    finally:
        _guarded.reset(token)


@cache
def _watch_connections() -> None:
    """Once for a process: such a hook cannot be taken away."""
    sys.addaudithook(_before)


def _before(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not _guarded.get():
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        return  # a socket of this machine's file system: no host
    try:
        allowed = is_allowed(ip_address(address[0]))
    except ValueError:  # a name that the connection itself would resolve
        allowed = False
    if not allowed:
        raise _refusal(str(address[0]))
