"""What the clock does for the record statuses, one bounded step at a time, so that it goes on when workers are down."""

from django.utils import timezone

from monitoring.records.operations import snapshots, usual
from opsconsole.clock.duties import duty

DUE_SECONDS = 5.0
THIN_SECONDS = 600.0
USUAL_SECONDS = 60.0


@duty("records.take_snapshots", every=DUE_SECONDS, slow=True, wanted=lambda: snapshots.one_is_due(timezone.now()))
def take_snapshots() -> bool:
    return snapshots.take_due(timezone.now())


@duty("records.thin_snapshots", every=THIN_SECONDS)
def thin_snapshots() -> int:
    return snapshots.thin(timezone.now())


@duty("records.measure_usual_times", every=USUAL_SECONDS, slow=True, wanted=lambda: usual.one_is_due(timezone.now()))
def measure_usual_times() -> bool:
    return usual.measure_due(timezone.now())
