"""From what an audit row names to its page. Routes are names only, as in the sidebar: this module knows no app."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

PAGES = {
    "alert": "alerts:alert",
    "batch": "sync:batch",
    "channel": "alerts:channel",
    "job": "sync:job",
    "monitor": "schedules:monitor",
    "notification": "alerts:message",
    "plan": "sync:plan",
    "query_run": "sync:affected_run",
    "records": "records:breakdown",
    "run": "schedules:run",
    "scheduled_job": "schedules:job",
    "tracked_task": "abandonment:task",
}
LISTS = {
    "mute": "alerts:mutes",
    "queue": "pipeline:queues",
    "skip_list": "sync:skipped",
    "staged": "sync:staged",
    "token": "tokens",
    "worker": "pipeline:workers",
}
"""What has no page of its own, and the list that has it."""


def address_of_subject(subject: str) -> str:
    """The page of `job:12`, or the list that has it; empty where there is none. The page may be gone by now."""
    kind, _, which = subject.partition(":")
    try:
        if kind in PAGES:
            return reverse(PAGES[kind], args=[which])
        return reverse(LISTS[kind]) if kind in LISTS else ""
    except NoReverseMatch:
        return ""
