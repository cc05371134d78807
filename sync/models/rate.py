"""How many messages may still go out at a rate that several processes share."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RateBucket(models.Model):
    """One for the estate, one for each batch with a rate of its own. `tokens` as of `refilled_at`; `sync.throttle`
    reads and writes it."""

    name = models.CharField(max_length=60, primary_key=True)
    tokens = models.FloatField(default=0.0)
    refilled_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
