"""The texts of alerts, each with an example for its preview."""

from __future__ import annotations

from typing import Any

from monitoring.alerts.models import About
from monitoring.alerts.operations.digests import DIGEST_TEXT
from monitoring.alerts.operations.telling import TEXT
from monitoring.alerts.texts import register_text
from monitoring.alerts.types import Severity, type_of

TEST_TEXT = "alerts/messages/test"


def alert_example(about: About, kind: str = "run_failed") -> dict[str, Any]:
    over = about in (About.RESOLVED, About.COMBINED)
    found = type_of(kind)
    return {
        "about": about.value,
        "about_label": about.label,
        "kind": kind,
        "label": found.label,
        "severity": Severity.WARNING.value,
        "severity_label": Severity.WARNING.label,
        "title": "nightly-check failed",
        "scope": "eu-central",
        "since": "2026-03-01 02:10:00",
        "lasted": "3 h 12 min",
        "count": 4,
        "seen": [["Run", "81"], ["Error", "The source did not answer within 30 s."]],
        "next": "" if over else "It is tried again at 2026-03-01 06:00:00 UTC.",
        "advice": found.advice,
        "link": "/schedules/jobs/nightly-check/",
        "alert": 12,
        "resolved": "2026-03-01 05:22:00" if over else "",
        "because": "Run 82 is done." if over else "",
    }


def register() -> None:
    for about in (About.FIRED, About.STILL_OPEN, About.ESCALATED, About.FLAPPING, About.RESOLVED, About.COMBINED):
        register_text(TEXT, f"Alert: {about.label.lower()}", alert_example(about), part=about.value)
    members = [
        {"subject": f"Run failed: {name} failed", "plain": f"{name} failed.\nSince 2026-03-01 02:10:00 UTC.\n"}
        for name in ("nightly-check", "hourly-check")
    ]
    register_text(DIGEST_TEXT, "Digest", {"members": members, "count": len(members)})
    register_text(TEST_TEXT, "Test of a channel", {"channel": "on-call", "by": "ann", "at": "2026-03-01 02:10:00"})
