"""What sync knows of a text that is searched for: jobs and batches by number, organizations and tasks by id in any
shape, organizations by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from opsconsole import estate, scope
from opsconsole.access import Scoping
from opsconsole.errors import ConsoleError
from opsconsole.estate import model
from opsconsole.keys import KeyKind
from opsconsole.search import MOST_OF_A_KIND, SHORTEST_NAME, Hit, Person, finds, numbered
from opsconsole.words import counted
from sync.access import VIEW
from sync.models import Batch, Drift, Job, SkippedOrganization, StagedOrganization
from sync.operations.ids import IdRules, organization_rules, read_ids, task_rules
from sync.source import Source

UUID_INSIDE = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])", re.IGNORECASE)
MOST_INSIDE = 3
"""A link has an organization and a task; what has more is a list."""

SOURCE_SECONDS = 1.0
NAMES_LOOKED_THROUGH = 10_000
"""Of jobs, the newest; of staged and skipped organizations, the first by id. Names have no index."""


@finds(VIEW, scoping=Scoping.NARROWED)
def jobs_and_batches(user: Person, text: str) -> Iterator[Hit]:
    for job in _jobs().filter(pk__in=numbered(text, "job")):
        yield Hit("job", f"Job {job.pk}", _of_job(job), reverse("sync:job", args=[job.pk]))
    for batch in Batch.objects.filter(pk__in=numbered(text, "batch", "batche")):
        sentence = f"{batch.status.label}: {counted(batch.size, 'organization')}, by {batch.created_by}."
        yield Hit("batch", f"Batch {batch.pk}", sentence, reverse("sync:batch", args=[batch.pk]))


@finds(VIEW, scoping=Scoping.NARROWED)
def organizations(user: Person, text: str) -> Iterator[Hit]:
    for key in _keys(text, organization_rules):
        yield from _organization(key, text)


def _organization(key: str, text: str) -> Iterator[Hit]:
    """What the console has of the organization with this id; any text of an id's shape can be compared by hand."""
    asked = urlencode({"organization": key})
    for job in _jobs().filter(organization_id=key).order_by("-pk")[:1]:
        sentence = f"Latest: job {job.pk}, {_of_job(job)}"
        yield Hit("organization", _named(job.organization_name, key), sentence, f"{reverse('sync:jobs')}?{asked}")
    for row in StagedOrganization.objects.filter(pk=key):
        yield Hit("staged", _named(row.name, key), f"Staged by {row.staged_by}.", reverse("sync:staged"), exact=False)
    for skipped in SkippedOrganization.objects.open().filter(organization_id=key)[:1]:
        sentence = f"On the skip list: {skipped.get_reason_display().lower()}."
        address = f"{reverse('sync:skipped')}?{asked}"
        yield Hit("skipped", _named(skipped.name, key), sentence, address, exact=False)
    if not text.isdigit():
        address = f"{reverse('sync:by_hand')}?{asked}"
        yield Hit(
            "by hand",
            f"Compare organization {key}",
            "A window of its tasks, in source and index.",
            address,
            exact=False,
        )


@finds(VIEW, scoping=Scoping.NARROWED)
def organizations_by_name(user: Person, text: str) -> Iterator[Hit]:
    if len(text) < SHORTEST_NAME or numbered(text, "job", "batch"):
        return
    newest = Job.objects.order_by("-pk").values("pk")[:NAMES_LOOKED_THROUGH]
    pairs = (
        Job.objects.filter(pk__in=newest, organization_name__icontains=text)
        .order_by("organization_name", "organization_id")
        .values_list("organization_id", "organization_name")
        .distinct()
    )
    staged = StagedOrganization.objects.order_by("pk").values("pk")[:NAMES_LOOKED_THROUGH]
    named = dict(pairs[:MOST_OF_A_KIND])
    named |= dict(
        StagedOrganization.objects.filter(pk__in=staged, name__icontains=text)
        .order_by("pk")
        .values_list("organization_id", "name")[:MOST_OF_A_KIND]
    )
    for key, name in named.items():
        address = f"{reverse('sync:jobs')}?{urlencode({'organization': key})}"
        yield Hit("organization", _named(name, key), "Its jobs.", address, exact=False)
    if len(named) < MOST_OF_A_KIND:
        yield from _named_in_source(text, set(named))


def _named_in_source(text: str, known: set[str]) -> Iterator[Hit]:
    """Customers that no job has met yet. Nothing where the source does not answer within a second."""
    try:
        settings = replace(estate.current().source, statement_timeout=SOURCE_SECONDS, connect_timeout=SOURCE_SECONDS)
        with Source(settings) as source:
            found = source.organizations_named(text, MOST_OF_A_KIND)
    except ConsoleError:
        return
    for key, name in ((str(key), name) for key, name in found.items()):
        if key not in known and scope.current().allows_organization(key):
            address = f"{reverse('sync:by_hand')}?{urlencode({'organization': key})}"
            yield Hit(
                "organization", _named(name, key), "No job has met it. Compare a window of it.", address, exact=False
            )


@finds(VIEW, scoping=Scoping.NARROWED)
def tasks(user: Person, text: str) -> Iterator[Hit]:
    for key in _keys(text, task_rules):
        found = Drift.objects.filter(task_id=key).select_related("job").defer("job__task_ids").order_by("-job_id")
        for drift in found[:MOST_OF_A_KIND]:
            address = f"{reverse('sync:job_drift', args=[drift.job_id])}?{urlencode({'task': key})}"
            yield Hit("task", key, f"Found {drift.kind} by job {drift.job_id}: {drift.status.label.lower()}.", address)
        if not text.isdigit():
            address = f"{reverse('sync:by_hand')}?{urlencode({'ids': key})}"
            yield Hit("by hand", f"Compare task {key}", "In source and index, now.", address, exact=False)


def _keys(text: str, rules: Callable[[model.Source], IdRules]) -> tuple[str, ...]:
    """The one id that the text is; or, where ids are UUIDs, the few that are somewhere in it: whoever has a
    customer on the line pastes a link of whatever product, or a line of a log."""
    try:
        wanted = rules(estate.current().source)
        read = read_ids(text, wanted)
    except ConsoleError:
        return ()  # no estate, no shape: nothing to find by
    if len(read.keys) == 1 and not read.malformed_total:
        return (str(read.keys[0]),)
    if wanted.kind is not KeyKind.UUID or not read.malformed_total:
        return ()
    inside = dict.fromkeys(one.lower() for one in UUID_INSIDE.findall(text))
    return tuple(inside) if len(inside) <= MOST_INSIDE else ()


def _jobs() -> QuerySet[Job]:
    return Job.objects.defer("task_ids")


def _of_job(job: Job) -> str:
    return f"{job.status.label.lower()}, {job.drift_found:,} out of sync, {job.published:,} published."


def _named(name: str, key: str) -> str:
    return f"{name} ({key})" if name else key
