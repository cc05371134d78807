"""Importing the skip list: first what would change, then exactly that, in one transaction, or nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from opsconsole import audit, estate, scope
from opsconsole.errors import UsageError
from opsconsole.keys import restore_key
from sync.models import Job, SkippedOrganization, SkipReason
from sync.models.staging import ROWS_PER_STATEMENT
from sync.operations.ids import organization_rules
from sync.operations.ids.lookup import KEYS_PER_QUERY
from sync.operations.skipfile import RowError, SkipFile, SkipRow, read_skip_file
from sync.operations.skiplist import tidy_note
from sync.source import Source

STILL_OPEN = "says that it is resolved, and it is on the list still; take it off there, with a reason"
FIELDS = ("reason", "job_id", "note", "skipped_by", "skipped_at")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after, as text for people. `before` is empty for a new entry."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one row does: a new entry, or an entry with other values. `entry` is as it is to be saved."""

    row: SkipRow
    entry: SkippedOrganization
    fields: tuple[FieldChange, ...]
    new: bool


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import would do. `digest` stands for exactly that; with `errors` nothing can be done."""

    changes: tuple[Change, ...]
    unchanged: int
    history: int
    errors: tuple[RowError, ...]
    digest: str

    @property
    def new(self) -> int:
        return sum(change.new for change in self.changes)

    @property
    def changed(self) -> int:
        return len(self.changes) - self.new

    def sentence(self) -> str:
        wrong = f", {len(self.errors):,} wrong" if self.errors else ""
        history = f", {self.history:,} of history left alone" if self.history else ""
        return f"{self.new:,} new, {self.changed:,} changed, {self.unchanged:,} unchanged{history}{wrong}."


class ListChangedError(UsageError):
    """The list is no longer what the preview was made from. `plan` is what would be done now."""

    def __init__(self, plan: ImportPlan) -> None:
        super().__init__("The skip list or the file changed since the preview; nothing was done. Look at it again.")
        self.plan = plan


def plan_import(text: str, actor: audit.Actor) -> ImportPlan:
    """What importing `text` would change now. Asks the source about organizations that are not on the list.

    Raises UsageError where the text cannot be read at all, UnavailableError.
    """
    file = _read(text)
    return _plan(file, _names(file), SkippedOrganization.objects.open(), actor)


def apply_import(text: str, digest: str, actor: audit.Actor, reason: str = "") -> ImportPlan:
    """Do what the preview with `digest` showed: all of it, in one transaction. Returns what was done.

    Raises ListChangedError where it would be something else by now, UsageError where rows are wrong, UnavailableError.
    """
    file = _read(text)
    names = _names(file)
    try:
        with transaction.atomic():
            plan = _plan(file, names, SkippedOrganization.objects.open().select_for_update(), actor)
            if plan.errors:
                first = plan.errors[0]
                raise UsageError(
                    f"{len(plan.errors):,} rows are wrong, so nothing was done; line {first.line:,} {first.why}."
                )
            if plan.digest != digest:
                raise ListChangedError(plan)
            if plan.changes:
                _write(plan, actor, reason)
            return plan
    except IntegrityError as error:
        if "one_open_skip_per_organization" not in str(error):
            raise
    raise ListChangedError(plan_import(text, actor))


def _read(text: str) -> SkipFile:
    """Raises OutsideScopeError, too: a file is taken whole."""
    file = read_skip_file(text, organization_rules(estate.current().source), datetime.now(UTC))
    scope.current().require_organizations(row.organization_id for row in file.rows)
    return file


def _names(file: SkipFile) -> Mapping[str, str]:
    """Names of those organizations of the file that are not on the list, as far as the source knows them."""
    wanted = {row.organization_id for row in file.rows if not row.resolved}
    listed = SkippedOrganization.objects.open_organizations(wanted)
    settings = estate.current().source
    keys = [restore_key(settings.organizations.id_type, text) for text in sorted(wanted - listed)]
    names: dict[str, str] = {}
    if keys:
        with Source(settings) as source:
            for begin in range(0, len(keys), KEYS_PER_QUERY):
                found = source.existing_organizations(keys[begin : begin + KEYS_PER_QUERY])
                names |= {str(key): name for key, name in found.items()}
    return names


def _plan(
    file: SkipFile, names: Mapping[str, str], entries: QuerySet[SkippedOrganization], actor: audit.Actor
) -> ImportPlan:
    """Two queries."""
    rows = [row for row in file.rows if not row.resolved]
    named = [row.organization_id for row in file.rows]
    listed = {entry.organization_id: entry for entry in entries.filter(organization_id__in=named)}
    jobs = dict(Job.objects.filter(pk__in={row.job for row in rows if row.job}).values_list("pk", "organization_id"))
    errors = list(file.errors)
    changes: list[Change] = []
    for row in rows:
        entry = listed.get(row.organization_id)
        why = _why_not(row, entry, names, jobs)
        if why:
            errors.append(RowError(row.line, row.organization_id, why))
        elif change := _change(row, entry, names, actor):
            changes.append(change)
    unchanged = len(rows) - len(changes) - (len(errors) - len(file.errors))
    history = [row for row in file.rows if row.resolved]
    untrue = [row for row in history if _is_open(row, listed.get(row.organization_id))]
    errors += [RowError(row.line, row.organization_id, STILL_OPEN) for row in untrue]
    errors.sort(key=lambda error: error.line)
    return ImportPlan(
        changes=tuple(changes),
        unchanged=unchanged,
        history=len(history) - len(untrue),
        errors=tuple(errors),
        digest=_digest(changes),
    )


def _is_open(row: SkipRow, entry: SkippedOrganization | None) -> bool:
    return entry is not None and row.skipped_at == entry.skipped_at


def _why_not(row: SkipRow, entry: SkippedOrganization | None, names: Mapping[str, str], jobs: Mapping[int, str]) -> str:
    if entry is None and row.organization_id not in names:
        return "is not known to the source"
    if row.job and row.job not in jobs:
        return f"names job {row.job}, which is not there"
    if row.job and jobs[row.job] != row.organization_id:
        return f"names job {row.job}, which is not one of this organization"
    return ""


def _change(
    row: SkipRow, entry: SkippedOrganization | None, names: Mapping[str, str], actor: audit.Actor
) -> Change | None:
    """None where the row says what the list has."""
    if entry is None:
        made = SkippedOrganization(
            organization_id=row.organization_id,
            name=names[row.organization_id],
            reason=row.reason or SkipReason.BY_HAND,
            note=row.note or "",
            job_id=row.job or None,
            skipped_by=row.skipped_by or actor.name,
        )
        if row.skipped_at:
            made.skipped_at = row.skipped_at
        times = () if row.skipped_at is None else ("skipped_at",)
        return Change(
            row, made, tuple(_field(name, None, getattr(made, name)) for name in (*FIELDS[:-1], *times)), new=True
        )
    wanted = {
        "reason": entry.reason if row.reason is None else row.reason.value,
        "job_id": entry.job_id if row.job is None else row.job or None,
        "note": entry.note if row.note is None else row.note,
        "skipped_by": row.skipped_by or entry.skipped_by,
        "skipped_at": row.skipped_at or entry.skipped_at,
    }
    fields = tuple(
        _field(name, getattr(entry, name), wanted[name])
        for name in FIELDS
        if _plain(getattr(entry, name)) != _plain(wanted[name])
    )
    for name, value in wanted.items():
        setattr(entry, name, value)
    return Change(row, entry, fields, new=False) if fields else None


def _plain(value: object) -> object:
    """Notes of before may have other line ends, or blanks around them, than a file gives back."""
    return tidy_note(value) if isinstance(value, str) else value


def _field(name: str, before: object, after: object) -> FieldChange:
    return FieldChange(name.removesuffix("_id"), _text(before), _text(after))


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return "" if value is None else str(value)


def _digest(changes: list[Change]) -> str:
    """SHA-256 of what would be written, and over what. The order of the rows is part of it."""
    content = [
        [change.entry.pk, change.row.organization_id, [[f.name, f.before, f.after] for f in change.fields]]
        for change in changes
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _write(plan: ImportPlan, actor: audit.Actor, reason: str) -> None:
    """The caller's transaction holds the entries that change."""
    new = [change.entry for change in plan.changes if change.new]
    changed = [change.entry for change in plan.changes if not change.new]
    SkippedOrganization.objects.bulk_create(new, batch_size=ROWS_PER_STATEMENT)
    SkippedOrganization.objects.bulk_update(changed, FIELDS, batch_size=ROWS_PER_STATEMENT)
    audit.record(
        actor,
        "skip_list.imported",
        "skip_list",
        reason=reason,
        new=len(new),
        changed=len(changed),
        digest=plan.digest,
    )
