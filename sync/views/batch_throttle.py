"""A batch's throttle, on a page of its own: what holds now, and what shall."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from opsconsole.access import Scoping, requires
from opsconsole.audit import actor_of
from opsconsole.errors import ConsoleError
from sync.access import RUN
from sync.batch_form import ThrottleForm
from sync.models import Batch
from sync.operations import batches as operations
from sync.operations.batches import BatchOptionsError


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUN, scoping=Scoping.NARROWED)
def throttle_batch(request: HttpRequest, number: int) -> HttpResponse:
    """Change how fast the batch publishes, with a reason."""
    batch = get_object_or_404(Batch, pk=number)
    initial = {"messages_per_second": batch.messages_per_second, "lag_limit": batch.lag_limit}
    form = ThrottleForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_valid() and _changed(request, batch, form):
        messages.success(request, f"Batch {batch.pk} publishes by its new limits within a few seconds.")
        return redirect("sync:batch", batch.pk)
    content = {"batch": batch, "form": form}
    return render(request, "sync/batch_throttle.html", content, status=400 if form.errors else 200)


def _changed(request: HttpRequest, batch: Batch, form: ThrottleForm) -> bool:
    typed = form.cleaned_data
    try:
        operations.throttle(batch, typed["messages_per_second"], typed["lag_limit"], actor_of(request), typed["reason"])
    except BatchOptionsError as error:
        for name, sentence in error.problems.items():
            form.add_error(name, sentence)
    except ConsoleError as error:
        form.add_error(None, str(error))
    return not form.errors
