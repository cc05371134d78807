"""A record source as it stands now: what the estate says of it, and what an administrator has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.records.ages import Ages
from monitoring.records.guide import Guide
from monitoring.records.models import ChangedLimits, UsualTimes
from monitoring.records.stuck import StuckQuestion
from opsconsole import estate, scope
from opsconsole.estate.model import RecordSource
from opsconsole.keys import Key
from opsconsole.postgres import name_parts
from opsconsole.times import Window


class Why(StrEnum):
    """Where a threshold comes from."""

    LIMIT = "limit"
    USUAL = "usual"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A record that is in its status for more than `seconds` is stuck."""

    seconds: float
    why: Why


@dataclass(frozen=True, slots=True)
class Standing:
    """`thresholds` are those of the statuses in which a record can be stuck, in the order of the guide."""

    source: RecordSource
    guide: Guide
    ages: Ages
    thresholds: Mapping[str, Threshold]
    changed: ChangedLimits | None

    def stuck(
        self,
        now: datetime,
        *,
        within: float | None = None,
        statuses: tuple[str, ...] = (),
        made: Window | None = None,
        organization: Key | None = None,
    ) -> StuckQuestion:
        """Which records are stuck: younger than `within` seconds (the estate's by default) or made in `made`."""
        seconds = self.source.stuck_within if within is None else within
        since = {
            status: now - timedelta(seconds=threshold.seconds)
            for status, threshold in self.thresholds.items()
            if not statuses or status in statuses
        }
        return StuckQuestion(made or Window(now - timedelta(seconds=seconds), now), since, organization)


def standing_of(source: RecordSource) -> Standing:
    """Two short queries to the console's own database."""
    changed = ChangedLimits.objects.filter(pk=source.name).first()
    usual = UsualTimes.objects.filter(pk=source.name).first()
    guide = Guide(source)
    return Standing(
        source,
        guide,
        ages_of(source, changed),
        thresholds_of(source, guide, changed, usual.seconds if usual else {}),
        changed,
    )


def ages_of(source: RecordSource, changed: ChangedLimits | None) -> Ages:
    older = changed.older_than.total_seconds() if changed and changed.older_than is not None else source.older_than
    younger = (
        changed.younger_than.total_seconds() if changed and changed.younger_than is not None else source.younger_than
    )
    return Ages(older, younger)


def thresholds_of(
    source: RecordSource, guide: Guide, changed: ChangedLimits | None, usual: Mapping[str, float]
) -> dict[str, Threshold]:
    """A changed limit, else the guide's, else the usual time; none for a status in which records rest."""
    limits = {one.status: one.limit for one in source.statuses if one.limit is not None}
    limits |= changed.limits if changed else {}
    found = {}
    for kind in guide.kinds():
        if kind.rests:
            continue
        if kind.status in limits:
            found[kind.status] = Threshold(limits[kind.status], Why.LIMIT)
        elif kind.status in usual:
            found[kind.status] = Threshold(usual[kind.status], Why.USUAL)
    return found


def record_sources() -> tuple[RecordSource, ...]:
    """Those of the estate that whoever asks may see; none where it cannot be read, which the system checks say, and
    need not be said again by every duty of the clock."""
    try:
        return seen_sources()
    except estate.EstateError:
        return ()


def seen_sources() -> tuple[RecordSource, ...]:
    """Those of the estate that are in the scope of who asks. Raises EstateError."""
    return tuple(source for source in estate.current().records if _is_seen(source, scope.current()))


def _is_seen(source: RecordSource, held: scope.Scope) -> bool:
    """Records that do not say whose they are cannot be told apart by organization."""
    return held.allows_source(source.name) and (held.organizations is None or bool(source.organization))


def record_source(name: str) -> RecordSource | None:
    """The record source of this name, None where the estate has none, or it lies outside. Raises EstateError."""
    return next((source for source in seen_sources() if source.name == name), None)


def can_be_staged(source: RecordSource) -> bool:
    """Whether these records are the source's tasks, so that a sync of their organizations repairs them."""
    tasks = estate.current().source
    same_table = list(name_parts(source.table)) == list(name_parts(tasks.tasks.table))
    return bool(source.organization) and source.url == tasks.url and same_table
