"""Who runs an attempt, and how much memory it has used."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from opsconsole.processes import process_name


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    name: str
    host: str
    pid: int


def this_process(name: str = "") -> WorkerIdentity:
    """This process. RQ tells its worker's name in the environment; a command names itself."""
    host, pid = socket.gethostname(), os.getpid()
    return WorkerIdentity(name or process_name(), host, pid)


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes; None where the system does not tell.

    Read from VmHWM: getrusage's figure is inherited from the parent at fork and would blame the child for it.
    """
    return _status_field("VmHWM")


def memory_now() -> int | None:
    return _status_field("VmRSS")


def _status_field(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
