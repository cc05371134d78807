"""A console with rows of one organization that somebody is limited to, and of one that they are not.

Whatever belongs to the one outside has its id or OUTSIDE in it: an answer that tells of it is known by its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from monitoring.records.models import Snapshot
from opsconsole import audit
from opsconsole.access import declared_permissions
from opsconsole.models import AuditEntry, GroupScope, User
from sync.models import (
    AffectedRow,
    QueryRun,
    SavedQuery,
    SkippedOrganization,
    SkipReason,
    StagedOrganization,
)
from sync.operations import batches
from sync.operations.batches import BatchOptions, Origin
from tests.company import Company
from tests.monitoring.files import Files
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_batch, make_drift
from tests.web.test_routes import person

INSIDE, OUTSIDE = "Inside Works", "Outside Works"
SOURCE, OTHER_SOURCE = "uploads", "exports"


@dataclass(frozen=True, slots=True)
class Things:
    """One of each kind, of one organization; `source` names a record source. Numbers as an address has them."""

    organization: str
    task: str
    job: int
    batch: int
    plan: int
    run: int
    saved: int
    entry: int
    skipped: int
    source: str
    trace: str
    record: int


@dataclass(frozen=True, slots=True)
class Place:
    inside: Things
    outside: Things
    person: User

    def client(self) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(self.person)
        return client

    @property
    def telltale(self) -> tuple[str, ...]:
        """What no answer to the limited person may have in it."""
        one = self.outside
        numbers = (("jobs", one.job), ("batches", one.batch), ("runs", one.run), ("plans", one.plan))
        return (OUTSIDE, one.organization, *(f"/{what}/{number}/" for what, number in numbers))


def limited_person(
    name: str = "lim",
    *,
    organizations: Iterable[str] = (),
    record_sources: Iterable[str] = (),
    permissions: Iterable[str] | None = None,
) -> User:
    """Somebody in one group, which has all of the console's permissions and is limited."""
    user = person(name, None)
    group = limited_group(name, organizations, record_sources, permissions)
    user.groups.add(group)
    return user


def limited_group(
    name: str,
    organizations: Iterable[str] = (),
    record_sources: Iterable[str] = (),
    permissions: Iterable[str] | None = None,
) -> Group:
    wanted = {one.name for one in declared_permissions()} if permissions is None else set(permissions)
    group = Group.objects.create(name=f"group of {name}")
    known = Permission.objects.select_related("content_type")
    group.permissions.set([one for one in known if f"{one.content_type.app_label}.{one.codename}" in wanted])
    if organizations or record_sources:
        GroupScope.objects.create(group=group, organizations=list(organizations), record_sources=list(record_sources))
    return group


def fill(company: Company, files: Files) -> Place:
    """Rows of every kind that belongs to an organization, for two of them."""
    inside, outside = (str(key) for key in company.organizations()[:2])
    for name, organization in ((INSIDE, inside), (OUTSIDE, outside)):
        company.in_source("UPDATE organizations SET name = %s WHERE id = %s", name, organization)
    user = limited_person(organizations=[inside], record_sources=[SOURCE])
    other = person("other", None)
    return Place(
        _things(company, files, inside, INSIDE, SOURCE, user, 1),
        _things(company, files, outside, OUTSIDE, OTHER_SOURCE, other, 2),
        user,
    )


def _things(company: Company, files: Files, key: str, name: str, source: str, owner: User, record: int) -> Things:
    now = timezone.now()
    actor = audit.Actor(owner.username, audit.Door.PAGE, owner.pk)
    trace = uuid4()
    batch = make_batch(name=name, state="done", ended_at=now, size=1, trace_id=trace)
    values = {"organization_id": key, "organization_name": name, "error": f"{name} broke", "error_type": "Odd"}
    fingerprint = {"error_fingerprint": f"{record:016x}"}
    job = make_job(
        batch=batch, state="failed", ended_at=now, started_at=now, stale=1, mode="sync", **values, **fingerprint
    )
    make_drift(job, source={"title": name}, index={"title": name})
    job.events.create(message=f"{name} was looked at")
    plan = batches.make_plan(BatchOptions(size=1, name=name), actor, Origin(names={key: name}))
    StagedOrganization.objects.create(organization_id=key, name=name, staged_by="tests")
    run = _run(key, name, owner, now)
    entry = AuditEntry.objects.filter(actor_user=owner).order_by("pk").first()
    if entry is None:
        audit.record(actor, "organizations.staged", "staged", reason=name, trace_id=trace)
        entry = AuditEntry.objects.get(actor_user=owner)
    SkippedOrganization.objects.put_on({key: name}, SkipReason.OTHER, f"{name} is large", "tests")
    files.add("processing", 120, 110, now=now, title=name, organization=key)
    Snapshot.objects.create(
        source=source, bucket=now, taken_at=now, seconds=0.1, older_than=timedelta(0), younger_than=timedelta(days=1)
    )
    saved = SavedQuery.objects.create(name=name, owner=owner, shared=True, parameters={"window": ["1h"]})
    return Things(
        organization=key,
        task=str(company.tasks(company.organizations()[record - 1])[0]),
        job=job.pk,
        batch=batch.pk,
        plan=plan.pk,
        run=run.pk,
        saved=saved.pk,
        entry=entry.pk,
        skipped=SkippedOrganization.objects.get(organization_id=key).pk,
        source=source,
        trace=str(trace),
        record=files._next - 1,
    )


def _run(key: str, name: str, owner: User, now: datetime) -> QueryRun:
    run = QueryRun.objects.create(
        started_by=owner.username,
        state="done",
        ended_at=now,
        organizations=1,
        tasks_updated=1,
        window_from=now - timedelta(hours=1),
        window_to=now,
        within=[key],
    )
    AffectedRow.objects.create(
        run=run, organization_id=key, name=name, updated=1, completed=0, first_update=now, last_update=now
    )
    return run
