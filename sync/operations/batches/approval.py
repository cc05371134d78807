"""Very large syncs wait for a second person: one asks, another approves or refuses, and both are on the audit log."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from opsconsole import audit
from opsconsole.api.models import ApiToken
from opsconsole.errors import UsageError
from opsconsole.words import counted
from sync.models import Approval, Batch, BatchPlan, Mode
from sync.operations.batches.plan import PlanChangedError, PlanContents, contents_of, find_plan, make_plan


class ApprovalNeededError(UsageError):
    """The plan may not start before a second person has approved it."""


def needs_approval(contents: PlanContents) -> bool:
    """Whether starting it publishes for more organizations or tasks than one person may decide."""
    return contents.options.mode is Mode.SYNC and (
        contents.reach > settings.APPROVAL_ABOVE_ORGANIZATIONS
        or (contents.reach_tasks or 0) > settings.APPROVAL_ABOVE_TASKS
    )


def require_approved(plan: BatchPlan, contents: PlanContents) -> None:
    """Raises ApprovalNeededError."""
    if needs_approval(contents) and plan.approval != Approval.APPROVED:
        raise ApprovalNeededError(
            f"This publishes for {counted(contents.reach, 'organization')}: a second person has to approve it. "
            "Ask for that on the plan's page, or by the API."
        )


def ask_approval(plan_id: int, plan_hash: str, actor: audit.Actor, confirmation: str, reason: str) -> BatchPlan:
    """Make the plan wait for a second person. Asked twice it waits once. Raises UsageError."""
    plan = find_plan(plan_id, plan_hash)
    contents = contents_of(plan)
    contents.require_confirmed(confirmation)
    if not needs_approval(contents):
        raise UsageError("This plan needs nobody's approval; start it.")
    if not reason.strip():
        raise UsageError("Say why: whoever approves it reads that.")
    with transaction.atomic():
        asked = BatchPlan.objects.filter(pk=plan.pk, batch=None, approval=Approval.NONE).update(
            approval=Approval.WAITING,
            asked_by=actor.name,
            asked_by_user=actor.user_id,
            asked_for=_behind(actor),
            asked_reason=reason,
            asked_at=Now(),
        )
        if asked:
            audit.record(
                actor,
                "plan.approval_asked",
                _subject(plan),
                reason=reason,
                organizations=contents.reach,
                plan=plan.hash,
            )
    return BatchPlan.objects.get(pk=plan.pk)


def approve(plan_id: int, plan_hash: str, actor: audit.Actor, reason: str) -> Batch:
    """Approve what somebody else asked for, and start it in their name. Both are one transaction.

    Raises UsageError where it is the actor's own, or waits for nobody; PlanChangedError where something else would be
    taken now: that has to be asked for anew.
    """
    # Here and not above: starting a plan asks this module whether it may.
    from sync.operations.batches.start import start_plan  # noqa: PLC0415

    plan = find_plan(plan_id, plan_hash)
    contents = contents_of(plan)
    asker = audit.Actor(plan.asked_by, audit.Door.PAGE, plan.asked_by_user_id)
    try:
        with transaction.atomic():
            _decide(plan, actor, Approval.APPROVED, reason)
            audit.record(actor, "plan.approved", _subject(plan), reason=reason, asked_by=plan.asked_by, plan=plan.hash)
            why = f"{plan.asked_reason} (approved by {actor.name})"
            return start_plan(plan.pk, plan.hash, asker, contents.confirmation, why)
    except PlanChangedError as changed:
        # The new plan that it carries was rolled back with the rest.
        again = make_plan(contents.options, asker, contents.origin) if changed.plan else None
        raise PlanChangedError(changed.added, changed.removed, again) from changed


def refuse(plan_id: int, plan_hash: str, actor: audit.Actor, reason: str) -> None:
    """The plan is never started. Whoever asked may take it back themselves. Raises UsageError."""
    plan = find_plan(plan_id, plan_hash)
    with transaction.atomic():
        _decide(plan, actor, Approval.REFUSED, reason)
        audit.record(actor, "plan.refused", _subject(plan), reason=reason, asked_by=plan.asked_by, plan=plan.hash)


def is_own(plan: BatchPlan, actor: audit.Actor) -> bool:
    """Whether the actor asked for it: by name, as the same person, or by a token that they made."""
    same_person = actor.user_id is not None and actor.user_id == plan.asked_by_user_id
    return same_person or actor.name in (plan.asked_by, plan.asked_for)


def _decide(plan: BatchPlan, actor: audit.Actor, decision: Approval, reason: str) -> None:
    if decision is Approval.APPROVED and is_own(plan, actor):
        raise UsageError("Nobody approves what they asked for themselves: a second person has to.")
    decided = BatchPlan.objects.filter(pk=plan.pk, batch=None, approval=Approval.WAITING).update(
        approval=decision, decided_by=actor.name, decided_reason=reason, decided_at=Now()
    )
    if not decided:
        raise UsageError("This plan does not wait for approval any more; look at it again.")


def _behind(actor: audit.Actor) -> str:
    """Who made the token that asked; the actor where there is none."""
    token = ApiToken.objects.filter(pk=actor.token_id).first() if actor.token_id else None
    return token.created_by if token else actor.name


def _subject(plan: BatchPlan) -> str:
    return f"plan:{plan.pk}"
