"""The consumer group: partitions, lag, pace, members."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from monitoring.pipeline import consumer, limits, samples
from monitoring.pipeline.access import VIEW
from monitoring.pipeline.standing import CHARTED, FLOW_OVER, every_nth
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
    now, limit = timezone.now(), limits.current().lag_limit
    look = consumer.watcher().look()
    history = samples.since(now - CHARTED, consumer.SUBJECT)[consumer.SUBJECT]
    came, went = consumer.mean_rates([one for one in history if one.at >= now - FLOW_OVER])
    members = None if look.group.members is None else len(look.group.members)
    lag = None if look.error else look.lag
    tone, sentence = consumer.judge(
        lag, limit, error=look.error, members=members, state=look.group.state, came=came, went=went
    )
    points = samples.points(history, "lag")
    return {
        "kafka": estate.current().kafka,
        "look": look,
        "lag": lag,
        "limit": limit,
        "came": came,
        "went": went,
        "until": consumer.caught_up_in(look.lag, came, went) if lag is not None else None,
        "tone": tone,
        "sentence": sentence,
        "chart": line_chart(
            "Messages behind over the last six hours", points, now - CHARTED, now, gap=samples.GAP, limit=limit
        ),
        "samples": every_nth(history),
        "table": PartitionTable(look.partitions, label="Partitions", request=request),
    }
