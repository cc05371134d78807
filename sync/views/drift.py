"""The drift that one job found: with filters, and as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from opsconsole import estate
from opsconsole.access import Scoping, requires
from opsconsole.downloads import csv_download
from opsconsole.keyset import CappedCount, capped_count
from sync.access import VIEW
from sync.job_form import DriftFilter
from sync.models import Drift, Job, Verification
from sync.reading import drift_of, whole_jobs
from sync.tables import DriftTable

ROWS_PER_FETCH = 2_000
PLAIN = ("kind", "source_version", "index_version", "source_updated_at", "found_at")
MESSAGE = ("partition", "offset", "published_at")
CSV_HEADER = ("task", "fields", "index", "source", *PLAIN, *MESSAGE, "verification")


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def drift_list(request: HttpRequest, number: int) -> HttpResponse:
    job = get_object_or_404(whole_jobs(), pk=number)
    form = DriftFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/job_drift.html", {"job": job, "form": form}, status=400)
    rows = form.narrow(drift_of(job))
    table = DriftTable.from_request(request, rows, label="Drift", total=_total(job, form, rows))
    cleared = bool(job.drift_found and rows.query.is_empty())
    content = {"job": job, "form": form, "table": table, "filtered": form.asked, "cleared": cleared}
    return render(request, "sync/job_drift.html", content)


def _total(job: Job, form: DriftFilter, rows: QuerySet[Drift]) -> CappedCount:
    """The job itself counts its drift, by kind too; only what is asked for otherwise has to be counted."""
    asked = {name for name, value in form.cleaned_data.items() if value}
    if asked - {"kind"}:
        return capped_count(rows)
    if rows.query.is_empty():  # cleared away, while the counts stay
        return CappedCount(0, capped=False)
    return CappedCount(getattr(job, form.cleaned_data["kind"]) if asked else job.drift_found, capped=False)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def drift_csv(request: HttpRequest, number: int) -> HttpResponseBase:
    """All rows that match the address's filter, streamed; the values of both sides as JSON."""
    job = get_object_or_404(Job.objects.only("pk", "unresolved"), pk=number)
    form = DriftFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/job_drift.html", {"job": whole_jobs().get(pk=number), "form": form}, status=400)
    rows = _csv_rows(job, form.narrow(job.drift.all()))
    return csv_download(request, f"job:{job.pk}", f"job-{job.pk}-drift.csv", CSV_HEADER, rows)


def _csv_rows(job: Job, rows: QuerySet[Drift]) -> Iterator[tuple[object, ...]]:
    prefix = estate.current().source.id_prefix
    found = rows.order_by("pk").values_list("task_id", "fields", "index", "source", "verification", *PLAIN, *MESSAGE)
    for task, fields, index, source, stored, *rest in found.iterator(chunk_size=ROWS_PER_FETCH):
        status = Verification(stored).in_job(job.unresolved)
        yield (f"{prefix}{task}", " ".join(fields), _json(index), _json(source), *map(_plain, rest), status.value)


def _json(values: object) -> str:
    return "" if values is None else json.dumps(values, ensure_ascii=False)


def _plain(value: object) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else value
