"""What sync announces to whoever listens. Sent after commit, where it happened; arguments are numbers."""

from django.dispatch import Signal

jobs_ended = Signal()
"""Jobs reached a terminal state, in one transaction. Argument: `job_ids`."""

job_looping = Signal()
"""A job was stopped because its attempts kept dying. Argument: `job_id`. `jobs_ended` is sent as well."""

batch_ended = Signal()
"""The last job of a batch ended. Argument: `batch_id`."""
