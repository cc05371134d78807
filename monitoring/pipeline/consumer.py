"""The indexing service's consumer group: how far behind, how fast, and until when. Samples, and a look just now."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from monitoring.pipeline import limits, samples
from monitoring.pipeline.samples import Kept
from monitoring.pipeline.standing import FLOW_OVER
from opsconsole import estate, words
from opsconsole.closing import Closing
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import Kafka
from opsconsole.tones import Tone
from opsconsole.words import counted
from sync.lag import UNKNOWN, Group, LagReader, PartitionLag

SUBJECT = "lag"
ANSWER_SECONDS = 2.0
"""How long a page waits for the broker."""

FRESH_SECONDS = 5.0
"""Pages of this process share an answer for so long."""


@dataclass(frozen=True, slots=True)
class Look:
    """The group at one moment. `error` says why nothing is known; then the rest is empty."""

    at: datetime
    partitions: tuple[PartitionLag, ...] = ()
    group: Group = UNKNOWN
    error: str = ""

    @property
    def lag(self) -> int:
        return sum(one.lag for one in self.partitions)

    @property
    def latest(self) -> int:
        return sum(one.latest for one in self.partitions)

    @property
    def taken(self) -> int:
        return self.latest - self.lag


@dataclass(frozen=True, slots=True)
class LagNow:
    """How far behind the group is just now, None where the broker did not say; rates are messages a second."""

    look: Look
    lag: int | None
    limit: int
    came: float | None
    went: float | None
    until: float | None
    tone: Tone
    sentence: str


class Watcher(Closing):
    """Reads by a thread of its own, so that nobody waits longer than two seconds for a broker that hangs."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._reader = LagReader(kafka)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lag")
        self._lock = threading.Lock()
        self._known: tuple[float, Look] | None = None

    def look(self, *, fresh: float = FRESH_SECONDS) -> Look:
        """The group now, or at most `fresh` seconds ago. Never raises for what the broker does."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] >= fresh:
                look = self._ask()
                self._known = (time.monotonic(), look)
            return self._known[1]

    def _ask(self) -> Look:
        try:
            partitions, group = self._thread.submit(self._read).result(timeout=ANSWER_SECONDS)
        except NotYet:
            # What hangs ends by its own timeouts; the next look must not wait behind it.
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="lag")
            self._reader = LagReader(self._kafka)
            servers = ", ".join(self._kafka.bootstrap_servers)
            return Look(timezone.now(), error=f"Kafka ({servers}) cannot be reached: no answer within 2 s.")
        except ConsoleError as error:
            return Look(timezone.now(), error=f"{error}.".replace("..", "."))
        return Look(timezone.now(), partitions, group)

    def _read(self) -> tuple[tuple[PartitionLag, ...], Group]:
        return self._reader.partitions(), self._reader.group()

    def close(self) -> None:
        self._thread.submit(self._reader.close)
        self._thread.shutdown(wait=True)


_watchers: dict[Kafka, Watcher] = {}


def watcher() -> Watcher:
    """The one of this process for the estate as it is."""
    kafka = estate.current().kafka
    if kafka not in _watchers:
        _watchers[kafka] = Watcher(kafka)
    return _watchers[kafka]


def sample(look: Look) -> None:
    """Keep what was seen, with the messages a minute in and out since the sample before."""
    before = samples.latest(SUBJECT)
    known = None if look.error else (look.latest, look.taken)
    came, went = (
        rates(before.figures, *known, (look.at - before.at).total_seconds()) if known and before else (None, None)
    )
    figures: dict[str, Any] = {
        "lag": None if look.error else look.lag,
        "latest": None if look.error else look.latest,
        "taken": None if look.error else look.taken,
        "came": came,
        "went": went,
        "members": None if look.group.members is None else len(look.group.members),
        "state": look.group.state,
        "error": look.error,
    }
    samples.keep(SUBJECT, look.at, figures)


def lag_now(now: datetime) -> LagNow:
    """Asks the broker, for two seconds at most. Two queries."""
    limit = limits.current().lag_limit
    look = watcher().look()
    came, went = mean_rates(samples.since(now - FLOW_OVER, SUBJECT)[SUBJECT])
    members = None if look.group.members is None else len(look.group.members)
    lag = None if look.error else look.lag
    tone, sentence = judge(lag, limit, error=look.error, members=members, state=look.group.state, came=came, went=went)
    until = caught_up_in(lag, came, went) if lag is not None else None
    return LagNow(look, lag, limit, came, went, until, tone, sentence)


def rates(before: Mapping[str, Any], latest: int, taken: int, seconds: float) -> tuple[float | None, float | None]:
    """Messages a minute into the topic and out of it since `before`; None where offsets went back, or nothing is known
    of then. Pure."""
    if before.get("latest") is None or seconds <= 0 or latest < before["latest"] or taken < before["taken"]:
        return None, None
    return round((latest - before["latest"]) * 60 / seconds, 1), round((taken - before["taken"]) * 60 / seconds, 1)


def caught_up_in(lag: int, came: float | None, went: float | None) -> float | None:
    """Seconds until the group has caught up at this pace; None where it does not gain, or nothing is known. Pure."""
    if lag == 0:
        return 0.0
    if came is None or went is None or went <= came:
        return None
    return lag / (went - came) * 60


def judge(
    lag: int | None, limit: int, *, error: str, members: int | None, state: str, came: float | None, went: float | None
) -> tuple[Tone, str]:
    """What the lag means, as a tone and a sentence. Pure."""
    if lag is None:
        return Tone.PROBLEM, error or "Nothing is known of the consumer group yet."
    behind = f"{counted(lag, 'message')} behind"
    if members == 0 and lag:
        return (
            Tone.PROBLEM,
            f"The group has no member: nobody reads, and the index stays as it is. {behind.capitalize()}.",
        )
    if lag > limit:
        until = caught_up_in(lag, came, went)
        pace = f"caught up in about {words.duration(until)} at this pace" if until else "and not catching up"
        return Tone.PROBLEM, f"{behind}, the limit is {limit:,}; {pace}."
    if members == 0:
        return Tone.WAITING, "The group has no member: nobody reads. Nothing is waiting yet."
    return Tone.FINE, "Caught up." if not lag else f"{behind.capitalize()}, within the limit of {limit:,}."


def mean_rates(recent: Sequence[Kept]) -> tuple[float | None, float | None]:
    def mean(figure: str) -> float | None:
        known = [value for one in recent if (value := one.figures.get(figure)) is not None]
        return sum(known) / len(known) if known else None

    return mean("came"), mean("went")
