"""The drift that one job found."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from opsconsole.access import requires
from opsconsole.keyset import capped_count
from sync.access import VIEW
from sync.forms import DriftFilter
from sync.reading import whole_jobs
from sync.tables import DriftTable


@require_safe
@requires(VIEW)
def drift_list(request: HttpRequest, number: int) -> HttpResponse:
    job = get_object_or_404(whole_jobs(), pk=number)
    form = DriftFilter(request.GET)
    if not form.is_valid():
        return render(request, "sync/job_drift.html", {"job": job, "form": form}, status=400)
    rows = job.drift.filter(**{name: value for name, value in form.cleaned_data.items() if value})
    table = DriftTable.from_request(request, rows, label="Drift", total=capped_count(rows))
    return render(request, "sync/job_drift.html", {"job": job, "form": form, "table": table})
