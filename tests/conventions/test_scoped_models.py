"""Every model either leaves out what lies outside of a limited person's scope, or says why there is nothing of that.

A page, a file or a call that reads a model by its default manager then holds scopes without a word of its own.
"""

from __future__ import annotations

from django.apps import apps
from django.db.models import Model

from opsconsole.scoping import ScopedManager

OWN = ("opsconsole", "sync", "monitoring")
APART = {
    # People and the console itself.
    **dict.fromkeys(("User", "ApiToken", "IdempotentCall", "GroupScope"), "of people, not of customers"),
    **dict.fromkeys(
        ("Lease", "AuditAnchor", "PruneCount", "RateBucket", "Tally", "RestoreHold"), "of the console itself"
    ),
    **dict.fromkeys(("SavedQuery", "SavedFilter"), "narrowed by its owner"),
    # Reached by a record source that is seen (`standing.record_source`).
    **dict.fromkeys(("UsualTimes", "ChangedLimits"), "of a record source, by its name"),
    # What is closed to whoever is limited: it belongs to no organization, or tells of all of them.
    **dict.fromkeys(("Sample", "PausedQueue", "WorkerBeat", "JobProgress", "ChangedLimit", "SignalState"), "pipeline"),
    "CanaryRound": "pipeline",
    **dict.fromkeys(("ScheduledJob", "PingKey", "Monitor", "Looked", "Ping", "Run", "RunEvent"), "schedules"),
    **dict.fromkeys(("TrackedTask", "FailingSpell", "Disabling", "Policy", "SourceLook", "LookGap"), "tracked tasks"),
    "ScopeOutage": "tracked tasks",
    **dict.fromkeys(("Alert", "AlertEvent", "Channel", "Subscription", "Mute", "Notification"), "alerts"),
}


def own_models() -> list[type[Model]]:
    return [model for model in apps.get_models() if model.__module__.partition(".")[0] in OWN]


def test_every_model_holds_scopes_or_says_why_not() -> None:
    scoped = {model.__name__ for model in own_models() if isinstance(model._default_manager, ScopedManager)}
    assert {model.__name__ for model in own_models()} - scoped == set(APART)
    assert {"Job", "Batch", "BatchPlan", "Drift", "StagedOrganization", "AuditEntry", "Snapshot"} <= scoped


def test_what_names_an_organization_or_a_job_holds_scopes() -> None:
    telling = {"organization_id", "job"}
    wrong = [
        model.__name__
        for model in own_models()
        if telling & {field.name for field in model._meta.concrete_fields}
        and not isinstance(model._default_manager, ScopedManager)
    ]
    assert wrong == []
