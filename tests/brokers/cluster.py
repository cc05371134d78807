"""Apache Kafka in KRaft mode: one broker or several, each a process that a test may kill and start again.

A start takes two to three seconds for one broker, four to six for three on two cores; each takes some 250 MB.
"""

from __future__ import annotations

import base64
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from opsconsole.demo.processes import Child, Command, wait_until
from tests.brokers.properties import HOST, OPEN, Listener, Node, server_properties

# A heap that holds, and as little time as can be spent on getting faster.
JAVA = ("java", "-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"
STARTED = "Kafka Server started"
START_SECONDS = 90.0  # on a machine that has other things to do
STOP_SECONDS = 20.0
# Below what the kernel gives to outgoing connections: a killed broker's port is still free when it comes back.
PORTS = range(20_000, 32_000)


class KafkaCluster:
    """Brokers numbered from 1, with their data in `folder`. Start and stop it from the same thread.

    With three brokers a topic has three replicas and `min.insync.replicas` is 2. `users` are (name, password) pairs for
    SCRAM. The brokers end with the process that started them, however that ends.
    """

    def __init__(
        self,
        folder: Path,
        class_path: str,
        *,
        brokers: int = 1,
        listeners: Sequence[Listener] = (),
        users: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.folder = folder
        self._class_path = class_path
        self._listeners = (Listener(OPEN), *listeners)
        self._users = users
        ports = free_ports(brokers * (1 + len(self._listeners)))
        self.nodes = [self._node(number, ports) for number in range(1, brokers + 1)]
        self._children = {node.number: Child(self._command(node), folder) for node in self.nodes}

    def _node(self, number: int, ports: Iterator[int]) -> Node:
        by_listener = {listener.name: next(ports) for listener in self._listeners}
        return Node(number, self.folder / f"data-{number}", next(ports), by_listener)

    def _command(self, node: Node) -> Command:
        java = (*JAVA, LOGGING, "-cp", self._class_path, "kafka.Kafka", str(self._properties(node)))
        # SIGKILL: an orderly end waits for a quorum that is ending too, and the data is thrown away.
        return Command(f"kafka-{node.number}", java, stop_signal=signal.SIGKILL)

    def _properties(self, node: Node) -> Path:
        return self.folder / f"server-{node.number}.properties"

    @property
    def bootstrap_servers(self) -> str:
        """`host:port,host:port` of the listener that asks for nothing."""
        return self.addresses(OPEN)

    def addresses(self, listener: str) -> str:
        return ",".join(node.address(listener) for node in self.nodes)

    def start(self) -> None:
        """Returns when every broker serves. On failure nothing is left running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._format()
            self._start(*self._children)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every broker at once. Safe to call twice."""
        for child in self._children.values():
            child.stop()

    def kill(self, broker: int) -> None:
        """SIGKILL, as a machine that is gone. `revive` brings it back with the data it had."""
        self._children[broker].kill()

    def shut_down(self, broker: int) -> None:
        """As an operator ends a broker: it hands on what it leads, where another can take it."""
        child = self._children[broker]
        child.send(signal.SIGTERM)
        wait_until(lambda: not child.alive, STOP_SECONDS)
        child.stop()

    def revive(self, *brokers: int) -> None:
        """Starts brokers that were killed or shut down, on their old ports; returns when they serve."""
        for broker in brokers:
            self._children[broker].stop()
        self._start(*brokers)

    def restart(self) -> None:
        """One broker after the other, down in order and up again."""
        for broker in self._children:
            self.shut_down(broker)
            self.revive(broker)

    def alive(self, broker: int) -> bool:
        return self._children[broker].alive

    def _start(self, *brokers: int) -> None:
        """Side by side: controllers wait for a majority of each other."""
        starts = [Start(self._children[broker]) for broker in brokers]
        for start in starts:
            start.wait()

    def _format(self) -> None:
        """Each broker's storage, side by side. With it the users, since brokers know SCRAM's from their metadata."""
        cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        users = [word for name, password in self._users for word in _scram(name, password)]
        with ExitStack() as stack:
            running = [stack.enter_context(self._formatting(node, cluster, users)) for node in self.nodes]
            for process in running:
                stack.callback(process.kill)
            for process in running:
                output, _ = process.communicate(timeout=START_SECONDS)
                if process.returncode:
                    raise RuntimeError(f"Kafka's storage could not be formatted:\n{output}")

    def _formatting(self, node: Node, cluster: str, users: Sequence[str]) -> subprocess.Popen[str]:
        text = server_properties(node, self.nodes, self._listeners)
        self._properties(node).write_text(text, encoding="utf-8")
        tool = (*JAVA, LOGGING, "-cp", self._class_path, "kafka.tools.StorageTool", "format")
        # The cluster's name may begin with a dash.
        arguments = (f"--cluster-id={cluster}", "--config", str(self._properties(node)), *users)
        return subprocess.Popen([*tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @contextmanager
    def admin(self) -> Iterator[Any]:
        servers = [node.address(OPEN) for node in self.nodes if self.alive(node.number)]
        with closing(KafkaAdminClient(bootstrap_servers=servers, client_id="tests")) as client:
            yield client

    def create_topic(self, name: str, partitions: int = 4, settings: Mapping[str, str] | None = None) -> None:
        """Returns when every partition has a leader."""
        topic = NewTopic(name, partitions, replication_factor=len(self.nodes), topic_configs=dict(settings or {}))
        with self.admin() as admin:
            admin.create_topics([topic])
        assert wait_until(lambda: -1 not in self.leaders(name, partitions), START_SECONDS)

    def leaders(self, topic: str, partitions: int) -> list[int]:
        """The number of the broker that leads each partition, -1 where none does."""
        with self.admin() as admin:
            described = admin.describe_topics([topic])[0]["partitions"]
        found = {entry["partition_index"]: entry["leader_id"] for entry in described}
        return [found.get(number, -1) for number in range(partitions)]


def _scram(name: str, password: str) -> Iterator[str]:
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        yield from ("--add-scram", f"{mechanism}=[name={name},password={password}]")


class Start:
    """A broker on its way up. What an earlier start wrote to the same log does not count."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._from = child.log_path.stat().st_size if child.log_path.exists() else 0
        child.start()

    def wait(self) -> None:
        """Returns when the broker serves. Raises RuntimeError with its last words where it does not."""
        wait_until(lambda: self._serves() or not self._child.alive, START_SECONDS)
        if not self._serves():
            raise RuntimeError(f"{self._child.command.name} did not start:\n{self._log()[-3_000:]}")

    def _serves(self) -> bool:
        return STARTED in self._log()

    def _log(self) -> str:
        return self._child.log_path.read_bytes()[self._from :].decode(errors="replace")


def free_ports(count: int) -> Iterator[int]:
    """Different ports on which nothing listens now."""
    found: set[int] = set()
    while len(found) < count:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.add(port)
    return iter(found)
