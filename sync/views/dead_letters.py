"""Dead letters: what was given up after its retries, by reason, and what can be done about it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.keyset import capped_count
from sync.access import DELETE, RUN, SKIP, VIEW
from sync.dead_letters import dead_groups
from sync.forms import DEAD
from sync.job_form import JobFilter
from sync.operations import bulk
from sync.reading import listed_jobs
from sync.tables import DeadGroupTable, JobTable, PickableJobTable

ACTS = (RUN, SKIP, DELETE)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def dead_list(request: HttpRequest) -> HttpResponse:
    """The reasons, and below them the jobs: all, or those of `?error=`. Acts go to the pages that ask first."""
    asked = request.GET.copy()
    asked["state"] = DEAD
    form = JobFilter(asked)
    if not form.is_valid():
        return render(request, "sync/dead_letters.html", {"form": form}, status=400)
    rows = form.narrow(listed_jobs())
    may_act = any(request.user.has_perm(needed.name) for needed in ACTS)
    table_class = PickableJobTable if may_act else JobTable
    content = {
        "form": form,
        "groups": DeadGroupTable(dead_groups(), label="Reasons", request=request),
        "table": table_class.from_request(request, rows, label="Dead letters", total=capped_count(rows)),
        "fingerprint": form.cleaned_data["error"],
        "may_act": may_act,
        "most": bulk.MOST,
    }
    return render(request, "sync/dead_letters.html", content)
