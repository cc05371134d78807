"""What sync knows of a text that is searched for: jobs and batches by number, organizations and tasks by id in any
shape, organizations by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from opsconsole import estate
from opsconsole.access import Scoping
from opsconsole.errors import ConsoleError
from opsconsole.estate.model import Source
from opsconsole.search import MOST_OF_A_KIND, SHORTEST_NAME, Hit, Person, finds, numbered
from opsconsole.words import counted
from sync.access import VIEW
from sync.models import Batch, Drift, Job, SkippedOrganization, StagedOrganization
from sync.operations.ids import IdRules, organization_rules, read_ids, task_rules

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
    """What the console has of the organization with this id; any text of an id's shape can be compared by hand."""
    key = _one_key(text, organization_rules)
    if key is None:
        return
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
        yield Hit("by hand", key, "Compare a window of the organization with this id.", address, exact=False)


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


@finds(VIEW, scoping=Scoping.NARROWED)
def tasks(user: Person, text: str) -> Iterator[Hit]:
    key = _one_key(text, task_rules)
    if key is None:
        return
    found = Drift.objects.filter(task_id=key).select_related("job").defer("job__task_ids").order_by("-job_id")
    for drift in found[:MOST_OF_A_KIND]:
        address = f"{reverse('sync:job_drift', args=[drift.job_id])}?{urlencode({'task': key})}"
        yield Hit("task", key, f"Found {drift.kind} by job {drift.job_id}: {drift.status.label.lower()}.", address)
    if not text.isdigit():
        address = f"{reverse('sync:by_hand')}?{urlencode({'ids': key})}"
        yield Hit("by hand", key, "Compare the task with this id, now.", address, exact=False)


def _one_key(text: str, rules: Callable[[Source], IdRules]) -> str | None:
    """The one id in the text; None where it is none, or several."""
    try:
        read = read_ids(text, rules(estate.current().source))
    except ConsoleError:
        return None  # no estate, no shape: nothing to find by
    return str(read.keys[0]) if len(read.keys) == 1 and not read.malformed_total else None


def _jobs() -> QuerySet[Job]:
    return Job.objects.defer("task_ids")


def _of_job(job: Job) -> str:
    return f"{job.status.label.lower()}, {job.drift_found:,} out of sync, {job.published:,} published."


def _named(name: str, key: str) -> str:
    return f"{name} ({key})" if name else key
