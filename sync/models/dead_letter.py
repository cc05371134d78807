"""Dead letters, as the administration lists them: jobs that were given up."""

from __future__ import annotations

from sync.models.job import Job


class DeadLetter(Job):
    """A job that failed for good, or loops. The same row, under a name of its own."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "dead letter"
