"""A broker's `server.properties`: KRaft, loopback only, small, and quick to notice a death."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
OPEN = "OPEN"
"""The listener that asks for nothing; the brokers use it among themselves, too."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A door of every broker. `protocol` is Kafka's name of it; `settings` go under `listener.name.NAME.`."""

    name: str
    protocol: str = "PLAINTEXT"
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """One process, broker and controller at once. `ports` by the listener's name."""

    number: int
    folder: Path
    controller_port: int
    ports: Mapping[str, int]

    def address(self, listener: str) -> str:
        return f"{HOST}:{self.ports[listener]}"


def server_properties(node: Node, nodes: Sequence[Node], listeners: Sequence[Listener]) -> str:
    """The file's text."""
    many = len(nodes) > 1
    voters = ",".join(f"{one.number}@{HOST}:{one.controller_port}" for one in nodes)
    doors = [f"{one.name}://{node.address(one.name)}" for one in listeners]
    protocols = [f"{one.name}:{one.protocol}" for one in listeners]
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": OPEN,
        "listeners": ",".join([*doors, f"CONTROLLER://{HOST}:{node.controller_port}"]),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
        "log.dirs": str(node.folder),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "3" if many else "1",
        "min.insync.replicas": "2" if many else "1",
        # A death is seen by the others after three seconds instead of nine.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        # 128 MiB of the heap otherwise.
        "log.cleaner.dedupe.buffer.size": "2097152",
        "log.cleaner.threads": "1",
        "num.network.threads": "2",
        "num.io.threads": "2",
    }
    for topic in ("offsets.topic", "transaction.state.log"):
        settings[f"{topic}.replication.factor"] = "3" if many else "1"
        settings[f"{topic}.num.partitions"] = "1"
    settings["transaction.state.log.min.isr"] = "2" if many else "1"
    for one in listeners:
        settings |= {f"listener.name.{one.name.lower()}.{name}": value for name, value in one.settings.items()}
    return "".join(f"{name}={value}\n" for name, value in settings.items())
