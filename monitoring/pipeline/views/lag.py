"""The consumer group: partitions, lag, pace, members."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.pipeline import consumer, samples
from monitoring.pipeline.access import VIEW
from monitoring.pipeline.standing import CHARTED, every_nth
from monitoring.pipeline.tables import PartitionTable
from opsconsole import estate
from opsconsole.access import requires
from opsconsole.charts import line_chart


@require_safe
@requires(VIEW)
def lag_page(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/lag.html", content(request))


@require_safe
@requires(VIEW)
def lag_live(request: HttpRequest) -> HttpResponse:
    return render(request, "pipeline/lag_live.html", content(request))


def content(request: HttpRequest) -> dict[str, Any]:
    """Asks the broker, for two seconds at most. Two queries."""
    now = timezone.now()
    history = samples.since(now - CHARTED, consumer.SUBJECT)[consumer.SUBJECT]
    found = consumer.lag_now(now)
    points = samples.points(history, "lag")
    return {
        "kafka": estate.current().kafka,
        "look": found.look,
        "lag": found.lag,
        "limit": found.limit,
        "came": found.came,
        "went": found.went,
        "until": found.until,
        "tone": found.tone,
        "sentence": found.sentence,
        "chart": line_chart(
            "Messages behind over the last six hours", points, now - CHARTED, now, gap=samples.GAP, limit=found.limit
        ),
        "samples": every_nth(history),
        "table": PartitionTable(found.look.partitions, label="Partitions", request=request),
    }
