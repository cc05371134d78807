"""The plan of a batch: what a preview shows, and exactly what is queued afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from opsconsole import audit, scope
from opsconsole.errors import ConsoleError, UsageError
from opsconsole.scope import OutsideScopeError
from opsconsole.times import Window
from opsconsole.words import counted, some_of
from sync.models import BatchOrder, BatchPlan, BatchRelation, Mode, StagedOrganization
from sync.operations.batches.options import BatchOptions
from sync.operations.batches.selection import Origin, Selection, choose, count_staged_tasks, count_tasks
from sync.operations.estimate import Counted, estimate, recent_rates

CONFIRMED_ABOVE_ORGANIZATIONS = 1_000
CONFIRMED_ABOVE_TASKS = 1_000_000
KEPT_UNSTARTED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanContents:
    """A stored plan, read back. `active` and `skipped` were left out of an explicit list.

    `reach` and `reach_tasks` are what starting it sets off, with auto-advance counted in. `about`: the plan's number of
    tasks is scaled from those that could be counted; `no_time` says why there is no estimate of the time.
    """

    options: BatchOptions
    origin: Origin
    organizations: tuple[str, ...]
    active: tuple[str, ...]
    skipped: tuple[str, ...]
    reach: int
    reach_tasks: int | None
    about: bool
    no_time: str

    @property
    def confirmation(self) -> str:
        """What has to be typed before it starts; empty where nothing has to be."""
        many = self.reach > CONFIRMED_ABOVE_ORGANIZATIONS or (self.reach_tasks or 0) > CONFIRMED_ABOVE_TASKS
        return str(self.reach) if many else ""

    def require_confirmed(self, typed: str) -> None:
        """Raises UsageError unless the number of organizations was typed, where it has to be."""
        wanted = self.confirmation
        if wanted and "".join(typed.split()).replace(",", "") != wanted:
            reach = counted(self.reach, "organization")
            tasks = "" if self.reach_tasks is None else f" with {counted(self.reach_tasks, 'task')}"
            raise UsageError(f"This sets off {reach}{tasks}; type that number, {wanted}, to confirm it.")


class PlanChangedError(UsageError):
    """What would be taken is no longer what the plan shows. `plan` is a new one to look at, None for nothing at all."""

    def __init__(self, added: tuple[str, ...], removed: tuple[str, ...], plan: BatchPlan | None) -> None:
        changes = [
            f"{len(ids):,} {what} ({some_of(list(ids))})"
            for ids, what in ((added, "would come in"), (removed, "can no longer be taken"))
            if ids
        ]
        then = "look at the new plan, and start that" if plan else "there is nothing left to start"
        super().__init__(
            f"The organizations changed since the plan was made: {'; '.join(changes)}. Nothing was queued; {then}."
        )
        self.added = added
        self.removed = removed
        self.plan = plan


def make_plan(options: BatchOptions, actor: audit.Actor, origin: Origin | None = None) -> BatchPlan:
    """The plan of what a batch with these options would take now, stored. Asks the source for task counts.

    `origin` names organizations of their own; without it they come from the staged set. Raises BatchOptionsError,
    UsageError where nothing is ready, UnavailableError where the order needs a source that is away.
    """
    origin = origin or Origin()
    _require_possible(options, origin)
    if origin.names is None:
        count_as_needed(options)
    selection = choose(options, origin)
    if origin.names is not None or options.window is not None:
        selection = _with_counts(selection, options.window)
    return plan_of(options, origin, selection, actor)


def _require_possible(options: BatchOptions, origin: Origin) -> None:
    options.require_valid()
    if origin.names is not None and options.auto_advance:
        raise UsageError("A batch of named organizations has nothing to advance to; only the staged set has.")


def count_as_needed(options: BatchOptions) -> None:
    """Count staged tasks at the source. Raises UnavailableError where the order needs them."""
    if options.window is not None and options.order == BatchOrder.OLDEST:
        return  # whole organizations say nothing about a window
    try:
        count_staged_tasks(options)
    except ConsoleError:
        if options.order != BatchOrder.OLDEST:
            raise  # the counts are its order; in the other case they are only an estimate


def _with_counts(selection: Selection, window: Window | None) -> Selection:
    try:
        counts = count_tasks(list(selection.names), window)
    except ConsoleError:
        return selection
    counted = Counted(len(counts), sum(counts.values()))
    return replace(selection, counted=counted, reach_counted=counted)


def _nothing_ready(mode: Mode, selection: Selection, *, staged: bool) -> str:
    if not staged:
        return (
            f"None of these organizations can be taken: {len(selection.active):,} have an active job, "
            f"{len(selection.skipped):,} are on the skip list."
        )
    if not StagedOrganization.objects.exists():
        return "No organization is staged; stage some first."
    if mode == Mode.REPORT:
        return "Every staged organization was reported, is skipped or has an active job; clear the set, or sync it."
    return "Every staged organization is skipped or has an active job; wait for those, or cancel them."


def plan_of(options: BatchOptions, origin: Origin, selection: Selection, actor: audit.Actor) -> BatchPlan:
    """Store what was selected, with its hash and the estimate. Two queries. Raises UsageError for nothing."""
    if options.auto_advance and scope.current().organizations is not None:
        raise OutsideScopeError(
            "A batch that starts the next by itself takes all that is staged, and your groups are limited to some "
            "organizations. Start it without auto-advance."
        )
    if not selection.names:
        raise UsageError(_nothing_ready(options.mode, selection, staged=origin.names is None))
    organizations = list(selection.names)
    bound = {"options": options.to_json(), "origin": _origin_json(origin)}
    rates = recent_rates()
    expected = estimate(len(organizations), selection.counted, rates)
    shown = {
        "names": dict(selection.names) if origin.names is not None else None,
        "active": selection.active,
        "skipped": selection.skipped,
        "reach": selection.reach,
        "reach_tasks": estimate(selection.reach, selection.reach_counted, rates).tasks,
        "about": expected.about,
        "no_time": expected.reason,
    }
    return BatchPlan.objects.create(
        hash=hash_of(organizations, bound),
        organizations=organizations,
        options={**bound, "shown": shown},
        expected_tasks=expected.tasks,
        seconds_low=expected.low,
        seconds_high=expected.high,
        made_by=actor.name,
    )


def hash_of(organizations: list[str], bound: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of organizations and options, as 64 hexadecimal digits."""
    content = json.dumps({"organizations": organizations, **bound}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _origin_json(origin: Origin) -> dict[str, Any]:
    return {
        "listed": origin.names is not None,
        "previous": origin.previous,
        "relation": origin.relation and origin.relation.value,
        "include_skipped": origin.include_skipped,
    }


def contents_of(plan: BatchPlan) -> PlanContents:
    bound, shown = plan.options["origin"], plan.options["shown"]
    return PlanContents(
        options=BatchOptions.from_json(plan.options["options"]),
        origin=Origin(
            names={key: shown["names"][key] for key in plan.organizations} if bound["listed"] else None,
            previous=bound["previous"],
            relation=bound["relation"] and BatchRelation(bound["relation"]),
            include_skipped=bound["include_skipped"],
        ),
        organizations=tuple(plan.organizations),
        active=tuple(shown["active"]),
        skipped=tuple(shown["skipped"]),
        reach=shown["reach"],
        reach_tasks=shown["reach_tasks"],
        about=shown["about"],
        no_time=shown["no_time"],
    )


def find_plan(plan_id: int, plan_hash: str) -> BatchPlan:
    """The plan that was shown. Raises UsageError where it is gone, or is another than the hash says."""
    plan = BatchPlan.objects.select_related("batch").filter(pk=plan_id).first()
    if plan is None:
        raise UsageError("That plan is gone: one that nobody starts is kept for a day. Make a new one.")
    if plan.hash != plan_hash:
        raise UsageError("That plan is not the one that was shown; nothing was queued. Make a new one.")
    return plan


def drop_old_plans() -> int:
    """Delete plans that nobody has started within a day. Returns how many."""
    return BatchPlan.objects.filter(batch=None, made_at__lt=Now() - KEPT_UNSTARTED).delete()[0]
