"""Changing the limits on the page."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from monitoring.pipeline.limits import BY_NAME, value_of
from monitoring.pipeline.models import ChangedLimit
from opsconsole import audit, estate


def change_limits(values: Mapping[str, float | None], actor: audit.Actor, reason: str) -> list[str]:
    """Set limits by name, each within its bounds; None, or the estate's own value, goes back to the estate's. Audited.

    Returns the names that changed; nothing is written where none did.
    """
    defaults = estate.current().pipeline
    with transaction.atomic():
        before = dict(ChangedLimit.objects.select_for_update().values_list("name", "value"))
        after = {
            name: value for name, value in values.items() if value is not None and value != value_of(defaults, name)
        }
        changed = [name for name in BY_NAME if name in values and before.get(name) != after.get(name)]
        for name in changed:
            if name in after:
                fields = {"value": after[name], "changed_by": actor.name}
                ChangedLimit.objects.update_or_create(name=name, defaults=fields)
            else:
                ChangedLimit.objects.filter(name=name).delete()
        if changed:
            audit.record(
                actor,
                "pipeline.limits_changed",
                "pipeline",
                reason=reason,
                before={name: before.get(name) for name in changed},
                after={name: after.get(name) for name in changed},
            )
    return changed
