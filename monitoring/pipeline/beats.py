"""Signs of life of workers, kept in the console's database: what RQ knows of them goes with Redis.

A worker cannot say that it was killed or stopped. Its neighbours on the same machine can: with its own sign, each
worker looks at those that are late, and so does the clock.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.dispatch import receiver

from monitoring.pipeline import hosts
from monitoring.pipeline.models import WorkerBeat
from opsconsole.clock.asking import Questions
from opsconsole.worker import BEAT_SECONDS, worker_beat, worker_ended

OVERDUE = timedelta(seconds=BEAT_SECONDS + 2)
FORGOTTEN_AFTER = timedelta(hours=1)
"""So long the page shows a worker that gives no sign any more."""


@receiver(worker_beat, dispatch_uid="pipeline.beat")
def beat(worker: str, queues: Sequence[str], child: int, **_: Any) -> None:
    """Write down that this process lives, and look after its neighbours. Two or three statements."""
    pid = os.getpid()
    sign = {
        "host": socket.gethostname(),
        "space": hosts.own_space(),
        "pid": pid,
        "identity": hosts.identity(pid),
        "queues": list(queues),
        "memory": hosts.memory(pid, child),
        "beat_at": Now(),
        "seen": "",
        "seen_at": None,
    }
    if not WorkerBeat.objects.filter(name=worker).update(**sign):
        WorkerBeat.objects.create(name=worker, **sign)
    look_after_neighbours()


@receiver(worker_ended, dispatch_uid="pipeline.ended")
def ended(worker: str, **_: Any) -> None:
    WorkerBeat.objects.filter(name=worker).delete()


def _late() -> QuerySet[WorkerBeat]:
    return WorkerBeat.objects.filter(beat_at__lt=Now() - OVERDUE)


LATE = Questions(workers=lambda now: _late())
"""On any machine: asked all day long by every worker."""


def look_after_neighbours() -> int:
    """Say of each worker of this machine whose sign is late what its process does. Returns how many are late."""
    space = hosts.own_space()
    if not space or not LATE.any():
        return 0
    late = list(_late().filter(space=space))
    for one in late:
        seen = hosts.look(one.pid, one.identity)
        # Not where it has given a sign meanwhile.
        WorkerBeat.objects.filter(pk=one.pk, beat_at=one.beat_at).update(seen=seen.value, seen_at=Now())
    return len(late)


def forget_old() -> int:
    """Drop workers that have been silent for an hour. Returns how many."""
    return WorkerBeat.objects.filter(beat_at__lt=Now() - FORGOTTEN_AFTER).delete()[0]
