"""The part of the estate file about queues, workers, consumer and canary: what counts as too much."""

from __future__ import annotations

from opsconsole.estate.fields import Fields
from opsconsole.estate.model import Pipeline, QueueLimits

MOST_MESSAGES = 10**9
MOST_COMPARED = 5_000
DAY = 86_400.0


def pipeline_limits(fields: Fields) -> Pipeline:
    """`[pipeline]` with a table for each queue; what is left out is the default."""
    default = Pipeline()
    limits = Pipeline(
        high=_queue(fields.table("high", required=False), default.high),
        default=_queue(fields.table("default", required=False), default.default),
        low=_queue(fields.table("low", required=False), default.low),
        stuck_after=fields.duration("stuck_after", default.stuck_after, minimum=30),
        lag_limit=fields.integer("lag_limit", default.lag_limit, minimum=0, maximum=MOST_MESSAGES),
        canary_every=fields.duration("canary_every", default.canary_every, minimum=5),
        canary_recent=fields.integer("canary_recent", default.canary_recent, minimum=1, maximum=MOST_COMPARED),
        canary_random=fields.integer("canary_random", default.canary_random, minimum=0, maximum=MOST_COMPARED),
        canary_reach=fields.duration("canary_reach", default.canary_reach, minimum=60, maximum=365 * DAY),
        canary_limit=fields.integer("canary_limit", default.canary_limit, minimum=0, maximum=MOST_COMPARED),
    )
    fields.end()
    return limits


def _queue(fields: Fields, default: QueueLimits) -> QueueLimits:
    limits = QueueLimits(
        depth=fields.integer("depth", default.depth, minimum=0, maximum=MOST_MESSAGES),
        age=fields.duration("age", default.age, minimum=1, maximum=30 * DAY),
        job_time=fields.duration("job_time", default.job_time, minimum=1, maximum=30 * DAY),
    )
    fields.end()
    return limits
