"""Workers on machines of their own, as far as the network can tell: a namespace with its own address for each, and a
cable to this machine that can be pulled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opsconsole.demo.processes import Child, Command, python_path
from tests.faults.stage import MANAGE, WORKERS, Stage

NETWORK = "198.18.77"  # of the block that is set aside for tests of networks
REACHED = ("DATABASE_URL", "SOURCE_DATABASE_URL", "INDEX_DATABASE_URL", "REDIS_URL")


class NoNamespacesError(Exception):
    """Network namespaces cannot be made here; the text says why."""


@dataclass
class Machine:
    """A namespace, and the cable from it to this machine: `here` and `there` are the addresses of its ends."""

    number: int

    def __post_init__(self) -> None:
        self.name = f"opsconsole-{os.getpid()}-{self.number}"
        self._cable = f"ops{os.getpid()}n{self.number}"
        self.here, self.there = (f"{NETWORK}.{4 * self.number + end}" for end in (1, 2))

    def start(self) -> None:
        """Raises NoNamespacesError."""
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            _ip("address", "add", f"{self.here}/30", "dev", self._cable)
            _ip("-n", self.name, "address", "add", f"{self.there}/30", "dev", "eth0")
            for end in (("link", "set", self._cable), ("-n", self.name, "link", "set", "eth0")):
                _ip(*end, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except NoNamespacesError:
            self.stop()
            raise

    def stop(self) -> None:
        """Its end of the cable goes with it, and so does ours."""
        with suppress(NoNamespacesError):
            _ip("netns", "delete", self.name)

    def plug(self, *, into: bool) -> None:
        """What is on its way when the cable is pulled is lost; neither side hears of it."""
        _ip("link", "set", self._cable, "up" if into else "down")

    def inside(self, *arguments: str) -> tuple[str, ...]:
        """The command line that runs this one in the namespace, as the same process."""
        return ("ip", "netns", "exec", self.name, *arguments)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoNamespacesError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def require_namespaces() -> None:
    """Raises NoNamespacesError where none can be made and joined to this machine."""
    if os.geteuid() != 0:
        raise NoNamespacesError("only root may make network namespaces")
    if not shutil.which("ip"):
        raise NoNamespacesError("there is no ip on the path (Debian: iproute2)")
    tried = Machine(63)
    tried.start()
    tried.stop()


@dataclass
class MachinesStage(Stage):
    """A stage whose workers are on a machine each. Servers, clocks and web are on this one."""

    machines: list[Machine] = field(default_factory=list)

    def _start_servers(self) -> None:
        super()._start_servers()
        urls = [self.console_url, *(self.addresses.environment()[name] for name in REACHED)]
        broker = int(self.addresses.kafka_bootstrap.rpartition(":")[2])
        ports = {str(urlsplit(url).port) for url in urls} | {str(broker)}
        for number in range(WORKERS):
            machine = Machine(number)
            machine.start()
            self._stack.callback(machine.stop)
            self.machines.append(machine)
            program = (sys.executable, "-m", "tests.faults.forwarder")
            self._forward(f"cable-{number}", *program, machine.here, "127.0.0.1", *sorted(ports))
            self._forward(f"broker-{number}", *machine.inside(*program, "127.0.0.1", machine.here, str(broker)))

    def _forward(self, name: str, *command: str) -> None:
        environment = {**os.environ, "PYTHONPATH": python_path(os.environ)}
        child = Child(Command(name, command, environment=environment), self.folder)
        child.start()
        self._stack.callback(child.stop)

    def _worker(self, number: int) -> Child:
        machine = self.machines[number]
        reached = {name: self.environment[name].replace("127.0.0.1", machine.here) for name in REACHED}
        command = machine.inside(*MANAGE, "rqworker", "high", "default", "low")
        return self._child(f"worker-{number + 1}", *command, **reached)

    def machine_of(self, worker: Child) -> Machine:
        return self.machines[self.workers.index(worker)]
