"""One tracked task: what its system says, what the console remembers, and what people wish."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from monitoring.abandonment.facts import Facts, Notice, Remembered, Trouble
from monitoring.abandonment.models.states import TaskState

NAME_LENGTH = 60
KEY_LENGTH = 200
TEXT_LENGTH = 200

NOTICE_FIELDS = ("number", "owner", "length", "made_at", "delivered_at", "reminded")


class TrackedTask(models.Model):
    """A row for each task of each source. `key` is its id there. The columns down to `link` are its system's words,
    those from `first_seen_at` on what `facts.Remembered` says they are; the last are people's wishes.

    `hold` is why nothing more is done although it would be time (`evaluator.Hold`). `notice_…` are the warning that
    stands; `disable_at` is promised and kept as a column, so that lists can sort by it.
    """

    source = models.CharField(max_length=NAME_LENGTH)
    key = models.CharField(max_length=KEY_LENGTH)
    title = models.CharField(max_length=TEXT_LENGTH, blank=True)
    kind = models.CharField(max_length=TEXT_LENGTH, blank=True)
    owner = models.CharField(max_length=320, blank=True)
    scope = models.CharField(max_length=TEXT_LENGTH, blank=True)
    enabled = models.BooleanField(default=True)
    has_shards = models.BooleanField(default=True)
    protected = models.BooleanField(default=False)
    healthy = models.BooleanField(default=True)
    data_known = models.BooleanField(default=True)
    created_at = models.DateTimeField(null=True)
    last_healthy_at = models.DateTimeField(null=True)
    last_data_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    failures = models.BigIntegerField(default=0)
    restarts = models.BigIntegerField(default=0)
    last_error = models.TextField(blank=True)
    link = models.CharField(max_length=2_000, blank=True)

    state = models.CharField(max_length=14, choices=TaskState.choices, default=TaskState.HEALTHY)
    hold = models.CharField(max_length=14, blank=True)
    first_seen_at = models.DateTimeField()
    looked_at = models.DateTimeField()
    enabled_since = models.DateTimeField(null=True)
    healthy_since = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failing_unknown = models.DurationField()
    quiet_since = models.DateTimeField(null=True)
    quiet_uncounted = models.DurationField()
    seen_failures = models.BigIntegerField(default=0)
    seen_restarts = models.BigIntegerField(default=0)
    restarts_before = models.BigIntegerField(default=0)
    trouble = models.CharField(max_length=10, blank=True)
    trouble_since = models.DateTimeField(null=True)
    forced_at = models.DateTimeField(null=True)
    notices = models.IntegerField(default=0)
    notice_number = models.IntegerField(null=True)
    notice_owner = models.CharField(max_length=320, blank=True)
    notice_length = models.DurationField(null=True)
    notice_made_at = models.DateTimeField(null=True)
    notice_delivered_at = models.DateTimeField(null=True)
    notice_reminded = models.DurationField(null=True)
    disable_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)

    exempt = models.BooleanField(default=False)
    keep_until = models.DateTimeField(null=True)
    wish_reason = models.CharField(max_length=500, blank=True)
    wish_by = models.CharField(max_length=150, blank=True)
    wish_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_tasks", "Can see tracked tasks"),
            ("keep_tasks", "Can keep tracked tasks and exempt them"),
            ("warn_owners", "Can warn the owners of tracked tasks"),
            ("disable_tasks", "Can disable tracked tasks and enable them again"),
            ("report_tasks", "Can report tracked tasks by the API"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["source", "key"], name="one_row_per_tracked_task"),
            models.CheckConstraint(
                condition=Q(notice_number__isnull=True) | ~Q(trouble=""), name="a_warning_is_of_a_trouble"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "id"], name="tracked_by_state"),
            models.Index(fields=["source", "scope", "failing_since"], name="tracked_by_scope"),
            models.Index(F("failing_since").asc(nulls_last=True), F("id").asc(), name="tracked_by_failing"),
            models.Index(fields=["owner", "id"], name="tracked_by_owner"),
            models.Index(fields=["disable_at", "id"], name="tracked_countdown", condition=Q(disable_at__isnull=False)),
            models.Index(fields=["source", "id"], name="tracked_trouble", condition=~Q(trouble="")),
        ]

    def __str__(self) -> str:
        return self.title or self.key

    @property
    def status(self) -> TaskState:
        return TaskState(self.state)

    @property
    def subject(self) -> str:
        """Its name in alerts and on the audit log."""
        return f"tracked_task:{self.pk}"

    @property
    def restarted(self) -> int:
        """How often, since it was last healthy."""
        return max(0, self.restarts - self.restarts_before)

    def notice_key(self, number: int) -> str:
        """The idempotency key of its warning of this number."""
        return f"{self.subject}:warning:{number}"

    @property
    def facts(self) -> Facts:
        return Facts(**{name: getattr(self, name) for name in FACT_FIELDS})

    @property
    def remembered(self) -> Remembered:
        return Remembered(
            **{name: getattr(self, name) for name in SAME_FIELDS},
            failures=self.seen_failures,
            restarts=self.seen_restarts,
            trouble=Trouble(self.trouble) if self.trouble else None,
            notice=self._notice,
        )

    @property
    def _notice(self) -> Notice | None:
        if self.notice_number is None or self.notice_made_at is None:
            return None
        return Notice(
            self.notice_number,
            self.notice_owner,
            self.notice_length,
            self.notice_made_at,
            self.notice_delivered_at,
            self.notice_reminded,
        )

    def remember(self, state: Remembered) -> None:
        """Take over what is to be remembered; saves nothing."""
        for name in SAME_FIELDS:
            setattr(self, name, getattr(state, name))
        self.seen_failures, self.seen_restarts = state.failures, state.restarts
        self.trouble = state.trouble.value if state.trouble else ""
        notice = state.notice
        for name in NOTICE_FIELDS:
            empty = "" if name == "owner" else None
            setattr(self, f"notice_{name}", empty if notice is None else getattr(notice, name))
        self.disable_at = None if notice is None else notice.disable_at

    def failing_for(self, now: datetime) -> float:
        """Seconds."""
        return self.remembered.failing_for(now).total_seconds()


FACT_FIELDS = (
    *("enabled", "has_shards", "healthy", "created_at", "last_healthy_at", "last_data_at", "data_known"),
    *("failures", "restarts", "changed_at", "owner", "protected"),
)
SAME_FIELDS = (
    *("first_seen_at", "looked_at", "enabled", "enabled_since", "healthy_since", "failing_since", "failing_unknown"),
    *("quiet_since", "quiet_uncounted", "restarts_before", "trouble_since", "forced_at", "notices"),
    *("exempt", "keep_until"),
)


class FailingSpell(models.Model):
    """A time in which a task was seen failing; `ended_at` is None while it is. What lies between was healthy."""

    task = models.ForeignKey(TrackedTask, on_delete=models.CASCADE, related_name="spells", db_index=False)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["task"], condition=Q(ended_at__isnull=True), name="one_open_spell")
        ]
        indexes = [models.Index(fields=["task", "began_at"], name="spells_of_task")]

    def __str__(self) -> str:
        return f"{self.task_id} from {self.began_at:%Y-%m-%d %H:%M}"
