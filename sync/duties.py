"""What the clock does for sync."""

from opsconsole.clock.duties import duty
from sync.operations.batches import drop_old_plans, keep_batches_moving
from sync.operations.query_runs import drop_old_rows, fail_lost_runs
from sync.operations.skiplist import resolve_missed
from sync.operations.tallies import gather_tallies
from sync.reconcile import ENDING, end_stuck_jobs, reconcile

RECONCILE_SECONDS = 3.0

duty("sync.reconcile", every=RECONCILE_SECONDS)(reconcile)
duty("sync.keep_batches_moving", every=RECONCILE_SECONDS)(keep_batches_moving)
duty("sync.end_stuck_jobs", every=RECONCILE_SECONDS, slow=True, wanted=ENDING.any)(end_stuck_jobs)

LOST_RUNS_SECONDS = 10.0
OLD_ROWS_SECONDS = 300.0
OLD_PLANS_SECONDS = 600.0
MISSED_ENDS_SECONDS = 60.0

duty("sync.fail_lost_query_runs", every=LOST_RUNS_SECONDS)(fail_lost_runs)
duty("sync.drop_old_query_rows", every=OLD_ROWS_SECONDS)(drop_old_rows)
duty("sync.drop_old_plans", every=OLD_PLANS_SECONDS)(drop_old_plans)
duty("sync.resolve_missed_skips", every=MISSED_ENDS_SECONDS)(resolve_missed)

TALLIES_SECONDS = 60.0

duty("sync.gather_tallies", every=TALLIES_SECONDS)(gather_tallies)
