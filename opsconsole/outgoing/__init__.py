"""The one way to call an address that somebody configured: checked, pinned, bounded in time and size."""

from opsconsole.outgoing.client import Answer, Request, call, require_headers
from opsconsole.outgoing.reach import addresses_of, allowed_connections_only, require_allowed
from opsconsole.outgoing.urls import host_and_port, is_address, place_of

__all__ = [
    "Answer",
    "Request",
    "addresses_of",
    "allowed_connections_only",
    "call",
    "host_and_port",
    "is_address",
    "place_of",
    "require_allowed",
    "require_headers",
]
