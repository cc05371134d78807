"""What `/metrics` tells, declared by the parts that know it. Every label has a fixed set of values.

A part registers a function that reads its own tables by bounded queries; counts stop at CAP. The whole is put together
at most once in five seconds for each web process, whoever asks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from redis.exceptions import RedisError

from opsconsole.errors import ConsoleError
from opsconsole.models import Lease

logger = logging.getLogger(__name__)

CAP = 10_000
FRESH_SECONDS = 5.0
CLOCK = "clock"
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Read = Callable[[datetime], Iterable[Metric]]
_registered: dict[str, Read] = {}

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each label, which nobody asks for
REQUESTS = CollectorRegistry()
REQUEST_SECONDS = Histogram(
    "opsconsole_http_request_duration_seconds",
    "Time until the answer to a request began.",
    ("method", "part", "status"),
    buckets=BUCKETS,
    registry=REQUESTS,
)


def metrics_of(source: str) -> Callable[[Read], Read]:
    """Declare the metrics of `source`. Where it cannot be read, the others are told without it."""

    def register(read: Read) -> Read:
        _registered[source] = read
        return read

    return register


def gauge(name: str, meaning: str, value: float | None) -> GaugeMetricFamily:
    """One figure; none where it is not known."""
    family = GaugeMetricFamily(f"opsconsole_{name}", meaning)
    if value is not None:
        family.add_metric([], value)
    return family


def gauges(name: str, meaning: str, label: str, values: Iterable[tuple[str, float | None]]) -> GaugeMetricFamily:
    """A figure for each value of one label; what is not known is left out."""
    family = GaugeMetricFamily(f"opsconsole_{name}", meaning, labels=[label])
    for text, value in values:
        if value is not None:
            family.add_metric([text], value)
    return family


def counter(name: str, meaning: str, value: float) -> CounterMetricFamily:
    family = CounterMetricFamily(f"opsconsole_{name}", meaning)
    family.add_metric([], value)
    return family


def counted(rows: QuerySet[Any]) -> int:
    """How many, up to CAP. One query, whose cost CAP bounds."""
    return rows.order_by().values("pk")[:CAP].count()


def age(moment: datetime | None, now: datetime) -> float | None:
    """Seconds since `moment`; None where there is none."""
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


class Collector:
    """What the parts say now, and whether each could be read."""

    def collect(self) -> Iterator[Metric]:
        now, readable = timezone.now(), []
        for source, read in sorted(_registered.items()):
            try:
                found = list(read(now))
            except (ConsoleError, RedisError) as error:
                logger.warning("the metrics of %s could not be read: %s", source, error)
                found = []
                readable.append((source, 0.0))
            else:
                readable.append((source, 1.0))
            yield from found
        yield gauges("metrics_readable", "Whether this part of the metrics could be read.", "source", readable)


class Page:
    """The text of `/metrics`, kept for a few seconds; one thread makes it, the others wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = b""
        self._made = float("-inf")

    def text(self) -> bytes:
        with self._lock:
            if time.monotonic() - self._made > FRESH_SECONDS:
                self._text, self._made = _render(), time.monotonic()
            return self._text

    def forget(self) -> None:
        self._made = float("-inf")


page = Page()


def _render() -> bytes:
    autodiscover_modules("metrics")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry) + generate_latest(_requests())


def _requests() -> CollectorRegistry:
    """Request times of all web processes where they share a folder, else of this one."""
    if not settings.PROMETHEUS_FOLDER:
        return REQUESTS
    shared = CollectorRegistry()
    MultiProcessCollector(shared, settings.PROMETHEUS_FOLDER)  # type: ignore[no-untyped-call]
    return shared


@metrics_of("clock")
def clock(now: datetime) -> Iterator[Metric]:
    lease = Lease.objects.filter(name=CLOCK).first()
    yield gauge(
        "clock_beat_age_seconds",
        "Time since the leading clock renewed its lease; it does every few seconds.",
        age(lease.beat_at if lease else None, now),
    )
