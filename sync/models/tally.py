"""Running totals of all that jobs have done, for counters that only rise."""

from __future__ import annotations

from django.db import models

COUNTERS = ("scanned", "stale", "missing", "orphan", "published", "verified", "unresolved", "set_aside")


class Tally(models.Model):
    """What one connection to the database has added to the counters of jobs; a trigger on jobs writes it, in the
    transaction that does. One row for each connection, so that none waits for another's; `backend` 0 has what those
    added that are gone.
    """

    backend = models.IntegerField(primary_key=True)
    scanned = models.BigIntegerField(default=0)
    stale = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    orphan = models.BigIntegerField(default=0)
    published = models.BigIntegerField(default=0)
    verified = models.BigIntegerField(default=0)
    unresolved = models.BigIntegerField(default=0)
    set_aside = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"Tally of connection {self.backend}"
