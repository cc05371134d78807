"""How far the indexing service is behind: the one reader of its consumer group's offsets."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition, errors
from kafka.protocol.consumer.offsets import OffsetSpec

from opsconsole.closing import Closing
from opsconsole.errors import UnavailableError
from opsconsole.estate import model
from opsconsole.kafka_client import client_settings
from opsconsole.kafka_login import check_login

ASK_SECONDS = 2.0
"""What one request may take."""

NO_GROUP = "Dead"
"""What a broker says of a group that it does not have, or that speaks a newer protocol than this client."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """Offsets of one partition; `committed` is None where the group never committed there."""

    partition: int
    earliest: int
    latest: int
    committed: int | None

    @property
    def lag(self) -> int:
        """Messages still to be taken. Where the group never committed, all of them are."""
        return max(self.latest - max(-1 if self.committed is None else self.committed, self.earliest), 0)


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the group."""

    client: str
    host: str


@dataclass(frozen=True, slots=True)
class Group:
    """The group as the broker has it. `members` is None where this broker does not tell; `state` is its own word."""

    state: str
    members: tuple[Member, ...] | None


UNKNOWN = Group("", None)


class LagReader(Closing):
    """Asks the broker for the estate's topic and group, on a connection that it keeps. One thread uses it."""

    def __init__(self, kafka: model.Kafka) -> None:
        self._kafka = kafka
        self._admin: KafkaAdminClient | None = None
        self._tells_groups = True

    def read(self) -> int:
        """Messages that the group has not yet taken, over all partitions.

        Raises UnavailableError, and LoginRefusedError where the broker lets nobody in.
        """
        return sum(one.lag for one in self.partitions())

    def partitions(self) -> tuple[PartitionLag, ...]:
        """Each partition of the topic, in order. Four requests. Raises as `read`."""
        try:
            return self._partitions(self._client())
        except (errors.KafkaError, OSError) as error:
            self.close()
            servers = ", ".join(self._kafka.bootstrap_servers)
            raise UnavailableError(f"Kafka ({servers}) does not tell it ({type(error).__name__})") from error

    def group(self) -> Group:
        """Who reads. One request, none where this broker once did not answer it (the embedded one does not)."""
        if not self._tells_groups:
            return UNKNOWN
        name = self._kafka.consumer_group
        try:
            told: dict[str, Any] = self._client().describe_groups([name]).get(name, {})
        except (errors.KafkaError, OSError):
            self._tells_groups = False
            self.close()
            return UNKNOWN
        state = str(told.get("group_state", told.get("state", "")))
        if state in ("", NO_GROUP):
            return Group(state, None)
        return Group(state, tuple(Member(str(m["client_id"]), str(m["client_host"])) for m in told.get("members", [])))

    def _client(self) -> KafkaAdminClient:
        if self._admin is None:
            check_login(self._kafka)
            self._admin = KafkaAdminClient(
                **client_settings(self._kafka),
                client_id="opsconsole-lag",
                bootstrap_timeout_ms=round(ASK_SECONDS * 1000),
                request_timeout_ms=round(ASK_SECONDS * 1000),
            )
        return self._admin

    def _partitions(self, admin: KafkaAdminClient) -> tuple[PartitionLag, ...]:
        topic, group = self._kafka.topic, self._kafka.consumer_group
        described: dict[str, Any] = next(iter(admin.describe_topics([topic])), {})
        partitions = sorted(TopicPartition(topic, one["partition_index"]) for one in described.get("partitions", []))
        if not partitions:
            raise errors.UnknownTopicOrPartitionError(topic)
        latest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        earliest = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        committed = admin.list_group_offsets({group: partitions}).get(group, {})
        taken = {one: committed[one].offset if one in committed else -1 for one in partitions}
        return tuple(
            PartitionLag(
                one.partition, earliest[one].offset, latest[one].offset, taken[one] if taken[one] >= 0 else None
            )
            for one in partitions
        )

    def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(errors.KafkaError, OSError):
                admin.close()
