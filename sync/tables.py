"""The lists of sync. Cells of more than one value have a template of their own in `templates/sync/cells/`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsconsole.tables import (
    BadgeColumn,
    CellColumn,
    ConsoleColumn,
    ConsoleTable,
    LinkColumn,
    NumberColumn,
    SelectColumn,
    WhenColumn,
)
from sync.customers import shown_id
from sync.models import Job, StagedOrganization

CARDS = {"class": "table table-cards"}
NUMBERS = {"th": {"class": "number"}, "td": {"class": "number"}}
WRAPPED_NUMBERS = {"th": {"class": "number wrapped"}, "td": {"class": "number"}}


def job_address(job: Job) -> str:
    return reverse("sync:job", args=[job.pk])


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"sync/cells/{name}.html", **kwargs)


class TookColumn(NumberColumn):
    """How long a row's work took, from `started_at` to `ended_at`; nothing while it goes on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, accessor="started_at", verbose_name="Took", unit="duration", **kwargs)

    def render(self, value: Any, record: Any = None) -> str:
        return self.write((record.ended_at - value).total_seconds() if record.ended_at else None)


class ListTable(ConsoleTable):
    """One card per row on a phone, and a sentence of its own where there is nothing."""

    empty: ClassVar[str] = "Nothing here."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS, "empty_text": self.empty} | kwargs)


class ModeColumn(ConsoleColumn):
    """A mode as one word: the first of its label."""

    def render(self, value: str) -> str:
        return value.partition(":")[0].capitalize()


class JobTable(ListTable):
    empty = "No job matches."

    pk = cell("job_number", verbose_name="Job")
    organization = cell("organization", accessor="pk", verbose_name="Organization")
    state = cell("job_state", accessor="status", attrs={"td": {"class": "status"}})
    progress = cell("job_progress", accessor="scanned", verbose_name="Tasks scanned")
    drift_found = NumberColumn(verbose_name="Drift")
    repair = cell("repair", accessor="pk", verbose_name="Published / verified", attrs=WRAPPED_NUMBERS)
    worker = cell("job_worker", accessor="fence", verbose_name="Worker")
    created_at = cell("job_times", verbose_name="Created (UTC)", attrs={"td": {"class": "when"}})


class PickableJobTable(JobTable):
    """With a box per row, for those who may act on several at once."""

    selected = SelectColumn(accessor="pk", label=str)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"sequence": ("selected", "...")} | kwargs)


class ErrorTable(ListTable):
    """Rows are `ErrorGroup`s."""

    empty = "No job has an error."

    sentence = cell("error_sentence", verbose_name="Error, as the latest job has it", attrs={"td": {"class": "wide"}})
    jobs = cell("error_jobs", verbose_name="Jobs", attrs=NUMBERS)
    latest = LinkColumn(
        accessor="latest_job", verbose_name="Latest job", address=lambda row: reverse("sync:job", args=[row.latest_job])
    )
    last_seen = WhenColumn(verbose_name="Last seen")
    fingerprint = cell("error_fingerprint", verbose_name="Fingerprint")


class BatchTable(ListTable):
    """Rows are `BatchRow`s."""

    empty = "No batch matches."

    number = cell("batch_name", accessor="batch__pk", verbose_name="Batch")
    mode = ModeColumn(accessor="batch__mode")
    status = BadgeColumn(accessor="batch__status", verbose_name="State")
    progress = cell("batch_progress", accessor="summary", verbose_name="Jobs ended")
    problems = cell("count_of_problems", accessor="summary__problems", verbose_name="Failed", attrs=NUMBERS)
    drift = NumberColumn(accessor="summary__drift")
    published = NumberColumn(accessor="summary__published")
    verified = NumberColumn(accessor="summary__verified")
    unresolved = cell("count_of_problems", accessor="summary__unresolved", attrs=NUMBERS)
    created_by = ConsoleColumn(accessor="batch__created_by", verbose_name="Started by")
    times = cell("batch_times", accessor="batch__pk", verbose_name="Started (UTC)", attrs={"td": {"class": "when"}})


class StagedTable(ListTable):
    organization = cell("staged_organization", accessor="pk", order_by="pk")
    stands = cell("staged_stands", accessor="pk", verbose_name="Next batch")
    staged_at = WhenColumn(verbose_name="Staged")
    staged_by = ConsoleColumn(verbose_name="By")
    origin = ConsoleColumn(verbose_name="From")

    sorts = {"staged_at": "staged_at"}
    default_sort = "staged_at"
    tiebreak = "organization_id"


