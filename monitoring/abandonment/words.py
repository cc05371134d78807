"""What is said of a task in one line: its trouble, since when, and what happens next. Pure but for the row."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitoring.abandonment.evaluator import Hold
from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.models import TrackedTask
from opsconsole.words import counted, utc

DAY = timedelta(days=1)

HOLDS = {
    Hold.EXEMPT.value: "It is exempt: nobody is warned, and it is not disabled.",
    Hold.KEPT.value: "Somebody wishes to keep it.",
    Hold.CHANGED.value: "A person changed it lately, so nothing is done about it.",
    Hold.OUTAGE.value: "Many tasks of its scope fail together, or did yesterday: nothing is done until a day after.",
    Hold.PROTECTED.value: "It is protected: nobody is warned, and it is never disabled.",
    Hold.DETECT_ONLY.value: "Its policy only detects: nobody is warned, and it is not disabled.",
    Hold.NOTIFY_ONLY.value: "Its policy does not disable.",
    Hold.NO_OWNER.value: "Nobody knows its owner's address, so nobody is warned, and it is not disabled.",
    Hold.UNDELIVERED.value: "The owner's warning has not been delivered yet; the time counts from then.",
    Hold.HEALTHY_NOW.value: "It is healthy at this moment, and is not disabled unless it fails again.",
    "daily_limit": "As many as allowed were disabled in its scope within 24 hours; it is its turn when that is over.",
    "no_way": "The estate names no way to disable tasks of this source.",
}


def long(time: timedelta) -> str:
    """`14 days`, `1 day`, `5 hours`, `less than an hour`."""
    if time >= DAY:
        return counted(time // DAY, "day")
    hours = time // timedelta(hours=1)
    return counted(hours, "hour") if hours else "less than an hour"


def title_of(task: TrackedTask, trouble: Trouble, now: datetime) -> str:
    """`Orders of Acme: failing for 14 days, restarted 826 times`."""
    return f"{task}: {said_of(task, trouble, now)}"


def said_of(task: TrackedTask, trouble: Trouble, now: datetime) -> str:
    memory = task.remembered
    if trouble is Trouble.IDLE:
        return f"no data for {long(memory.quiet_for(now))}"
    restarted = f", restarted {counted(task.restarted, 'time')}" if task.restarted else ""
    return f"failing for {long(memory.failing_for(now))}{restarted}"


def standing_of(task: TrackedTask, now: datetime) -> str:
    """What it does, whatever its trouble: failing for so long, or no data for so long; empty where neither."""
    if task.failing_since is not None:
        return said_of(task, Trouble.ABANDONED, now)
    return said_of(task, Trouble.IDLE, now) if task.quiet_since is not None and task.state == "idle" else ""


def next_of(task: TrackedTask) -> str:
    """What happens next, with a date only where it will really happen."""
    if task.hold:
        return HOLDS.get(task.hold, "")
    if task.disable_at is not None:
        return f"It is disabled at {utc(task.disable_at)} UTC, unless it recovers or somebody changes it before."
    if task.notice_length is not None:
        return f"Its owner is warned; {long(task.notice_length)} after the warning is delivered, it is disabled."
    return "Its owner is told; it is not disabled." if task.notice_number is not None else ""
