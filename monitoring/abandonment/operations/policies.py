"""Policies: the book of all of them, saving and removing one. Every change is audited with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from monitoring.abandonment.models import RULE_FIELDS, Policy
from monitoring.abandonment.operations.proving import require_proof
from monitoring.abandonment.rules import Aim, Aimed, PolicyBook
from opsconsole import audit
from opsconsole.errors import UsageError

MOST = 1_000


def policy_book() -> PolicyBook:
    """One query."""
    return PolicyBook(row.aimed for row in Policy.objects.all()[:MOST])


def book_with(draft: Aimed, instead_of: Aim | None) -> PolicyBook:
    """The book as it would be with this policy saved, in place of another where one is changed."""
    kept = (row.aimed for row in Policy.objects.all()[:MOST] if row.aim not in (draft.aim, instead_of))
    return PolicyBook([draft, *kept])


def save_policy(
    policy: Policy | None, values: Mapping[str, Any], actor: audit.Actor, reason: str, now: datetime, *, proof: str
) -> Policy:
    """A new policy, or `policy` with these values, which `simulate` has tried: `proof` is its word for that.

    Raises NotSimulatedError without it, UsageError where there is a policy for this scope and kind. Dates that were
    promised to owners stay: they are with the tasks, not with the policy.
    """
    row = copy(policy) if policy else Policy()
    instead_of = policy.aim if policy else None
    before = {} if policy is None else {name: str(getattr(policy, name)) for name in RULE_FIELDS}
    for name, value in values.items():
        setattr(row, name, value)
    require_proof(proof, row.aimed, instead_of, now)
    row.changed_at, row.changed_by = now, actor.name
    try:
        with transaction.atomic():
            row.save()
            audit.record(
                actor,
                "tracked_policy.changed" if policy else "tracked_policy.added",
                f"tracked_policy:{row.pk}",
                reason=reason,
                scope=row.scope,
                kind=row.kind,
                before=before,
                after={name: str(getattr(row, name)) for name in RULE_FIELDS},
            )
    except IntegrityError as error:
        raise UsageError(
            f"There is a policy for scope {row.scope} and kind {row.kind} already; change that one."
        ) from error
    return row


def remove_policy(policy: Policy, actor: audit.Actor, reason: str) -> None:
    """Its tasks come under the next wider policy, or under none: detection only."""
    with transaction.atomic():
        number = policy.pk
        policy.delete()
        audit.record(
            actor,
            "tracked_policy.removed",
            f"tracked_policy:{number}",
            reason=reason,
            scope=policy.scope,
            kind=policy.kind,
        )