def label_of(row: StagedOrganization) -> str:
    return row.name or shown_id(row.pk)


class EditableStagedTable(StagedTable):
    """With a box and a button per row, for those who may take organizations out."""

    selected = SelectColumn(accessor="pk", label=label_of)
    remove = ConsoleColumn(
        accessor="pk",
        verbose_name=format_html('<span class="visually-hidden">{}</span>', "Actions"),
        attrs={"td": {"class": "number"}},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"sequence": ("selected", "...", "remove")} | kwargs)

    def render_remove(self, value: str, record: StagedOrganization) -> SafeString:
        return format_html(
            '<button class="{}" name="one" value="{}" aria-label="Remove {}">Remove</button>',
            "button button-quiet button-small",
            value,
            label_of(record),
        )


class AttemptTable(ListTable):
    empty = "No worker has taken it yet."

    number = cell("attempt_number", verbose_name="Attempt", attrs=NUMBERS)
    end = cell("attempt_end", accessor="pk", verbose_name="How it ended", attrs={"td": {"class": "wide"}})
    worker = cell("attempt_worker", verbose_name="Worker and process")
    times = cell("attempt_times", accessor="pk", verbose_name="From, to (UTC)", attrs={"td": {"class": "when"}})
    took = TookColumn()
    rows = cell("attempt_rows", accessor="pk", verbose_name="Tasks walked", attrs=NUMBERS)
    peak_memory = NumberColumn(unit="size")


class RangeTable(ListTable):
    """The ranges of one job that is split."""

    number = NumberColumn(verbose_name="Range")
    status = BadgeColumn(verbose_name="State")
    worker = cell("range_worker", verbose_name="Worker")
    keys = cell("range_keys", accessor="pk", verbose_name="Keys behind, up to", attrs={"td": {"class": "wide"}})
    scanned = NumberColumn(verbose_name="Tasks walked")
    drift = NumberColumn()
    published = NumberColumn()


class DeadGroupTable(ListTable):
    """Rows are `DeadGroup`s."""

    empty = "No dead letters."

    sentence = cell("error_sentence", verbose_name="Reason, as the latest job has it", attrs={"td": {"class": "wide"}})
    jobs = cell("dead_jobs", verbose_name="Jobs", attrs=NUMBERS)
    latest = LinkColumn(
        accessor="latest_job", verbose_name="Latest job", address=lambda row: reverse("sync:job", args=[row.latest_job])
    )
    last_ended = WhenColumn(verbose_name="Last ended")


class LadderTable(ListTable):
    """Rows are `LadderRow`s."""

    empty = "Nobody has asked it to end."

    step = cell("ladder_step", accessor="step", verbose_name="Step")
    requested_at = cell("ladder_requested", accessor="step", verbose_name="Requested (UTC)")
    acknowledged_at = WhenColumn(accessor="step__acknowledged_at", verbose_name="Acknowledged")
    ended_at = WhenColumn(accessor="step__ended_at", verbose_name="Ended")
    process = cell("ladder_process", accessor="attempt", verbose_name="Worker and process")
    evidence = cell("ladder_evidence", accessor="step", verbose_name="Evidence", attrs={"td": {"class": "wide"}})


class SetAsideTable(ListTable):
    """Tasks that one job went on without."""

    task_id = cell("drift_task", verbose_name="Task")
    step = ConsoleColumn(verbose_name="Could not")
    error = ConsoleColumn(verbose_name="What was said", attrs={"td": {"class": "wide"}})


class DriftTable(ListTable):
    empty = "No drift matches."
    file = False

    task_id = cell("drift_task", verbose_name="Task")
    kind = ConsoleColumn(verbose_name="Drift")
    values = cell("drift_values", accessor="pk", verbose_name="Index has → source has", attrs={"td": {"class": "wide"}})
    version = cell("drift_version", accessor="pk", verbose_name="Version", attrs=NUMBERS)
    message = cell("drift_message", accessor="pk", verbose_name="Partition : offset")
    status = BadgeColumn(verbose_name="Verification")

    def render_kind(self, value: str) -> str:
        return value.title()
