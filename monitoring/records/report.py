"""What the breakdown says: a row for each status, and above them the one sentence that is wanted first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitoring.records.guide import Guide, StatusKind
from monitoring.records.history import Moment, Past, an_hour_ago, points_of
from monitoring.records.looks import Look
from monitoring.records.query import StatusCount
from monitoring.records.standing import Standing, Threshold
from monitoring.records.trend import Direction, Point, Trend, movement, trend_of
from opsconsole.tones import Tone
from opsconsole.words import duration, number

WORSE = (Direction.RISING, Direction.AGEING)


@dataclass(frozen=True, slots=True)
class Row:
    """One status. `share` is of all that are shown, in per cent; changes are None where there is nothing to compare
    with. `stuck` is what the latest snapshot says."""

    kind: StatusKind
    count: int
    share: float
    oldest: datetime | None
    since_look: int | None
    since_hour: int | None
    trend: Trend | None
    movement: str
    stuck: int
    threshold: Threshold | None

    @property
    def worse(self) -> bool:
        """Whether it gets worse although nothing may rest there."""
        return self.trend is not None and self.trend.direction in WORSE and not self.kind.rests

    @property
    def better(self) -> bool:
        """Whether it is being worked off."""
        return self.trend is not None and self.trend.direction is Direction.FALLING and not self.kind.rests


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rows` are those that the headline is about, the worst first; `better` those that are being worked off."""

    tone: Tone
    headline: str
    rows: tuple[Row, ...]
    better: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """What the counts of now are held against. `past` is empty where the window shown is not that of the snapshots;
    `stuck` is None where nobody has counted."""

    look: Look | None
    past: Past
    stuck: Mapping[str, int] | None
    everything: bool


def rows_of(standing: Standing, counts: Sequence[StatusCount], compared: Compared, now: datetime) -> list[Row]:
    """A row for each status with records now, and for those of the guide that had some an hour or a look ago."""
    found = {one.status: one for one in counts}
    total = sum(one.count for one in counts) or 1
    hour = an_hour_ago(compared.past, now)
    rows = []
    for status in _shown(standing.guide, found, compared, hour):
        one = found.get(status)
        count = one.count if one else 0
        trend = trend_of([*points_of(status, compared.past), Point(now, count)]) if compared.past else None
        rows.append(
            Row(
                kind=standing.guide.kind(status),
                count=count,
                share=100 * count / total,
                oldest=one.oldest if one else None,
                since_look=_since_look(standing.guide.kind(status), count, compared.look),
                since_hour=None if hour is None else count - hour.counts.get(status, 0),
                trend=trend,
                movement=movement(trend, now).partition(", ")[2] if trend and count else "",
                stuck=(compared.stuck or {}).get(status, 0),
                threshold=standing.thresholds.get(status),
            )
        )
    return rows


def _shown(guide: Guide, found: Mapping[str, StatusCount], compared: Compared, hour: Moment | None) -> list[str]:
    before = {status for status, count in (compared.look.counts if compared.look else {}).items() if count}
    before |= {status for status, count in (hour.counts if hour else {}).items() if count}
    before |= {status for status, count in (compared.stuck or {}).items() if count}
    before = {status for status in before if compared.everything or not guide.kind(status).hidden}
    return sorted(before | set(found), key=guide.order)


def _since_look(kind: StatusKind, count: int, look: Look | None) -> int | None:
    if look is None or (kind.hidden and not look.everything):
        return None
    return count - look.counts.get(kind.status, 0)


def empty_statuses(guide: Guide, rows: Sequence[Row], *, everything: bool) -> list[StatusKind]:
    """Statuses of the guide that nothing is in, and that no row speaks of."""
    spoken = {row.kind.status for row in rows}
    return [kind for kind in guide.kinds() if kind.status not in spoken and (everything or not kind.hidden)]


def verdict(rows: Sequence[Row], oldest_stuck: datetime | None, now: datetime, *, stuck_known: bool) -> Verdict:
    """What is wrong, how bad, and since when; or that nothing is. `stuck_known`: somebody has counted stuck ones."""
    bad = sorted((row for row in rows if row.stuck or row.worse), key=lambda row: (-row.stuck, -row.count))
    better = tuple(row for row in rows if row.better and row not in bad)
    if stuck := sum(row.stuck for row in rows):
        age = f", the oldest made {duration((now - oldest_stuck).total_seconds())} ago" if oldest_stuck else ""
        headline = f"{number(stuck)} {'is' if stuck == 1 else 'are'} stuck{age}."
        return Verdict(Tone.PROBLEM, headline, tuple(bad), better)
    none = "Nothing is stuck" if stuck_known else "Stuck ones are not counted yet"
    if bad:
        return Verdict(Tone.WAITING, f"{none}, but more wait than are worked off.", tuple(bad), better)
    if unknown := tuple(row for row in rows if not row.kind.known):
        return Verdict(Tone.WAITING, f"{none}, but there are statuses that the guide does not know.", unknown, better)
    if not any(row.count for row in rows if not row.kind.rests):
        return Verdict(Tone.FINE, "Nothing waits in this window.", ())
    tone = Tone.FINE if stuck_known else Tone.WAITING
    return Verdict(tone, f"{none}, and nothing is seen to pile up.", (), better)
