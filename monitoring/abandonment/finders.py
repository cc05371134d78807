"""What is known of a tracked task whose id or whose owner is searched for."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.urls import reverse

from monitoring.abandonment.access import VIEW
from monitoring.abandonment.models import TrackedTask
from opsconsole import estate
from opsconsole.errors import ConsoleError
from opsconsole.search import MOST_OF_A_KIND, Hit, Person, finds


@finds(VIEW)
def tracked_tasks(user: Person, text: str) -> Iterator[Hit]:
    """By each source's own id: that, with the source, has an index."""
    for task in TrackedTask.objects.filter(source__in=_sources(), key=text)[:MOST_OF_A_KIND]:
        sentence = f"{task.status.label}. Owner: {task.owner or 'not known'}."
        yield Hit("tracked task", str(task), sentence, reverse("abandonment:task", args=[task.pk]))


@finds(VIEW)
def owners(user: Person, text: str) -> Iterator[Hit]:
    if "@" in text and TrackedTask.objects.filter(owner=text).exists():
        address = f"{reverse('abandonment:tasks')}?{urlencode({'owner': text})}"
        yield Hit("owner", text, "Their tracked tasks.", address)


def _sources() -> list[str]:
    try:
        return [source.name for source in estate.current().tracked_tasks]
    except ConsoleError:
        return []
