"""Which process a moment holds: found by the port from which it speaks to the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from opsconsole.demo.processes import Child, session_members

ESTABLISHED = "01"
STATE, LOCAL, INODE = 3, 1, 9  # columns of /proc/net/tcp


def owner_of_port(port: int, among: Iterable[int]) -> int | None:
    """The process that has a connection from this local port."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    return next((pid for pid in among if sockets & set(_open_sockets(pid))), None)


def _inodes(port: int) -> Iterator[str]:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[LOCAL].endswith(f":{port:04X}") and columns[STATE] == ESTABLISHED:
            yield columns[INODE]


def _open_sockets(pid: int) -> Iterator[str]:
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            yield str(entry.readlink())
    except OSError:
        return  # it has ended meanwhile


def children_of(worker: Child) -> list[int]:
    """Living processes that a worker has forked."""
    return [pid for pid in session_members(worker.pid) if pid != worker.pid]


def worker_of(pid: int, workers: Iterable[Child]) -> Child | None:
    """The worker whose child `pid` is."""
    return next((worker for worker in workers if pid in children_of(worker)), None)


def is_stopped(pid: int) -> bool:
    """Whether the process stands still by SIGSTOP."""
    return _state(pid) == "T"


def moves(pid: int) -> bool:
    """Whether the process may still do something: it is neither stopped nor gone."""
    return _state(pid) not in ("T", "Z", "")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
