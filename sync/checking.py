"""A check put together from what a worker's process has open."""

from __future__ import annotations

from sync.check import Check, InRanges, SecondLookOf, WalkOf, walk_in_one
from sync.control import Control
from sync.ledger import Ledger
from sync.models import Job
from sync.session import Session
from sync.throttle.gate import Throttle
from sync.throttle.limits import LimitsOfJob


def check_of(
    job: Job,
    session: Session,
    ledger: Ledger,
    control: Control,
    walk_of: WalkOf,
    second_look_of: SecondLookOf,
    in_ranges: InRanges = walk_in_one,
) -> Check:
    """The check of one attempt, or of a worker that helps with a job's ranges."""
    limits, group = LimitsOfJob(job, session.live_estate), session.settings.kafka.consumer_group
    return Check(
        job,
        ledger,
        session.systems,
        control,
        names=session.names,
        limits=session.settings.check,
        walk_of=walk_of,
        second_look_of=second_look_of,
        throttle=Throttle(limits, session.readings, control, ledger, group=group),
        in_ranges=in_ranges,
    )
