"""Running a job in this very process, for the commands that wait for their result."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection

from sync.jobs import run_as
from sync.models import Job
from sync.operations.workers import this_process

PROGRESS_SECONDS = 0.5


def run_in_foreground(job: Job, on_progress: Callable[[Job], None]) -> Job:
    """Claim and run `job` here; `on_progress` is called about twice a second with its row. Returns the ended row.

    Raises what the job raised, after it was recorded.
    """
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(job.pk, done, on_progress), daemon=True)
    watcher.start()
    try:
        run_as(job.pk, this_process())
    finally:
        done.set()
        watcher.join()
    job.refresh_from_db()
    return job


def _watch(job_id: int, done: threading.Event, on_progress: Callable[[Job], None]) -> None:
    try:
        while not done.wait(PROGRESS_SECONDS):
            on_progress(Job.objects.get(pk=job_id))
    finally:
        connection.close()
