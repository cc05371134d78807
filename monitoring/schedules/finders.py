"""What the schedules know of a text that is searched for: jobs and monitors by name, runs by number."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse
from django.utils import timezone

from monitoring.schedules.access import VIEW
from monitoring.schedules.models import Monitor, Run, ScheduledJob
from opsconsole.search import MOST_OF_A_KIND, SHORTEST_NAME, Hit, Person, finds, numbered


@finds(VIEW)
def scheduled_jobs(user: Person, text: str) -> Iterator[Hit]:
    """There are hundreds, so that names are looked through."""
    if len(text) >= SHORTEST_NAME:
        for job in ScheduledJob.objects.filter(name__icontains=text).order_by("name")[:MOST_OF_A_KIND]:
            sentence = job.description or job.get_action_display()
            address = reverse("schedules:job", args=[job.name])
            yield Hit("scheduled job", job.name, sentence, address, exact=job.name == text.lower())


@finds(VIEW)
def monitors(user: Person, text: str) -> Iterator[Hit]:
    if len(text) >= SHORTEST_NAME:
        now = timezone.now()
        for monitor in Monitor.objects.filter(name__icontains=text).order_by("name")[:MOST_OF_A_KIND]:
            monitor.look(now)
            address = reverse("schedules:monitor", args=[monitor.pk])
            sentence = f"{monitor.shown.label}. {monitor.description}".strip()
            yield Hit("monitor", monitor.name, sentence, address, exact=monitor.name == text.lower())


@finds(VIEW)
def runs(user: Person, text: str) -> Iterator[Hit]:
    for run in Run.objects.filter(pk__in=numbered(text, "run")).select_related("scheduled_job"):
        sentence = f"Of {run.scheduled_job.name}: {run.status.label.lower()}."
        yield Hit("run", f"Run {run.pk}", sentence, reverse("schedules:run", args=[run.pk]))
