"""The daily word: what became of every due time of a day, and which monitors are down. When it is due, is pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Sum

from monitoring.schedules.catchup import ON_TIME
from monitoring.schedules.models import ACTIVE_RUNS, Monitor, Run, RunState, ScheduledJob
from monitoring.schedules.pings import Stored
from opsconsole.words import counted, utc

TEXT = "schedules/messages/daily"
DAY = timedelta(days=1)
MOST_NAMED = 50
LEFT_OUT = (RunState.COALESCED, RunState.SKIPPED)


def last_due(at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """When the daily word was due last. Pure."""
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, tzinfo=zone)
    return today if today <= local else datetime.combine(local.date() - DAY, at, tzinfo=zone)


@dataclass(frozen=True, slots=True)
class JobDay:
    """Due times of one job, by what became of them."""

    name: str
    done: int = 0
    failed: int = 0
    missed: int = 0
    unknown: int = 0
    left_out: int = 0
    under_way: int = 0

    @property
    def not_well(self) -> int:
        return self.failed + self.missed + self.unknown

    def said(self) -> str:
        """ "nightly-sync: 1 missed, 23 done"."""
        counts = [
            (self.failed, "failed"),
            (self.missed, "missed"),
            (self.unknown, "unknown"),
            (self.under_way, "not ended yet"),
            (self.left_out, "left out by policy"),
            (self.done, "done"),
        ]
        return f"{self.name}: {', '.join(f'{count:,} {what}' for count, what in counts if count)}"


@dataclass(frozen=True, slots=True)
class Day:
    """From `since` to `until`. `not_fired` are jobs with a due time that no clock has decided."""

    since: datetime
    until: datetime
    jobs: tuple[JobDay, ...]
    not_fired: tuple[str, ...]
    disabled: tuple[str, ...]
    monitors: int
    down: tuple[str, ...]

    @property
    def all_well(self) -> bool:
        return not (self.not_fired or self.down or any(job.not_well for job in self.jobs))

    def sentence(self) -> str:
        """ "All 214 runs of 6 scheduled jobs ran.", or what did not."""
        done = sum(job.done for job in self.jobs)
        if self.all_well:
            many = f"All {done:,} runs of {counted(len(self.jobs), 'scheduled job')} ran."
            return many if done > 1 else "Nothing is missing: " + ("1 run ended well." if done else "nothing was due.")
        troubled = [job.name for job in self.jobs if job.not_well]
        parts = [
            ("not run, or failed", sum(job.not_well for job in self.jobs), troubled),
            ("due and not started", len(self.not_fired), self.not_fired),
            ("monitors down", len(self.down), self.down),
        ]
        said = [f"{what}: {count:,} ({', '.join(names[:MOST_NAMED])})" for what, count, names in parts if count]
        text = "; ".join(said)
        return f"{text[0].upper()}{text[1:]}. {counted(done, 'run')} ended well."

    def context(self) -> dict[str, Any]:
        """What the text is rendered with. JSON."""
        worst_first = sorted(self.jobs, key=lambda job: (-job.not_well, job.name))
        return {
            "all_well": self.all_well,
            "sentence": self.sentence(),
            "since": utc(self.since),
            "until": utc(self.until),
            "jobs": [job.said() for job in worst_first[:MOST_NAMED]],
            "more": max(len(self.jobs) - MOST_NAMED, 0),
            "disabled": list(self.disabled[:MOST_NAMED]),
            "monitors": self.monitors,
        }


def of_day(since: datetime, until: datetime) -> Day:
    """What there is to say of this time. Four queries, one of which looks at every run of it: once a day."""
    jobs = ScheduledJob.objects.order_by("name")
    return Day(
        since,
        until,
        tuple(_job_day(name, states) for name, states in sorted(_counts(since, until).items())),
        tuple(jobs.filter(enabled=True, next_due__lt=until - ON_TIME).values_list("name", flat=True)),
        tuple(jobs.filter(enabled=False).values_list("name", flat=True)),
        Monitor.objects.exclude(stored=Stored.PAUSED.value).count(),
        tuple(Monitor.objects.filter(stored=Stored.DOWN.value).order_by("name").values_list("name", flat=True)),
    )


def _counts(since: datetime, until: datetime) -> dict[str, dict[RunState, int]]:
    runs = Run.objects.filter(due_at__gte=since, due_at__lt=until).order_by()
    found: dict[str, dict[RunState, int]] = defaultdict(dict)
    for name, state, count in runs.values_list("scheduled_job__name", "state").annotate(Sum("count")):
        found[name][RunState(state)] = count
    return found


def _job_day(name: str, counts: Mapping[RunState, int]) -> JobDay:
    def of(*states: RunState) -> int:
        return sum(counts.get(state, 0) for state in states)

    return JobDay(
        name,
        done=of(RunState.DONE),
        failed=of(RunState.FAILED),
        missed=of(RunState.MISSED),
        unknown=of(RunState.UNKNOWN),
        left_out=of(*LEFT_OUT),
        under_way=of(*ACTIVE_RUNS),
    )
