"""The stuck check, as people do it by hand: many messages and little activity, long work without progress. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsconsole import words
from opsconsole.tones import Tone


@dataclass(frozen=True, slots=True)
class QueueLook:
    """A queue as the check needs it. `went` is how many messages were taken in the last `seconds`, None where that is
    not known; `listening` how many workers take from it, `busy` how many of those work."""

    name: str
    depth: int
    oldest: float | None
    went: int | None
    seconds: float
    listening: int
    busy: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class JobLook:
    """A running job: seconds of its attempt, and seconds without progress; the limit of both."""

    number: int
    worker: str
    running: float
    standing: float
    job_time: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about what is stuck, or may be, and the job or the queue it is about."""

    tone: Tone
    sentence: str
    job: int | None = None
    queue: str = ""


def find_stuck(queues: Sequence[QueueLook], jobs: Sequence[JobLook], stuck_after: float) -> list[Finding]:
    """What is stuck, the worst first. Empty: nothing is."""
    found = [finding for queue in queues if (finding := _queue(queue, stuck_after))]
    found += [finding for job in jobs if (finding := _job(job, stuck_after))]
    return sorted(found, key=lambda finding: finding.tone is not Tone.PROBLEM)


def _queue(queue: QueueLook, stuck_after: float) -> Finding | None:
    if not queue.depth:
        return None
    waiting = f"{words.counted(queue.depth, 'message')} in {queue.name}"
    if queue.paused:
        return Finding(Tone.WAITING, f"{waiting}, which is paused.", queue=queue.name)
    if not queue.listening:
        return Finding(Tone.PROBLEM, f"{waiting}, and no living worker listens to it: start one.", queue=queue.name)
    old = queue.oldest is not None and queue.oldest > stuck_after
    if old and queue.went == 0 and queue.seconds >= stuck_after:
        because = (
            f"{queue.busy} of {words.counted(queue.listening, 'worker')} busy with other work"
            if queue.busy >= queue.listening
            else f"{queue.listening - queue.busy} of {words.counted(queue.listening, 'worker')} free: restart them"
        )
        span = words.duration(queue.seconds)
        return Finding(Tone.PROBLEM, f"{waiting}, none taken in the last {span}, with {because}.", queue=queue.name)
    return None


def _job(job: JobLook, stuck_after: float) -> Finding | None:
    if job.standing > stuck_after:
        span, total = words.duration(job.standing), words.duration(job.running)
        sentence = (
            f"Job {job.number} has not moved for {span} (it runs for {total}) on {job.worker}: stop it, or its worker."
        )
        return Finding(Tone.PROBLEM, sentence, job=job.number)
    if job.running > job.job_time:
        sentence = (
            f"Job {job.number} runs for {words.duration(job.running)}, longer than the {words.duration(job.job_time)} "
            "of its queue, but it moves."
        )
        return Finding(Tone.WAITING, sentence, job=job.number)
    return None
