"""`manage.py monitors`: the monitors, how they stand, and the address of each."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone

from monitoring.schedules.models import Monitor
from opsconsole.commands import ConsoleCommand
from opsconsole.words import utc

MOST = 10_000


class Command(ConsoleCommand):
    help = "List the monitors, with the path of the address that each is pinged at. The addresses are secrets."

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        now = timezone.now()
        monitors = list(Monitor.objects.order_by("name", "pk")[:MOST])
        for monitor in monitors:
            last = f"last ping {utc(monitor.last_ping)} UTC" if monitor.last_ping else "no ping yet"
            self.say(f"{monitor.name:<30} {monitor.status_at(now).value:<7} {_path(monitor)}  {last}")
        return {
            "monitors": [
                {
                    "name": monitor.name,
                    "origin": monitor.origin,
                    "status": monitor.status_at(now).value,
                    "path": _path(monitor),
                    "last_ping": monitor.last_ping,
                }
                for monitor in monitors
            ]
        }


def _path(monitor: Monitor) -> str:
    return reverse("ping:code", args=[monitor.code])
