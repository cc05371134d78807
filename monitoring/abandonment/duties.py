"""What the clock does for tracked tasks. Both ask other systems, so they are done aside."""

from django.utils import timezone

from monitoring.abandonment.operations import disabling, looking, outcomes
from opsconsole.clock.duties import duty

LOOK_SECONDS = 10.0
DISABLE_SECONDS = 10.0


@duty("abandonment.look", every=LOOK_SECONDS, slow=True, wanted=lambda: bool(looking.due_sources(timezone.now())))
def look() -> int:
    return looking.look_at_due(timezone.now())


@duty("abandonment.disable", every=DISABLE_SECONDS, slow=True, wanted=disabling.TO_DO.any)
def disable() -> int:
    now = timezone.now()
    return disabling.work_off(now) + outcomes.note_enabled_elsewhere(now)
