"""What scheduled jobs announce to whoever listens. Sent after commit; arguments are numbers."""

from django.dispatch import Signal

run_ended = Signal()
"""A run reached a terminal state. Argument: `run_id`."""

run_missed = Signal()
"""A due time did not run, or has not begun within its grace. Argument: `run_id`."""

monitor_changed = Signal()
"""A monitor went down or came up again. Arguments: `monitor_id`, `trouble` (`pings.Trouble`; None: it is over)."""
