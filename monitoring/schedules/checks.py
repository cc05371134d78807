"""What of the estate's scheduled jobs only the operations can tell to be wrong, among Django's system checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils import timezone

from monitoring.schedules.operations.taking_over import mistakes_in
from opsconsole import estate
from opsconsole.checks import ESTATE_TAG


@register(ESTATE_TAG)
def check_scheduled_jobs(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """An estate that cannot be read is another check's to say."""
    try:
        wanted = estate.load(settings.ESTATE).scheduled_jobs
    except estate.EstateError:
        return []
    return [
        Error(mistake, obj=str(settings.ESTATE), id="estate.E002") for mistake in mistakes_in(wanted, timezone.now())
    ]
