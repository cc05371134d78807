"""The embedded Kafka broker as a child process."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from opsconsole.demo.processes import Child, Command, python_path, wait_until
from opsconsole.errors import UnavailableError

PATIENCE = 10.0


class Kafka:
    """A broker of one node in memory. It chooses its port when it starts; `pause` and `resume` keep it."""

    def __init__(self, folder: Path) -> None:
        arguments = (sys.executable, "-m", "opsconsole.demo.broker", str(os.getpid()))
        environment = {**os.environ, "PYTHONPATH": python_path(os.environ)}
        self.child = Child(Command("broker", arguments, environment=environment, answers=True), folder)
        self.bootstrap = ""

    def start(self) -> None:
        self.child.start()
        self.bootstrap = self.child.answer()
        if not self.bootstrap:
            self.child.stop()
            raise UnavailableError(f"The embedded broker did not start; its log is {self.child.log_path}.")

    def stop(self) -> None:
        self.child.stop()

    def pause(self) -> None:
        """Take the broker down: connections end and none is accepted."""
        self.child.send(signal.SIGUSR1)
        self._wait(listening=False)

    def resume(self) -> None:
        """Bring it back on the same port, with everything it had."""
        self.child.send(signal.SIGUSR2)
        self._wait(listening=True)

    def _wait(self, *, listening: bool) -> None:
        if not wait_until(lambda: self._listens() is listening, PATIENCE):
            raise UnavailableError(f"The embedded broker did not go {'up' if listening else 'down'}.")

    def _listens(self) -> bool:
        host, _, port = self.bootstrap.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=1) as connection:
                connection.settimeout(0.05)
                return (
                    connection.recv(1) != b""
                )  # an accepted connection that is closed at once is a broker that is down
        except TimeoutError:
            return True
        except OSError:
            return False
