"""The log of a job, as text that can be kept."""

from __future__ import annotations

from collections.abc import Iterator

from opsconsole.visible import one_line
from sync.models import Job


def event_lines(job: Job) -> Iterator[str]:
    """The job's events as lines of text, oldest first, streamed in pages from the database."""
    for event in job.events.order_by("pk").iterator(chunk_size=1_000):
        attempt = f"attempt {event.attempt}" if event.attempt else "console"
        yield f"{event.at:%Y-%m-%d %H:%M:%S.%f}Z {event.level.upper():<7} {attempt}: {one_line(event.message)}"
