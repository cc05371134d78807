"""The drift canary: its rate, its rounds, and what follows from them."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.pipeline import limits
from monitoring.pipeline.access import VIEW
from monitoring.pipeline.drift import affected_address, drift_now, query_values
from monitoring.pipeline.models import CanaryRound
from monitoring.pipeline.tables import CanaryTable
from opsconsole.access import requires
from opsconsole.charts import Sample, line_chart

CHARTED = timedelta(days=1)
MOST_CHARTED = 2_000


@require_safe
@requires(VIEW)
def canary_page(request: HttpRequest) -> HttpResponse:
    """The last day as a chart, all rounds as a list. Six queries."""
    now, wanted = timezone.now(), limits.current()
    drift = drift_now(wanted.canary_limit)
    recent = CanaryRound.objects.filter(at__gte=now - CHARTED).order_by("-at")[:MOST_CHARTED]
    shares = [Sample(one.at, _share(one)) for one in reversed(recent)]
    gap = max(timedelta(seconds=wanted.canary_every * 3), timedelta(minutes=10))
    content = {
        "drift": drift,
        "wanted": wanted,
        "find": query_values(drift.window) if drift.window else None,
        "affected": affected_address(drift.window) if drift.window else "",
        "chart": line_chart(
            "Sampled tasks that differ, in per cent, over the last day", shares, now - CHARTED, now, gap=gap
        ),
        "table": CanaryTable.from_request(request, CanaryRound.objects.all(), label="Rounds"),
    }
    return render(request, "pipeline/canary.html", content)


def _share(one: CanaryRound) -> float | None:
    return 100 * one.differing / one.compared if one.compared else None
