"""The estate: the outside systems that this console looks after, read once from one TOML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from django.conf import settings

from opsconsole.estate.model import Estate
from opsconsole.estate.reader import EstateError, read

__all__ = ["Estate", "EstateError", "current", "load", "reset"]


def load(path: str | Path, environ: Mapping[str, str] = os.environ) -> Estate:
    """The estate in the file at `path`, read anew. Raises EstateError with every mistake; connects to nothing."""
    return read(path, environ)


@cache
def current() -> Estate:
    """The estate of settings.ESTATE, read once per process. Raises EstateError; a failure is not remembered."""
    return load(settings.ESTATE)


def reset() -> None:
    """Forget the estate that was read, so that the next `current()` reads the file again. For tests."""
    current.cache_clear()
