"""What can be called at all, and how it is named where everybody reads it."""

from __future__ import annotations

import httpx

PORTS = {"http": 80, "https": 443}


def is_address(url: str) -> bool:
    """Whether a request can be sent there."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parts.scheme in PORTS and bool(parts.host)


def place_of(url: str) -> str:
    """An address without user, password or query: fit for a log or a page."""
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def host_and_port(url: str) -> tuple[str, int]:
    parts = httpx.URL(url)
    return parts.host, parts.port or PORTS[parts.scheme]
