"""What `/metrics` tells of queues, workers, consumer, canary and the overview's signals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import Metric

from monitoring.pipeline import consumer, limits, samples
from monitoring.pipeline.models import CanaryRound, PausedQueue, SignalState
from monitoring.pipeline.progress import by_worker, running_jobs
from monitoring.pipeline.queues import read_queues
from monitoring.pipeline.standing import job_times
from monitoring.pipeline.workers import WorkerState, live_workers, state_of
from opsconsole.metrics import age, gauge, gauges, metrics_of
from opsconsole.tones import Tone


@metrics_of("queues")
def queues(now: datetime) -> Iterator[Metric]:
    found, paused = read_queues(now), set(PausedQueue.objects.values_list("queue", flat=True))
    yield gauges("queue_messages", "Messages that wait.", "queue", [(one.name, one.depth) for one in found])
    yield gauges(
        "queue_oldest_message_age_seconds",
        "How long the next message has waited; 0 where none waits.",
        "queue",
        [(one.name, one.oldest or 0.0) for one in found],
    )
    yield gauges(
        "queue_paused", "Whether the queue is paused.", "queue", [(one.name, one.name in paused) for one in found]
    )


@metrics_of("workers")
def workers(now: datetime) -> Iterator[Metric]:
    """By their own signs, as the overview has them."""
    work, times = by_worker(running_jobs(now)), job_times(limits.current())
    states = Counter(
        state_of(None, beat, work.get(beat.name, []), times, now, registry_known=False) for beat in live_workers()
    )
    figures = [(state.value, states[state]) for state in WorkerState if state is not WorkerState.UNREGISTERED]
    yield gauges("workers", "Workers in each state.", "state", figures)


@metrics_of("consumer")
def lag(now: datetime) -> Iterator[Metric]:
    """As the clock sampled it: no scrape waits for the broker."""
    last = samples.latest(consumer.SUBJECT)
    figures = last.figures if last else {}
    yield gauge("consumer_lag_messages", "Messages that the consumer group has not taken yet.", figures.get("lag"))
    yield gauge(
        "consumer_lag_sample_age_seconds", "Time since the lag was sampled.", age(last.at if last else None, now)
    )


@metrics_of("canary")
def canary(now: datetime) -> Iterator[Metric]:
    newest = CanaryRound.objects.order_by("-at").first()
    known = newest if newest is not None and not newest.error else None
    yield gauge("canary_compared_tasks", "Tasks compared in the last round.", known.compared if known else None)
    yield gauge("canary_differing_tasks", "Of these, out of sync.", known.differing if known else None)
    yield gauge("canary_round_age_seconds", "Time since the last round.", age(newest.at if newest else None, now))


@metrics_of("signals")
def signals(now: datetime) -> Iterator[Metric]:
    states = list(SignalState.objects.order_by("name"))
    figures = [(one.name, one.tone == Tone.PROBLEM) for one in states]
    yield gauges("signal_problem", "Whether the overview shows this signal as a problem.", "signal", figures)
