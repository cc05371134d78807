"""The lists of the record statuses. Cells of more than one value have a template in `templates/records/cells/`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from monitoring.records.guide import StatusKind
from monitoring.records.standing import Standing, Threshold
from monitoring.records.stuck import StuckRecord
from opsconsole.keys import Key
from opsconsole.keyset import KeysetPage
from opsconsole.tables import CellColumn, ConsoleColumn, ConsoleTable, NumberColumn, SelectColumn

CARDS = {"class": "table table-cards"}
NUMBERS = {"th": {"class": "number"}, "td": {"class": "number"}}


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"records/cells/{name}.html", **kwargs)


class StatusTable(ConsoleTable):
    """The breakdown."""

    status = cell("status", accessor="kind", attrs={"td": {"class": "status"}})
    count = NumberColumn(verbose_name="Records")
    share = cell("share", attrs={"td": {"class": "share"}})
    movement = ConsoleColumn(verbose_name="It is")
    since_hour = cell("change", verbose_name="In the last hour", attrs=NUMBERS)
    since_look = cell("change", verbose_name="Since your last look", attrs=NUMBERS)
    stuck = cell("stuck", attrs=NUMBERS)
    oldest = cell("oldest", verbose_name="Oldest made (UTC)", attrs={"td": {"class": "when"}})

    def __init__(self, *args: Any, source_name: str, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS, "empty_text": "No record of this window."} | kwargs)
        self.source_name = source_name


@dataclass(frozen=True, slots=True)
class StuckRow:
    """`waits`: seconds since its last change, which is how long it is in its status at least."""

    key: Key
    kind: StatusKind
    threshold: Threshold
    organization: str
    title: str
    created: datetime
    waits: float
    address: str

    @classmethod
    def of(cls, record: StuckRecord, standing: Standing, now: datetime) -> StuckRow:
        return cls(
            key=record.key,
            kind=standing.guide.kind(record.status),
            threshold=standing.thresholds[record.status],
            organization=record.organization,
            title=record.title,
            created=record.created,
            waits=(now - record.since).total_seconds(),
            address=_address(record, standing),
        )


def _address(record: StuckRecord, standing: Standing) -> str:
    """The record's page: its own address where it has one that is safe to click, else the estate's template."""
    if record.link.startswith(("http://", "https://")):
        return record.link
    return standing.source.link.replace("{id}", quote(str(record.key), safe=""))


class StuckTable(ConsoleTable):
    """Stuck records, the oldest first."""

    selected = SelectColumn(accessor="key", label=lambda record: str(record.key))
    record = cell("record", accessor="key", verbose_name="Record")
    status = cell("stuck_status", accessor="kind")
    organization = cell("record_organization", accessor="organization")
    waits = NumberColumn(verbose_name="In it for", unit="duration")
    created = cell("made", verbose_name="Made (UTC)", attrs={"td": {"class": "when"}})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS} | kwargs)

    @classmethod
    def of(
        cls, page: KeysetPage[Any], standing: Standing, now: datetime, *, may_stage: bool, **kwargs: Any
    ) -> StuckTable:
        hidden = [] if may_stage else ["selected"]
        hidden += [] if standing.source.organization else ["organization"]
        rows = [StuckRow.of(record, standing, now) for record in page.rows]
        return cls(rows, page=page, exclude=hidden, **kwargs)
