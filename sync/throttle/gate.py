"""Where a job waits before its messages go out, and says why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from opsconsole.errors import UnavailableError
from opsconsole.words import counted
from sync.control import AttemptStopped, Control
from sync.ledger import Ledger
from sync.models import EventLevel, Job
from sync.models.states import HELD_STATES
from sync.throttle.decision import Cause, Rate, Wait, gives_up, judge, portion
from sync.throttle.limits import LimitsOfJob
from sync.throttle.rates import reserve
from sync.throttle.readings import Readings

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""How long a waiting job sleeps before it looks again. What it looks at is read less often."""


class Throttle:
    """Lets the messages of one attempt out in portions, as the limits allow. `clock` gives monotonic seconds."""

    def __init__(
        self,
        limits: LimitsOfJob,
        readings: Readings,
        control: Control,
        ledger: Ledger,
        *,
        group: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._readings = readings
        self._control = control
        self._ledger = ledger
        self._group = group
        self._clock = clock
        self._cause: Cause | None = None
        self._since = 0.0
        self._unknown_since: float | None = None
        self._shown = ""
        self._said: set[str] = set()

    def portions(self, messages: Sequence[T], idle: Callable[[], None]) -> Iterator[Sequence[T]]:
        """The messages, in order, each portion given when it may go out. All at once where nothing is limited. While
        it waits it calls `idle` every half second.

        Raises AttemptStopped while it waits, where the attempt should end, and UnavailableError where a figure could
        not be read for a minute.
        """
        sent, held = 0, False
        try:
            while sent < len(messages):
                number, waited = self._let_out(len(messages) - sent, idle)
                held = held or waited
                yield messages[sent : sent + number]
                sent += number
        except AttemptStopped:
            self._say_what_went(sent)
            raise
        if not held:
            self._show("")

    def _let_out(self, messages: int, idle: Callable[[], None]) -> tuple[int, bool]:
        """How many of them may go now, and whether that had to be waited for."""
        waited = False
        while True:
            limits = self._limits.now()
            self._say_mistake()
            figures = self._readings.figures(limits, self._limits.check_every, self._control.listen)
            wait = judge(limits, figures, self._group, self._cause)
            if wait is not None:
                waited = True
                self._wait_for(wait)
                self._linger(LOOK_SECONDS, idle)
                continue
            self._go_on()
            number = portion(limits.rates, messages)
            seconds = reserve(limits.rates, number) if limits.rates else 0.0
            if not seconds:
                return number, waited
            waited = True
            self._keep_pace(limits.rates)
            self._linger(min(seconds, LOOK_SECONDS), idle)

    def _linger(self, seconds: float, idle: Callable[[], None]) -> None:
        idle()
        self._control.linger(seconds)

    def _wait_for(self, wait: Wait) -> None:
        """Say it, once for each wait. Raises UnavailableError where a figure has not been known for too long."""
        now = self._clock()
        if self._cause is not wait.cause:
            self._since = now if self._cause is None else self._since
            self._cause = wait.cause
            self._ledger.note(f"Waiting: {wait.reason}.", EventLevel.WARNING if wait.unknown else EventLevel.INFO)
        self._unknown_since = (self._unknown_since or now) if wait.unknown else None
        self._show(f"Waiting: {wait.reason}.")
        if gives_up(self._unknown_since, now):
            raise UnavailableError(f"Nothing more is published: {wait.reason}.")

    def _go_on(self) -> None:
        if self._cause is not None:
            self._ledger.note(f"Publishing goes on, after a wait of {self._clock() - self._since:,.0f} s.")
            self._cause = self._unknown_since = None
            self._show("")

    def _keep_pace(self, rates: Sequence[Rate]) -> None:
        """A rate is held for a whole walk: it is said once, and shown as long as it makes the job wait."""
        text = " and ".join(
            f"{counted(rate.per_second, 'message')} a second, the rate of {rate.whose}" for rate in rates
        )
        self._say_once(f"Publishing is held to {text}.")
        self._show(f"Publishing is held to {text}.")

    def _say_mistake(self) -> None:
        if self._limits.mistake:
            self._say_once(f"The throttle stays as it was. {self._limits.mistake}", EventLevel.WARNING)

    def _say_once(self, text: str, level: EventLevel = EventLevel.INFO) -> None:
        if text not in self._said:
            self._said.add(text)
            self._ledger.note(text, level)

    def _say_what_went(self, sent: int) -> None:
        """The chunk's drift rows are written when all of it has gone; an attempt that ends before leaves none."""
        if sent:
            self._ledger.note(
                f"{counted(sent, 'message')} of the open chunk went out before the stop: not listed, and sent again "
                "where the job goes on.",
                EventLevel.WARNING,
            )

    def _show(self, text: str) -> None:
        """On the job's row, for the pages. Only for people, so the fence is not asked for."""
        if text != self._shown:
            self._shown = text
            Job.objects.filter(pk=self._ledger.job_id, state__in=HELD_STATES).update(waits_for=text)
