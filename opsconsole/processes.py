"""Which process this is, as other systems see it, and signals to a process that is certainly the one meant."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from hashlib import blake2b
from pathlib import Path

PR_SET_NAME = 15
MARK_BYTES = 5  # of a name's hash; the kernel keeps 15 characters of a process's own name
LONGEST_NAME = 40


def process_name() -> str:
    """The name of the worker that this process belongs to, which RQ tells in the environment; else host and process."""
    return os.environ.get("RQ_WORKER_ID") or f"{socket.gethostname()}-{os.getpid()}"


def connection_name(worker: str, pid: int) -> str:
    """What the connections of a process are called at a database server (63 characters are kept there).

    The end of a worker's name has its number and what makes it unique.
    """
    return f"opsconsole {worker[-LONGEST_NAME:]} {pid}"


def _mark(worker: str) -> str:
    return f"job-{blake2b(worker.encode(), digest_size=MARK_BYTES).hexdigest()}"


def mark_as_child_of(worker: str) -> None:
    """Give this process the name by which `signal_marked` knows it. Linux only; elsewhere nothing."""
    name = ctypes.create_string_buffer(_mark(worker).encode())
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NAME, name, 0, 0, 0)


def own_name_of(pid: int) -> str | None:
    """What a process on this machine calls itself; None where none with this number runs (any more)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return None if rest.split()[0] in "ZX" else name


def signal_marked(worker: str, pid: int, number: signal.Signals) -> bool:
    """Signal the process of `worker` with this number, on this machine. False where it is not there, or is another's.

    The number alone may belong to somebody else by now, or be counted in another container.
    """
    if own_name_of(pid) != _mark(worker):
        return False
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
