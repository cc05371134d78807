"""Staging the organizations of stuck records, where the records are the source's tasks."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.records.query import RecordTable
from monitoring.records.standing import can_be_staged
from monitoring.records.stuck import StuckQuestion, StuckRecords
from opsconsole import audit, scope
from opsconsole.errors import UsageError
from opsconsole.estate.model import RecordSource
from opsconsole.keys import BadKeyError, parse_key
from opsconsole.scope import OutsideScopeError
from opsconsole.words import counted
from sync.operations import staging

MOST_ORGANIZATIONS = 10_000


def stage_records(source: RecordSource, ids: Sequence[str], actor: audit.Actor) -> staging.StageResult:
    """Stage the organizations of these records, each once. Asks the source. Raises UsageError, UnavailableError."""
    if not ids:
        raise UsageError("Nothing was ticked, so nothing was staged.")
    try:
        keys = [parse_key(source.id_type, text) for text in ids]
    except BadKeyError as error:
        raise UsageError(f"{error}; nothing was staged.") from None
    with _table(source) as table:
        organizations = StuckRecords(table).organizations_of(keys)
    if not all(map(scope.current().allows_organization, organizations)):
        raise OutsideScopeError(
            f"Of {counted(len(keys), 'record')}, some belong to organizations outside what your groups are limited to. "
            "Nothing was staged."
        )
    return _stage(organizations, source, actor)


def stage_all(source: RecordSource, question: StuckQuestion, actor: audit.Actor) -> staging.StageResult:
    """Stage the organizations of all records that `question` finds. Raises UsageError where they are too many."""
    with _table(source) as table:
        organizations = StuckRecords(table).organizations(question, MOST_ORGANIZATIONS + 1)
    if len(organizations) > MOST_ORGANIZATIONS:
        raise UsageError(
            f"More than {MOST_ORGANIZATIONS:,} organizations have stuck records; narrow the list. Nothing was staged."
        )
    return _stage(organizations, source, actor)


def _table(source: RecordSource) -> RecordTable:
    if not can_be_staged(source):
        raise UsageError(
            f"{source.label} are not the source's tasks, so a sync of their organizations would not help them."
        )
    return RecordTable(source)


def _stage(organizations: list[str], source: RecordSource, actor: audit.Actor) -> staging.StageResult:
    if not organizations:
        raise UsageError("None of these records belongs to an organization, so nothing was staged.")
    return staging.stage(organizations, actor, origin=f"stuck: {source.label}")
