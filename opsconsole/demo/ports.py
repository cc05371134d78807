"""Ports on loopback."""

from __future__ import annotations

import socket


def free_port(wanted: int = 0) -> int:
    """`wanted` if nothing is there, else one the kernel has just given out. Another process can still be quicker."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def accepts(port: int) -> bool:
    """Whether something on this machine takes a connection on `port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
