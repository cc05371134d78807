"""What a batch is asked to do. Checked in one place, field by field, so that a form can show each sentence in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.errors import UsageError
from opsconsole.estate.model import LARGEST_LAG, LARGEST_RATE
from opsconsole.times import Window
from sync.models import Batch, BatchOrder, Mode

DEFAULT_SIZE = 10
LARGEST_SIZE = 10_000
LONGEST_NAME = 120
LONGEST_TAG = 40
MOST_TAGS = 20


class BatchOptionsError(UsageError):
    """`problems` has a sentence for each wrong field of BatchOptions."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How many organizations, in which mode and order, at which pace. None: no bound; `canary` 0: none.

    `messages_per_second` and `lag_limit` throttle what a sync publishes, on top of the estate's. `keep_staged` matters
    in mode `report` only; a sync takes its organizations out of the set. With a `window` the jobs look only at tasks
    updated in it. An explicit list of organizations keeps its own order, whatever `order` says.
    """

    mode: Mode = Mode.REPORT
    size: int = DEFAULT_SIZE
    name: str = ""
    tags: tuple[str, ...] = ()
    order: BatchOrder = BatchOrder.OLDEST
    most_at_once: int | None = None
    stop_after_failures: int | None = None
    canary: int = 0
    messages_per_second: int | None = None
    lag_limit: int | None = None
    keep_staged: bool = True
    auto_advance: bool = False
    window: Window | None = None

    def problems(self) -> dict[str, str]:
        """A sentence for each field that cannot be used; empty where all can."""
        found = {
            "size": _outside(self.size, 1, LARGEST_SIZE, "organizations in a batch"),
            "name": _bad_name(self.name),
            "tags": _bad_tags(self.tags),
            "most_at_once": _outside(self.most_at_once, 1, LARGEST_SIZE, "jobs at once"),
            "stop_after_failures": _outside(self.stop_after_failures, 1, LARGEST_SIZE, "failed jobs before it stops"),
            "canary": _bad_canary(self.canary, self.size),
            "window": _bad_window(self.window),
            **throttle_problems(self.messages_per_second, self.lag_limit),
        }
        return {name: sentence for name, sentence in found.items() if sentence}

    def require_valid(self) -> None:
        """Raises BatchOptionsError."""
        if problems := self.problems():
            raise BatchOptionsError(problems)

    def to_json(self) -> dict[str, Any]:
        window = self.window and [self.window.start.isoformat(), self.window.end.isoformat()]
        return {name: getattr(self, name) for name in self.__slots__} | {
            "mode": self.mode.value,
            "order": self.order.value,
            "tags": list(self.tags),
            "window": window,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> BatchOptions:
        read: dict[str, Any] = {name: values[name] for name in cls.__slots__}
        window = read["window"]
        return cls(
            **read
            | {
                "mode": Mode(read["mode"]),
                "order": BatchOrder(read["order"]),
                "tags": tuple(read["tags"]),
                "window": Window(*map(datetime.fromisoformat, window)) if window else None,
            }
        )


def options_of(batch: Batch) -> BatchOptions:
    """The options that `batch` was started with."""
    has_window = batch.window_from is not None and batch.window_to is not None
    return BatchOptions(
        mode=Mode(batch.mode),
        size=batch.size,
        name=batch.name,
        tags=tuple(batch.tags),
        order=BatchOrder(batch.order),
        most_at_once=batch.most_at_once,
        stop_after_failures=batch.stop_after_failures,
        canary=batch.canary,
        messages_per_second=batch.messages_per_second,
        lag_limit=batch.lag_limit,
        keep_staged=batch.keep_staged,
        auto_advance=batch.auto_advance,
        window=Window(batch.window_from, batch.window_to) if has_window else None,  # type: ignore[arg-type]
    )


def throttle_problems(messages_per_second: int | None, lag_limit: int | None) -> dict[str, str]:
    """Of the two that a batch may change while it runs; an empty sentence where one can be used."""
    return {
        "messages_per_second": _outside(messages_per_second, 0, LARGEST_RATE, "messages a second"),
        "lag_limit": _outside(lag_limit, 0, LARGEST_LAG, "messages behind"),
    }


def _outside(value: int | None, least: int, most: int, what: str) -> str:
    if value is None or least <= value <= most:
        return ""
    return f"{value:,} {what} is not possible; allowed are {least:,} to {most:,}."


def _bad_name(name: str) -> str:
    if len(name) > LONGEST_NAME:
        return f"The name has {len(name)} characters; allowed are {LONGEST_NAME}."
    return "" if name.isprintable() else "The name has characters that cannot be shown; allowed is one line of text."


def _bad_tags(tags: tuple[str, ...]) -> str:
    if len(tags) > MOST_TAGS:
        return f"{len(tags)} tags are too many; allowed are {MOST_TAGS}."
    if len(set(tags)) < len(tags):
        return "A tag is given twice; each counts once."
    wrong = next((tag for tag in tags if not _good_tag(tag)), None)
    if wrong is None:
        return ""
    return f"The tag {wrong[:LONGEST_TAG]!r} cannot be used; allowed are 1 to {LONGEST_TAG} characters without commas."


def _good_tag(tag: str) -> bool:
    return 0 < len(tag) <= LONGEST_TAG and tag.isprintable() and "," not in tag and tag == tag.strip()


def _bad_canary(canary: int, size: int) -> str:
    if canary == 0 or 1 <= canary < size:
        return ""
    allowed = f"0 (none) to {size - 1:,}" if size > 1 else "0 (none)"
    return f"A canary of {canary:,} in a batch of {size:,} is not possible; allowed are {allowed}."


def _bad_window(window: Window | None) -> str:
    if window is None:
        return ""
    if window.start.tzinfo is None or window.end.tzinfo is None:
        return "The window's times have no zone; allowed are times in UTC."
    return "" if window.start < window.end else f"The window {window} is empty; its start must be before its end."
