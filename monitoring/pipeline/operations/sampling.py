"""What the clock writes down of the queues, every fifteen seconds."""

from __future__ import annotations

from datetime import datetime

from monitoring.pipeline import samples
from monitoring.pipeline.queues import flow, read_queues
from opsconsole.errors import UnavailableError


def subject_of(queue: str) -> str:
    return f"queue:{queue}"


def sample_queues(now: datetime) -> None:
    """One sample of each queue. Where Redis does not answer there is none, which the charts show as a hole."""
    try:
        queues = read_queues(now)
    except UnavailableError:
        return
    figures_of = {}
    for queue in queues:
        before = samples.latest(subject_of(queue.name))
        seconds = (now - before.at).total_seconds() if before else 0.0
        moved = flow(before.figures if before else None, queue.depth, queue.taken, seconds)
        figures_of[subject_of(queue.name)] = {
            "depth": queue.depth,
            "oldest": queue.oldest,
            "failed": queue.failed,
            "taken": queue.taken,
            "came": moved.came,
            "went": moved.went,
        }
    samples.keep_all(figures_of, now)
