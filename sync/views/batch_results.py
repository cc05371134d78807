"""What came of batches: the CSV of one, two side by side."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from opsconsole.access import Scoping, requires
from opsconsole.downloads import csv_download
from sync.access import VIEW
from sync.form_fields import whole_number
from sync.forms import LARGEST_NUMBER
from sync.models import Batch
from sync.operations import batches as operations

ROWS = 50


class CompareForm(forms.Form):
    """Which batch to compare with, and after which organization the page begins."""

    other = whole_number(
        "Compare with batch",
        "Its number, such as that of the report before a sync.",
        min_value=1,
        max_value=LARGEST_NUMBER,
    )
    after = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)

    def clean_other(self) -> Batch:
        batch = Batch.objects.filter(pk=self.cleaned_data["other"]).first()
        if batch is None:
            raise forms.ValidationError(f"There is no batch {self.cleaned_data['other']}.")
        return batch


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def batch_csv(request: HttpRequest, number: int) -> StreamingHttpResponse:
    batch = get_object_or_404(Batch, pk=number)
    rows = operations.batch_csv_rows(batch)
    return csv_download(request, f"batch:{batch.pk}", f"batch-{batch.pk}.csv", operations.CSV_HEADER, rows)


@require_safe
@requires(VIEW, scoping=Scoping.NARROWED)
def compare(request: HttpRequest, number: int) -> HttpResponse:
    """This batch beside `?other=`; the earlier one stands on the left. At most six queries."""
    batch = get_object_or_404(Batch, pk=number)
    form = CompareForm(request.GET if "other" in request.GET else None, initial={"other": batch.previous_id})
    content: dict[str, Any] = {"batch": batch, "form": form}
    if form.is_valid():
        content |= _side_by_side(batch, form.cleaned_data["other"], form.cleaned_data["after"])
    return render(request, "sync/batch_compare.html", content, status=400 if form.errors else 200)


def _side_by_side(batch: Batch, other: Batch, after: str) -> dict[str, Any]:
    first, second = sorted((batch, other), key=lambda each: each.pk)
    rows = operations.compare_batches(first, second, after=after, limit=ROWS + 1)
    shown = rows[:ROWS]
    return {
        "first": first,
        "second": second,
        "other": other,
        "rows": shown,
        "after": after,
        "next": shown[-1].organization_id if len(rows) > ROWS else "",
        "totals": [(each, operations.totals(each)) for each in (first, second)],
    }
