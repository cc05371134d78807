"""What the pages of one record source share."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest

from monitoring.records.access import CHANGE_LIMITS
from monitoring.records.standing import Standing, record_source, seen_sources, standing_of
from opsconsole import scope


def standing_or_404(name: str) -> Standing:
    """Two queries. Raises Http404 for a source that the estate does not have, EstateError where there is no estate."""
    source = record_source(name)
    if source is None:
        raise Http404(f"The estate has no record source {name}.")
    return standing_of(source)


def page_content(request: HttpRequest, standing: Standing, here: str) -> dict[str, Any]:
    """What `records/page.html` needs; `here` is the tab."""
    return {
        "source": standing.source,
        "sources": seen_sources(),
        "standing": standing,
        "here": here,
        "limited": scope.current().organizations is not None,
        "may_change": request.user.has_perm(CHANGE_LIMITS.name) and scope.current().organizations is None,
    }
