"""Child processes that never outlive their owner: started in a session of their own, written down, ended for certain.

Three nets, one below the other. The owner stops its children in order. When the owner is killed, the kernel signals
each child (PR_SET_PDEATHSIG, Linux only). What survives even that is found by its pid file at the next start.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from opsconsole.errors import UnavailableError, UsageError

BASE = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
MARK = "OPSCONSOLE_DEMO_FOLDER"
POLL = 0.02
KILL_PATIENCE = 5.0
LEFTOVER_PATIENCE = 15.0
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(death_signal: int, parent: int) -> None:
    """Ask the kernel to send this process `death_signal` when the thread that started it ends. Quiet where unknown."""
    if sys.platform != "linux":
        return
    _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended between fork and prctl: no signal will come
        os._exit(1)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true within `seconds`; it is asked every 20 ms."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL)
    return True


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat from the state on; empty when there is no such process. The name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def identity(pid: int) -> str:
    """What tells this process from a later one with the same number: its start and the boot. Empty: it does not run."""
    fields = _stat_fields(pid)
    if not fields or fields[0] in "ZX":
        return ""
    return f"{pid} {fields[19]} {Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"


def session_members(leader: int) -> Iterator[int]:
    """Living processes of the session that `leader` opened: work horses have process groups of their own."""
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat_fields(int(entry.name))
        if fields and fields[0] not in "ZX" and fields[3] == str(leader):
            yield int(entry.name)


def marked(pid: int, folder: Path) -> bool:
    """Whether the process was started for `folder`; a number alone may belong to somebody else by now."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARK}={folder}".encode() in environment


def send(pid: int, number: int) -> None:
    """Signal a process; one that is gone already is what was wanted."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def end_session(leader: int) -> None:
    """Kill what is left of a session and see it gone."""

    def all_gone() -> bool:
        members = list(session_members(leader))
        for pid in members:
            send(pid, signal.SIGKILL)
        return not members

    if not wait_until(all_gone, KILL_PATIENCE):
        raise UnavailableError(f"Processes of the session {leader} could not be ended.")


def python_path(environment: Mapping[str, str]) -> str:
    """PYTHONPATH for a child that runs our modules: the checkout before what was there."""
    return os.pathsep.join(filter(None, (str(BASE), environment.get("PYTHONPATH"))))


@dataclass(frozen=True, slots=True)
class Command:
    """How a child is started and ended. `user`: the operating-system user it runs as; empty means ours."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] | None = None
    user: str = ""
    stop_signal: int = signal.SIGTERM
    patience: float = 10.0
    answers: bool = False


class Child:
    """One child process with a log (`logs/NAME.log`) and a pid file (`pids/NAME`) in `folder`.

    Must be started from a thread that lives as long as the child should: PR_SET_PDEATHSIG watches the thread.
    """

    def __init__(self, command: Command, folder: Path) -> None:
        self.command = command
        self.folder = folder
        self.log_path = folder / "logs" / f"{command.name}.log"
        self.pid_path = folder / "pids" / command.name
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        return self._process.poll() if self._process else None

    def start(self) -> None:
        """Start it; a left-over of an earlier owner is ended first."""
        self.end_leftover()
        for path in (self.log_path, self.pid_path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_path.open("a", encoding="utf-8") as log:
            self._process = self._open(log)
        self.pid_path.write_text(identity(self._process.pid))

    def _open(self, log: IO[str]) -> subprocess.Popen[str]:
        owner, stop_signal = os.getpid(), self.command.stop_signal
        as_user: dict[str, object] = {}
        if self.command.user:
            as_user = {"user": self.command.user, "group": self.command.user, "extra_groups": []}
        return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
            [*self.command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self.command.answers else log,
            stderr=log,
            text=True,
            env={
                **(os.environ if self.command.environment is None else self.command.environment),
                MARK: str(self.folder),
            },
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(stop_signal, owner),  # noqa: PLW1509 - one system call, no locks
            **as_user,
        )

    def answer(self) -> str:
        """The first line the child prints (needs `answers`). Empty when it ended without one."""
        pipe = self._process.stdout if self._process else None
        return pipe.readline().strip() if pipe else ""

    def send(self, number: int) -> None:
        if self.alive:
            send(self.pid, number)

    def stop(self) -> None:
        """End it and everything it started; returns when all of it is gone. Safe to call twice."""
        if self._process is None:
            return
        self.send(self.command.stop_signal)
        try:
            self._process.wait(self.command.patience)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._process.wait()
        end_session(self._process.pid)
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None
        self.pid_path.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL to the process itself, as the kernel would: what it leaves behind stays. For fault tests."""
        self.send(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def end_leftover(self) -> None:
        """End the process that an earlier owner started under this name, if it still runs."""
        end_leftover(self.pid_path, self.folder, self.command.stop_signal, self.command.patience)


def end_leftover(pid_path: Path, folder: Path, stop_signal: int, patience: float) -> None:
    """End the process of a pid file and the rest of its session, if they are still those that were written down."""
    try:
        known = pid_path.read_text().strip()
    except FileNotFoundError:
        return
    if known:
        leader = int(known.split()[0])
        if identity(leader) == known:
            send(leader, stop_signal)
            wait_until(lambda: identity(leader) != known, patience)
        for pid in list(session_members(leader)):
            if marked(pid, folder):
                send(pid, signal.SIGKILL)
                wait_until(partial(_gone, pid), KILL_PATIENCE)
    pid_path.unlink(missing_ok=True)


def _gone(pid: int) -> bool:
    return not identity(pid)


def end_all_leftovers(folder: Path) -> None:
    """End whatever an earlier owner of `folder` left running. SIGINT ends each of the demonstration's programs."""
    for pid_path in (folder / "pids").glob("*"):
        end_leftover(pid_path, folder, signal.SIGINT, LEFTOVER_PATIENCE)


class OwnerLock:
    """One owner per folder. The kernel frees the lock however the owner ends."""

    NAME = "owner.lock"

    def __init__(self, folder: Path) -> None:
        self._path = folder / self.NAME
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises UsageError while another process owns the folder."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UsageError(
                f"The servers in {self._path.parent} are in use by another process; stop it, or name another folder."
            ) from None
        self._file = file

    def free(self) -> None:
        if self._file:
            self._file.close()
            self._file = None
