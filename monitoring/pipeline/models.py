"""What the console keeps of queues, workers, consumer and canary. Each table is bounded by a duty of the clock."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

NAME_LENGTH = 60


class Sample(models.Model):
    """Figures of one subject (`queue:high`, `lag`, `signal:canary`) at one moment; a figure is None where unknown."""

    subject = models.CharField(max_length=NAME_LENGTH)
    at = models.DateTimeField()
    figures = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        permissions = [("view_pipeline", "Can see queues, workers, lag and canary")]
        constraints = [models.UniqueConstraint(fields=["subject", "at"], name="one_sample_at_a_time")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.at:%Y-%m-%d %H:%M:%S}"


class PausedQueue(models.Model):
    """A queue from which workers take nothing. There is no row for one that is not paused."""

    queue = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    reason = models.TextField()
    paused_by = models.CharField(max_length=150)
    paused_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        permissions = [("pause_queue", "Can pause and resume queues")]

    def __str__(self) -> str:
        return self.queue


class WorkerBeat(models.Model):
    """The last sign of a worker's process, by itself; and what its host says of the process since.

    `space` tells which kernel and container process numbers are counted in, `identity` one process from a later one
    with the same number. `seen` is empty, `stopped` or `gone`, as another process of that host saw it at `seen_at`.
    """

    name = models.CharField(primary_key=True, max_length=200)
    host = models.CharField(max_length=200)
    space = models.CharField(max_length=200)
    pid = models.IntegerField()
    identity = models.CharField(max_length=100)
    queues = models.JSONField(default=list)
    memory = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    seen = models.CharField(max_length=10, blank=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = [("restart_worker", "Can restart workers")]

    def __str__(self) -> str:
        return self.name


class JobProgress(models.Model):
    """Since when a running job stands where it stands. `place` is its attempt, checkpoint and counters as one text."""

    job_id = models.BigIntegerField(primary_key=True)
    place = models.TextField()
    since = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Progress of job {self.job_id}"


class ChangedLimit(models.Model):
    """What an administrator set on the page instead of the estate's value. Durations in seconds."""

    name = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    value = models.FloatField()
    changed_by = models.CharField(max_length=150)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        permissions = [("change_pipeline_limits", "Can change the limits of queues, workers, lag and canary")]

    def __str__(self) -> str:
        return self.name


class CanaryRound(models.Model):
    """One comparison of a sample: `compared` tasks, of which so many are stale, missing, orphan.

    Where some differ, their neighbours in time were compared too: `found` counts all that differ, `window_from` and
    `window_to` enclose their updates, half-open, and `whole` says that both edges were found. `tasks` are the first of
    them. Counts are 0 where `error` says why nothing was compared.
    """

    at = models.DateTimeField()
    seconds = models.FloatField()
    compared = models.IntegerField(default=0)
    stale = models.IntegerField(default=0)
    missing = models.IntegerField(default=0)
    orphan = models.IntegerField(default=0)
    found = models.IntegerField(default=0)
    organizations = models.IntegerField(default=0)
    whole = models.BooleanField(default=True)
    unsettled = models.IntegerField(default=0)
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    tasks = models.JSONField(default=list)
    error = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["-at"], name="canary_newest")]

    def __str__(self) -> str:
        return f"Canary of {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def differing(self) -> int:
        return self.stale + self.missing + self.orphan


class SignalState(models.Model):
    """What the clock last said of one signal of the overview. `since` is when its tone became what it is."""

    name = models.CharField(primary_key=True, max_length=NAME_LENGTH)
    tone = models.CharField(max_length=10)
    since = models.DateTimeField()
    looked_at = models.DateTimeField()
    shown = models.CharField(max_length=100)
    sentence = models.TextField()
    limit = models.CharField(max_length=100, blank=True)
    limit_value = models.FloatField(null=True)
    address = models.TextField()
    action = models.CharField(max_length=100, blank=True)
    action_address = models.TextField(blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
