"""What the clock does for sync."""

from opsconsole.clock.duties import duty
from sync.operations.batches import close_ended_batches
from sync.reconcile import reconcile

RECONCILE_SECONDS = 3.0

duty("sync.reconcile", every=RECONCILE_SECONDS)(reconcile)
duty("sync.close_ended_batches", every=RECONCILE_SECONDS)(close_ended_batches)
