"""The connection under a call: to an address that was checked, and no longer than its time."""

from __future__ import annotations

import ssl
from time import monotonic
from typing import Any

import httpcore

from opsconsole.errors import UnavailableError
from opsconsole.outgoing.reach import addresses_of


class CheckedBackend(httpcore.SyncBackend):
    """Connects to addresses that were checked, the next where one does not answer; `patience` bounds all of it, in
    seconds. TLS goes by the name all the same.

    Its connect_tcp raises UsageError where the name leads to an address that is refused.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any) -> Any:
        addresses = addresses_of(host, port)
        ends = monotonic() + self._patience
        for number, address in enumerate(addresses, start=1):
            try:
                stream = super().connect_tcp(address, port, _left(timeout, ends), *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
            else:
                return _BoundedStream(stream, ends)
        raise UnavailableError(f"The name {host[:100]!r} has no address.")


class _BoundedStream(httpcore.NetworkStream):
    """Every wait ends at the same moment, so that bytes that drip buy no time."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, self._ends))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, _left(timeout, self._ends))
        return _BoundedStream(secure, self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, ends: float) -> float:
    """Seconds. Raises TimeoutException where there are none."""
    left = ends - monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(timeout, left)
