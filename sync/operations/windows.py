"""Work on a window: one organization as a job, or many in one go as a batch."""

from __future__ import annotations

from collections.abc import Iterable

from opsconsole import audit, estate, trace
from opsconsole.errors import UsageError
from opsconsole.times import Window
from sync.models import BatchPlan, Job, JobKind, Mode, SkippedOrganization
from sync.operations.batches import BatchOptions, Origin, make_plan
from sync.operations.ids import organization_rules, require_keys
from sync.operations.jobs import create_job
from sync.operations.staging import known_organizations


def sync_window(text: str, window: Window, mode: Mode, actor: audit.Actor, *, reason: str = "") -> Job:
    """A job for the tasks of one organization that were updated in `window`.

    Raises UsageError (a bad or unknown id; another job is active) and UnavailableError.
    """
    keys = require_keys([text], organization_rules(estate.current().source))
    if len(keys) != 1:
        raise UsageError(f"One organization id is needed, and {len(keys):,} were given.")
    job = Job(
        kind=JobKind.WINDOW,
        mode=mode,
        organization_id=str(keys[0]),
        organization_name=known_organizations(keys)[keys[0]],
        window_from=window.start,
        window_to=window.end,
        trace_id=trace.current_or_new(),
        created_by=actor.name,
    )
    return create_job(job, actor, reason=reason)


def plan_windows(organizations: Iterable[str] | None, window: Window, mode: Mode, actor: audit.Actor) -> BatchPlan:
    """The plan of a batch with one job for each organization, over `window`: what is shown, then started.

    `organizations` are lines of ids in any shape; None takes all that are on the skip list now. Skipped ones are taken:
    that is what a window is for. Those with an active job are left out, and the plan names them. Raises UsageError and
    UnavailableError.
    """
    names = _skipped_names() if organizations is None else _given_names(organizations)
    options = BatchOptions(mode=mode, size=len(names), window=window, name="By window")
    return make_plan(options, actor, Origin(names=names, include_skipped=True))


def _skipped_names() -> dict[str, str]:
    entries = SkippedOrganization.objects.open().order_by("skipped_at", "pk")
    names = dict(entries.values_list("organization_id", "name"))
    if not names:
        raise UsageError("The skip list is empty: no organization to sync by window.")
    return names


def _given_names(lines: Iterable[str]) -> dict[str, str]:
    keys = require_keys(lines, organization_rules(estate.current().source))
    return {str(key): name for key, name in known_organizations(keys).items()}
