"""Where a channel may lead to. People type addresses, and the console stands where they may not: what is on loopback,
link-local or private addresses is refused, unless the settings allow it."""

from __future__ import annotations

import ipaddress
import socket

from django.conf import settings

from opsconsole.errors import UnavailableError, UsageError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(host: str, port: int) -> str:
    """An address of `host` that may be called. Whoever calls it uses this one and does not ask again: a name may
    answer differently the second time.

    Raises UsageError where it is refused, UnavailableError where the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(f"The name {host[:100]!r} cannot be resolved.") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not settings.ALERTS_REACH_PRIVATE and not all(is_public(ipaddress.ip_address(one)) for one in addresses):
        raise UsageError(
            f"{host[:100]} is on a loopback, link-local or private address; ALERTS_REACH_PRIVATE allows those."
        )
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet; one that wraps another counts as that one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner:
            return is_public(inner)
    return address.is_global and not address.is_multicast
