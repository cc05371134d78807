"""What holds for a job now: the estate's throttle and its batch's, both of which change while it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from opsconsole import estate
from opsconsole.estate import model
from sync.models import Batch, Job
from sync.throttle.decision import ESTATE, Limits, Rate

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0
"""How old the limits may be that a job goes by."""


class LiveEstate:
    """The estate file's `[throttle]`, read again when the file has changed. A file with mistakes changes nothing."""

    def __init__(self, throttle: model.Throttle) -> None:
        self._throttle = throttle
        self._seen: int | None = None
        self.mistake = ""

    def throttle(self) -> model.Throttle:
        """The throttle as the file has it; `mistake` then says why it could not be read, or is empty."""
        changed = _changed_at(Path(settings.ESTATE))
        if changed is not None and changed != self._seen:
            self._seen = changed
            try:
                self._throttle, self.mistake = estate.load(settings.ESTATE).throttle, ""
            except estate.EstateError as error:
                self.mistake = str(error)
                logger.warning("the throttle stays as it was: %s", error)
        return self._throttle


def _changed_at(path: Path) -> int | None:
    """None while there is no such file: an editor may be about to put the new one in its place."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


class LimitsOfJob:
    """The limits of one job. Asks the database for its batch's every two seconds at most."""

    def __init__(self, job: Job, live: LiveEstate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._batch_id = job.batch_id
        self._live = live
        self._clock = clock
        self._read_at: float | None = None
        self._limits = Limits()
        self.check_every = 0.0

    @property
    def mistake(self) -> str:
        """Why the estate file cannot be used as it is now; empty where it can."""
        return self._live.mistake

    def now(self) -> Limits:
        if self._read_at is None or self._clock() - self._read_at >= AGAIN_SECONDS:
            throttle = self._live.throttle()
            self.check_every = throttle.check_every
            self._limits = combine(throttle, *self._of_batch())
            self._read_at = self._clock()
        return self._limits

    def _of_batch(self) -> tuple[str, int | None, int | None]:
        if self._batch_id is None:
            return "", None, None
        batch = Batch.objects.filter(pk=self._batch_id).values_list("messages_per_second", "lag_limit").first()
        return (f"batch {self._batch_id}", *(batch or (None, None)))


def combine(throttle: model.Throttle, batch: str, batch_rate: int | None, batch_lag: int | None) -> Limits:
    """Both hold: each rate has a bucket of its own, and of the lag limits the lower one counts. Pure."""
    rates = (
        Rate("estate", ESTATE, throttle.messages_per_second) if throttle.messages_per_second is not None else None,
        Rate(batch, batch, batch_rate) if batch_rate is not None else None,
    )
    lags = [(throttle.lag_limit, ESTATE), (batch_lag, batch)]
    lag, whose = min(((limit, whose) for limit, whose in lags if limit is not None), default=(None, ESTATE))
    return Limits(tuple(rate for rate in rates if rate), lag, whose, throttle.source_condition)
