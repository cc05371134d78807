"""Django system checks of the console itself. None of them connects anywhere: `manage.py estate check` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register

from opsconsole import template_check  # noqa: F401  (registers itself on import)
from opsconsole.estate import EstateError, load

ESTATE_TAG = "estate"


@register(ESTATE_TAG)
def check_estate(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each mistake in the estate file is one error. Without a file there is a note only, so that migrations run."""
    try:
        load(settings.ESTATE)
    except EstateError as error:
        if error.missing:
            return [Info(error.mistakes[0], id="estate.I001")]
        return [Error(mistake, obj=str(error.path), id="estate.E001") for mistake in error.mistakes]
    return []
