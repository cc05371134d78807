"""What somebody may see and change: everything, or only some organizations and record sources.

The scope of what is going on is set once, where a request comes in (`access.requires`, `api.door`), from the groups
that give the route's permission (`scoping.scope_of`). Models that belong to an organization narrow themselves by it
(`scoping.ScopedManager`), so that what lies outside does not exist for this request; operations that are told ids
refuse all of them where one lies outside. Commands, workers and the clock are under no scope: they see everything.

No Django here: what reads ids asks, too, and needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from opsconsole.errors import UsageError
from opsconsole.words import counted, some_of

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    M = TypeVar("M", bound=Model)

T = TypeVar("T")


class OutsideScopeError(UsageError):
    """Something of what was asked for lies outside; nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`organizations` are bare ids as the console writes them (`str(key)`), `record_sources` names of the estate; None:
    all of them. A group's empty list means all as well; an empty set here means none. `person` is the number of whoever
    is limited: what they did themselves they may read."""

    organizations: frozenset[str] | None = None
    record_sources: frozenset[str] | None = None
    person: int | None = field(default=None, compare=False)

    @property
    def limited(self) -> bool:
        return self.organizations is not None or self.record_sources is not None

    def allows_organization(self, organization_id: str) -> bool:
        return self.organizations is None or organization_id in self.organizations

    def allows_source(self, name: str) -> bool:
        return self.record_sources is None or name in self.record_sources

    def __or__(self, other: Scope) -> Scope:
        """What either allows. Each of the two dimensions is joined by itself."""
        return Scope(_union(self.organizations, other.organizations), _union(self.record_sources, other.record_sources))

    def covers(self, other: Scope) -> bool:
        """Whether all that `other` allows is allowed here."""
        return _covers(self.organizations, other.organizations) and _covers(self.record_sources, other.record_sources)

    def narrow(self, rows: QuerySet[M], column: str) -> QuerySet[M]:
        """The rows whose organization, in `column`, is allowed; those without an organization are nobody's."""
        return rows if self.organizations is None else rows.filter(**{f"{column}__in": sorted(self.organizations)})

    def require_organizations(self, keys: Iterable[object]) -> None:
        """Raises OutsideScopeError, which says how many of the keys lie outside, and which."""
        if self.organizations is None:
            return
        ids = [str(key) for key in keys]
        self._refuse(ids, [one for one in ids if one not in self.organizations], "organization")

    def require_tasks(self, owners: Iterable[tuple[object, object]]) -> None:
        """`owners` are pairs of a task and its organization. Raises OutsideScopeError."""
        if self.organizations is None:
            return
        pairs = [(str(task), str(organization)) for task, organization in owners]
        tasks = dict.fromkeys(task for task, _ in pairs)
        outside = dict.fromkeys(task for task, organization in pairs if organization not in self.organizations)
        self._refuse(list(tasks), list(outside), "task")

    def _refuse(self, given: list[str], outside: list[str], what: str) -> None:
        if outside:
            raise OutsideScopeError(
                f"Outside what your groups are limited to: {len(outside):,} of "
                f"{counted(len(given), what)} ({some_of(outside)}). Nothing was done."
            )


UNLIMITED = Scope()
NOTHING = Scope(frozenset(), frozenset())

_current: ContextVar[Scope] = ContextVar("opsconsole_scope", default=UNLIMITED)


def current() -> Scope:
    """The scope of what is going on here; unlimited outside of a request."""
    return _current.get()


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    """What happens inside sees and changes only what `scope` allows."""
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def lifted() -> Iterator[None]:
    """Under no scope: for what follows from an act that was allowed, such as the end of a batch. Also a decorator."""
    with within(UNLIMITED):
        yield


def held(scope: Scope, parts: Iterable[T]) -> Iterator[T]:
    """`parts`, each made within `scope`: a streamed answer is made when the request has been left already."""
    iterator = iter(parts)
    end = object()
    while True:
        with within(scope):
            part = next(iterator, end)
        if part is end:
            return
        yield part  # type: ignore[misc]


def _union(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one | other


def _covers(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    return one is None or (other is not None and other <= one)
