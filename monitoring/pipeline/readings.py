"""What the overview says of canary, consumer, queues, workers, jobs. Each reads the console's own tables, bounded."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from monitoring.pipeline import consumer, limits, samples
from monitoring.pipeline.drift import affected_address, drift_now
from monitoring.pipeline.models import PausedQueue
from monitoring.pipeline.operations.sampling import subject_of
from monitoring.pipeline.progress import by_worker, running_jobs
from monitoring.pipeline.queues import needs
from monitoring.pipeline.samples import Kept
from monitoring.pipeline.standing import job_looks, job_times
from monitoring.pipeline.stuck import find_stuck
from monitoring.pipeline.workers import WorkerState, live_workers, state_of
from opsconsole import words
from opsconsole.overview import Reading, overview_signal
from opsconsole.tones import Tone
from sync.models import Job, JobState

STALE_AFTER = timedelta(minutes=2)
"""A sample older than this says nothing of now."""

MOST_COUNTED = 1_000
RECENT = timedelta(days=1)


@overview_signal("canary", "Drift canary", order=10)
def canary(now: datetime) -> Reading:
    limit = limits.current().canary_limit
    drift = drift_now(limit)
    newest = drift.newest
    known = newest is not None and not newest.error
    return Reading(
        value=newest.differing if newest and known else None,
        shown=f"{newest.differing:,} of {newest.compared:,}" if newest and known else words.NOTHING,
        tone=drift.tone,
        sentence=drift.sentence,
        address=reverse("pipeline:canary"),
        limit=f"{limit:,} a round",
        limit_value=limit,
        action="Find affected organizations" if drift.window else "",
        action_address=affected_address(drift.window) if drift.window else "",
        since=drift.since,
    )


@overview_signal("lag", "Consumer lag", order=20)
def lag(now: datetime) -> Reading:
    limit = limits.current().lag_limit
    recent = samples.since(now - STALE_AFTER, consumer.SUBJECT)[consumer.SUBJECT]
    last = recent[-1].figures if recent else {}
    came, went = consumer.mean_rates(recent)
    behind = last.get("lag")
    tone, sentence = consumer.judge(
        behind,
        limit,
        error=last.get("error", ""),
        members=last.get("members"),
        state=last.get("state", ""),
        came=came,
        went=went,
    )
    return Reading(
        value=behind,
        shown=words.number(behind),
        tone=tone if recent else Tone.WAITING,
        sentence=sentence,
        address=reverse("pipeline:lag"),
        limit=words.counted(limit, "message"),
        limit_value=limit,
    )


@overview_signal("queues", "Queues", order=30)
def queues(now: datetime) -> Reading:
    """All queues as one: the worst says the sentence."""
    own, paused = limits.current(), set(PausedQueue.objects.values_list("queue", flat=True))
    recent = samples.since(now - STALE_AFTER, *(subject_of(name) for name in settings.QUEUES))
    last: dict[str, Kept] = {name: rows[-1] for name in settings.QUEUES if (rows := recent[subject_of(name)])}
    depth = sum(sample.figures["depth"] for sample in last.values())
    high = [
        f"{name}: {need}"
        for name, sample in last.items()
        if name not in paused
        for need in needs(sample.figures["depth"], sample.figures["oldest"], limits.of_queue(own, name))
    ]
    if not last:
        tone, sentence = Tone.PROBLEM, "Redis does not answer, or no clock runs: nothing is known of the queues."
    elif high:
        tone, sentence = Tone.PROBLEM, f"{'; '.join(high)}."
    elif paused:
        tone, sentence = Tone.WAITING, f"Paused: {', '.join(sorted(paused))}."
    else:
        tone, sentence = Tone.FINE, "Every queue is within its limits."
    return Reading(depth if last else None, f"{depth:,} waiting", tone, sentence, reverse("pipeline:queues"))


@overview_signal("workers", "Workers", order=40)
def workers(now: datetime) -> Reading:
    """By their own signs: what RQ has of them is for the page."""
    jobs, own = running_jobs(now), limits.current()
    work, times = by_worker(jobs), job_times(own)
    states = [
        state_of(None, beat, work.get(beat.name, []), times, now, registry_known=False) for beat in live_workers()
    ]
    living = [state for state in states if state in (WorkerState.IDLE, WorkerState.BUSY, WorkerState.LONG)]
    troubled = [state for state in states if state.tone is Tone.PROBLEM]
    stuck = [
        finding for finding in find_stuck([], job_looks(jobs, own), own.stuck_after) if finding.tone is Tone.PROBLEM
    ]
    if not living:
        tone, sentence = Tone.PROBLEM, "No worker is alive: start one."
    elif stuck:
        tone, sentence = Tone.PROBLEM, stuck[0].sentence
    elif troubled:
        which = ", ".join(sorted({state.label.lower() for state in troubled}))
        tone, sentence = Tone.PROBLEM, f"{len(troubled)} in trouble: {which}."
    else:
        busy = sum(state is WorkerState.BUSY for state in states)
        tone, sentence = Tone.FINE, f"All alive; {busy} of {len(living)} work."
    return Reading(len(living), f"{len(living)} alive", tone, sentence, reverse("pipeline:workers"))


@overview_signal("jobs", "Failed and looping jobs", order=60)
def jobs(now: datetime) -> Reading:
    """Of the last day: by the index of states, counted up to a thousand."""
    failed, looping = _ended_badly(JobState.FAILED, now), _ended_badly(JobState.LOOPING, now)
    total = failed + looping
    return Reading(
        value=total,
        shown=f"{total:,}{'+' if MOST_COUNTED in (failed, looping) else ''}",
        tone=Tone.PROBLEM if total else Tone.FINE,
        sentence=f"{failed:,} failed and {looping:,} looping within a day: look at their errors, retry or skip."
        if total
        else "No job failed or looped within a day.",
        address=reverse("sync:job_errors") if total else reverse("sync:jobs"),
        limit="0 a day",
    )


def _ended_badly(state: JobState, now: datetime) -> int:
    """Of the thousand newest in this state, those that ended within a day."""
    newest = Job.objects.filter(state=state).order_by("-pk").values_list("ended_at", flat=True)[:MOST_COUNTED]
    return sum(ended is not None and ended >= now - RECENT for ended in newest)
