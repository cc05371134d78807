"""The mails to owners: their templates, what they are rendered with, and an example of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from monitoring.abandonment.facts import Trouble
from monitoring.abandonment.models import TrackedTask
from monitoring.abandonment.words import long, said_of
from monitoring.alerts.texts import register_text
from opsconsole.words import utc

FOLDER = "abandonment/messages"
WARNING, REMINDER, DISABLED, HANDOVER, ENABLED = (
    f"{FOLDER}/{name}" for name in ("warning", "reminder", "disabled", "handover", "enabled")
)
LONGEST_ERROR = 600


def mail_context(task: TrackedTask, now: datetime, *, reason: str = "") -> dict[str, Any]:
    """What the templates are rendered with, as it stands now. JSON.

    `after` is how long after the delivery it is disabled, empty where it is not; `at` the promised time, once known.
    """
    trouble = Trouble(task.trouble) if task.trouble else _standing(task)
    since = task.failing_since if trouble is Trouble.ABANDONED else task.quiet_since
    return {
        "task": str(task),
        "kind": task.kind,
        "scope": task.scope,
        "idle": trouble is Trouble.IDLE,
        "said": said_of(task, trouble, now),
        "since": utc(since) if since else "",
        "restarted": task.restarted,
        "error": task.last_error[:LONGEST_ERROR],
        "after": long(task.notice_length) if task.notice_length is not None else "",
        "at": utc(task.disable_at) if task.disable_at else "",
        "owner": task.owner,
        "link": task.link,
        "reason": reason,
    }


def _standing(task: TrackedTask) -> Trouble:
    return Trouble.ABANDONED if task.failing_since is not None else Trouble.IDLE


EXAMPLE = {
    "task": "orders-to-warehouse",
    "kind": "capture",
    "scope": "eu-1",
    "idle": False,
    "said": "failing for 30 days, restarted 826 times",
    "since": "2026-02-01 04:12:00",
    "restarted": 826,
    "error": "connection to db.example.com:5432 timed out",
    "after": "7 days",
    "at": "2026-03-10 04:12:00",
    "owner": "ann@example.com",
    "link": "https://app.example.com/tasks/17",
    "reason": "Its owner was warned a week ago.",
}
IDLE = EXAMPLE | {"idle": True, "said": "no data for 30 days", "restarted": 0, "error": ""}

register_text(WARNING, "Tracked task: warning, it will be disabled", EXAMPLE | {"at": ""})
register_text(WARNING, "Tracked task: warning, nothing is disabled", EXAMPLE | {"after": "", "at": ""}, part="only")
register_text(WARNING, "Tracked task: warning of an idle one", IDLE | {"at": ""}, part="idle")
register_text(REMINDER, "Tracked task: reminder", EXAMPLE)
register_text(DISABLED, "Tracked task: disabled", EXAMPLE)
register_text(HANDOVER, "Tracked task: another owner", EXAMPLE)
register_text(ENABLED, "Tracked task: enabled again", EXAMPLE)
