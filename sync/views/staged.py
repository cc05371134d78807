"""The staged set: see it, add to it, take out of it, empty it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.keyset import capped_count
from sync.access import STAGE, VIEW
from sync.forms import StageForm, refused_into
from sync.models import Mode, StagedOrganization
from sync.operations import staging
from sync.operations.batches import ready_organizations
from sync.reading import staged_with_obstacle
from sync.tables import EditableStagedTable, StagedTable

MOST_COUNTED = 100_000


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def staged_list(request: HttpRequest) -> HttpResponse:
    return _page(request, StageForm())


@require_POST
@requires(STAGE, scoping=Scoping.NARROWED)
def stage(request: HttpRequest) -> HttpResponse:
    form = StageForm(request.POST)
    if form.is_valid():
        with refused_into(form, "ids"):
            result = staging.stage(form.lines(), actor_of(request), origin="by hand")
            left_out = result.active or result.skipped
            (messages.warning if left_out else messages.success)(request, result.sentence())
            return redirect("sync:staged")
    return _page(request, form, status=400)


def _page(request: HttpRequest, form: StageForm, status: int = 200) -> HttpResponse:
    may_change = request.user.has_perm(STAGE.name)
    rows = staged_with_obstacle()
    table_class = EditableStagedTable if may_change else StagedTable
    table = table_class.from_request(request, rows, label="Staged organizations")
    content = {
        "form": form,
        "table": table,
        "staged": capped_count(StagedOrganization.objects.all()),
        "ready_to_report": capped_count(ready_organizations(Mode.REPORT)),
        "ready_to_sync": capped_count(ready_organizations(Mode.SYNC)),
        "may_change": may_change,
    }
    return render(request, "sync/staged.html", content, status=status)


@require_POST
@requires(STAGE, scoping=Scoping.NARROWED)
def unstage(request: HttpRequest) -> HttpResponseRedirect:
    """Take out the one whose button was pressed (`one`), or else all that are ticked (`selected`)."""
    one = request.POST.get("one")
    wanted = [one] if one else request.POST.getlist("selected")
    if not wanted:
        messages.warning(request, "Nothing was ticked, so nothing was removed.")
    else:
        removed = staging.unstage(wanted, actor_of(request))
        messages.success(request, f"{removed:,} removed from the set.")
    # The same page of the list; the path is ours, only what follows the question mark comes from the request.
    query = request.GET.urlencode()
    return redirect(f"{reverse('sync:staged')}{'?' if query else ''}{query}")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(STAGE, scoping=Scoping.NARROWED)
def clear(request: HttpRequest) -> HttpResponse:
    """Say how many there are, then empty the set."""
    if request.method == "POST":
        removed = staging.clear(actor_of(request))
        messages.success(request, f"{removed:,} removed; the set is empty.")
        return redirect("sync:staged")
    return render(
        request, "sync/staged_clear.html", {"staged": capped_count(StagedOrganization.objects.all(), MOST_COUNTED)}
    )
