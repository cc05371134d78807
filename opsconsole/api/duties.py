"""What the clock does for the API."""

from opsconsole.api.idempotency import drop_old_calls
from opsconsole.clock.duties import duty

OLD_CALLS_SECONDS = 600.0

duty("api.drop_old_calls", every=OLD_CALLS_SECONDS)(drop_old_calls)
