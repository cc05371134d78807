"""Made-up content for the page that shows every component."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest

from opsconsole.charts import LineChart, Sample, bar_chart, line_chart
from opsconsole.keyset import KeysetPage
from opsconsole.tables import BadgeColumn, ConsoleTable, LinkColumn, NumberColumn, SelectColumn, WhenColumn
from opsconsole.tones import Tone


@dataclass(frozen=True)
class ExampleStatus:
    label: str
    tone: Tone


@dataclass(frozen=True)
class ExampleJob:
    id: UUID
    organization: str
    status: ExampleStatus
    scanned: int
    drift: int
    seconds: float
    created: datetime | None


STATUSES = (
    ExampleStatus("Done", Tone.FINE),
    ExampleStatus("Running", Tone.WORKING),
    ExampleStatus("Queued", Tone.WAITING),
    ExampleStatus("Failed", Tone.PROBLEM),
    ExampleStatus("Cancelled", Tone.ENDED),
)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = (
    "Northwind Fasteners",
    "Abelard & Daughters",
    "Kestrel Logistics",
    "Überlandwerk Süd",
    "Quiet Harbour Co-operative",
)


class ExampleForm(forms.Form):
    name = forms.CharField(help_text="Shown in lists. Up to 80 characters.")
    start = forms.CharField(
        label="From (UTC)",
        initial="2026-03-01 12:00:00",
        widget=forms.TextInput(attrs={"data-utc-local": "start_local", "class": "mono"}),
    )
    mode = forms.ChoiceField(choices=[("report", "Report only"), ("sync", "Report and publish")])
    size = forms.IntegerField(min_value=1, max_value=100, help_text="Organizations per batch, 1 to 100.")
    ids = forms.CharField(widget=forms.Textarea, required=False, label="Organization ids", help_text="In any shape.")
    keep = forms.BooleanField(
        required=False, label="Keep them staged", help_text="They can be taken into a later batch."
    )
    order = forms.ChoiceField(
        choices=[("largest", "Largest first"), ("oldest", "Oldest first")], widget=forms.RadioSelect, initial="largest"
    )


class ExampleTable(ConsoleTable):
    selected = SelectColumn(accessor="id", label=lambda job: job.organization)
    organization = LinkColumn(address=lambda job: f"#{job.id}")
    id = LinkColumn(verbose_name="Job", address=lambda job: f"#{job.id}", mono=True)
    status = BadgeColumn()
    scanned = NumberColumn(verbose_name="Tasks scanned")
    drift = NumberColumn()
    seconds = NumberColumn(verbose_name="Took", unit="duration")
    created = WhenColumn()

    sorts = {"organization": "organization", "created": "created", "scanned": "scanned"}
    default_sort = "-created"


def jobs() -> list[ExampleJob]:
    return [
        ExampleJob(
            id=UUID(int=0x5F2A9C1E_0000_4000_8000_000000000000 + 7919**4 * place),
            organization=name,
            status=status,
            scanned=60_000 // (place * 7 + 1),
            drift=(113 * place) % 90,
            seconds=0.42 * 11**place,
            created=NOON - timedelta(minutes=37 * place) if status.tone is not Tone.ENDED else None,
        )
        for place, (name, status) in enumerate(zip(NAMES, STATUSES, strict=True))
    ]


def content(request: HttpRequest) -> dict[str, Any]:
    rows = jobs()
    page: KeysetPage[Any] = KeysetPage(rows=(), size=5, next="example", previous="example")
    wrong = ExampleForm({"name": "", "size": "1000", "start": "2026-03-01 12:00:00", "mode": "report"})
    return {
        "statuses": STATUSES,
        "tones": list(Tone),
        "table": ExampleTable(rows, page=page, label="Example jobs", request=request),
        "cards": ExampleTable(rows[:2], label="Example cards", request=request, attrs={"class": "table table-cards"}),
        "form": ExampleForm(),
        "wrong": wrong,
        "moment": NOON,
        "job": rows[0],
        "line": example_line(),
        "bars": bar_chart("Failed jobs by hour: most at 13:00", [(f"{hour}:00", hour**3 % 7) for hour in range(24)]),
    }


def example_line() -> LineChart:
    """A count that rises above its limit, with a gap in which nobody counted."""
    start, minute = NOON - timedelta(hours=6), timedelta(minutes=1)
    missing = range(120, 160)
    samples = [
        Sample(start + minute * place, None if place in missing else 40 + place * (place % 11 + 20) / 60)
        for place in range(0, 361, 5)
    ]
    return line_chart("Waiting: rising since 06:00", samples, start, NOON, gap=minute * 10, limit=120)
