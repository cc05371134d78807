"""What sync announces to whoever listens. Sent after commit, where it happened; arguments are numbers."""

from django.dispatch import Signal

job_ended = Signal()
"""A job reached a terminal state. Argument: `job_id`."""

job_looping = Signal()
"""A job was stopped because its attempts kept dying. Argument: `job_id`. `job_ended` is sent as well."""

batch_ended = Signal()
"""The last job of a batch ended. Argument: `batch_id`."""
