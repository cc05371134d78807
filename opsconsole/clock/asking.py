"""Whether there is anything to do: many questions in one statement, which is put together once.

The clock asks the same all day long, and nearly always the answer is no. Writing such a statement from a queryset takes
Django several times as long as PostgreSQL takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

WRITTEN_AT = datetime(2000, 1, 1, tzinfo=UTC)
"""The present time for which a statement is written; the times in it are moved to the real one when it is asked."""


class Questions:
    """Named querysets, as functions of the present time: which of them have a row.

    Every time in them must be relative to the present that they are given, or the database's own; what else they filter
    by must not change while the process lives.
    """

    def __init__(self, **asked: Callable[[datetime], QuerySet[Any]]) -> None:
        self._asked = asked

    def __call__(self, now: datetime) -> frozenset[str]:
        """The names of those that have a row. One statement."""
        statement, parameters, names = self._written
        if not names:
            return frozenset()
        moved = [now + (one - WRITTEN_AT) if isinstance(one, datetime) else one for one in parameters]
        with connection.cursor() as cursor:
            cursor.execute(statement, moved)
            return frozenset(name for name, there in zip(names, cursor.fetchone(), strict=True) if there)

    def any(self) -> bool:
        """Whether one of them has a row now: what a duty is wanted for."""
        return bool(self(timezone.now()))

    @cached_property
    def _written(self) -> tuple[str, list[Any], list[str]]:
        parts: list[str] = []
        parameters: list[Any] = []
        names: list[str] = []
        for name, queryset in self._asked.items():
            query = queryset(WRITTEN_AT).query.exists()
            try:
                sql, its_parameters = query.get_compiler(connection=connection).as_sql()
            except EmptyResultSet:  # never has a row
                continue
            parts.append(f"EXISTS ({sql})")
            parameters += its_parameters
            names.append(name)
        return f"SELECT {', '.join(parts)}", parameters, names
