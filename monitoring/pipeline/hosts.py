"""What the processes of one machine can say of each other, without leave and at once: running, stopped, gone."""

from __future__ import annotations

import os
import socket
from enum import StrEnum
from functools import cache
from pathlib import Path

START_FIELD = 19  # of /proc/PID/stat behind the name: when the process began
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Seen(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"


@cache
def own_space() -> str:
    """Where this process's number means this process: host, boot and container. Empty where that cannot be told."""
    try:
        boot, space = BOOT_ID.read_text(encoding="ascii").strip(), os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return ""
    return f"{socket.gethostname()} {boot} {space}"


def identity(pid: int) -> str:
    """A process's number and start, which no later process shares. Empty where there is none."""
    fields = _stat(pid)
    return f"{pid} {fields[START_FIELD]}" if fields else ""


def look(pid: int, known_as: str) -> Seen:
    """How the process of this machine is that was `known_as` (as `identity` has it)."""
    fields = _stat(pid)
    if not fields or fields[0] in "ZX" or f"{pid} {fields[START_FIELD]}" != known_as:
        return Seen.GONE
    return Seen.STOPPED if fields[0] in "Tt" else Seen.RUNNING


def memory(*pids: int) -> int | None:
    """Resident memory of these processes together, in bytes; None where the system does not tell. 0 is no process."""
    sizes = [size for pid in pids if pid and (size := _resident(pid)) is not None]
    return sum(sizes) if sizes else None


def _resident(pid: int) -> int | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; the name before it may hold anything. Empty where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
