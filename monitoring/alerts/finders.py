"""What is known of an alert that is searched for by number, or of what open alerts say."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse

from monitoring.alerts.access import VIEW
from monitoring.alerts.models import Alert
from opsconsole.search import MOST_OF_A_KIND, SHORTEST_NAME, Hit, Person, finds, numbered
from opsconsole.words import utc


@finds(VIEW)
def alerts(user: Person, text: str) -> Iterator[Hit]:
    for alert in Alert.objects.filter(pk__in=numbered(text, "alert")):
        yield _hit(alert, exact=True)
    if len(text) >= SHORTEST_NAME:
        # Open ones only: a few, and what somebody with a mail in hand looks for.
        for alert in Alert.objects.filter(resolved_at=None, title__icontains=text).order_by("-first_at")[
            :MOST_OF_A_KIND
        ]:
            yield _hit(alert, exact=False)


def _hit(alert: Alert, *, exact: bool) -> Hit:
    state = (
        f"open since {utc(alert.first_at)} UTC"
        if alert.resolved_at is None
        else f"resolved at {utc(alert.resolved_at)} UTC"
    )
    address = reverse("alerts:alert", args=[alert.pk])
    return Hit("alert", alert.title, f"{alert.type.label}, {state}.", address, exact)
