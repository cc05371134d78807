"""What a person saw the last time, so that a page can say what has changed since. Kept in the session. Pure.

Two looks are kept for each source: the last one, and the one that the page compares with. A page that is loaded again
within a minute goes on comparing with the same look, or every refresh would say that nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from monitoring.records.ages import Ages

AGAIN = timedelta(minutes=1)
MOST_STATUSES = 50

Kept: TypeAlias = dict[str, Any]  # JSON: {"at", "ages", "all", "counts"}


@dataclass(frozen=True, slots=True)
class Look:
    """`everything`: the hidden statuses were shown, too."""

    at: datetime
    ages: Ages
    everything: bool
    counts: Mapping[str, int]

    def to_json(self) -> Kept:
        counts = dict(list(self.counts.items())[:MOST_STATUSES])
        return {
            "at": self.at.isoformat(),
            "ages": [self.ages.older, self.ages.younger],
            "all": self.everything,
            "counts": counts,
        }

    @classmethod
    def of_json(cls, kept: Kept) -> Look:
        older, younger = kept["ages"]
        return cls(datetime.fromisoformat(kept["at"]), Ages(older, younger), kept["all"], kept["counts"])


def next_looks(kept: list[Kept], now: Look) -> tuple[Look | None, list[Kept]]:
    """The look to compare `now` with, None where there was none of the same window; and what is kept from then on."""
    before = [Look.of_json(one) for one in kept]
    if before and now.at - before[-1].at < AGAIN:
        compared = before[0] if len(before) > 1 else None
    else:
        compared = before[-1] if before else None
    keep = [*([compared] if compared else []), now]
    same = compared is not None and compared.ages == now.ages
    return (compared if same else None), [one.to_json() for one in keep]
