"""Queries kept under a name: private, or for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery

from opsconsole import audit, scope
from opsconsole.errors import UsageError
from sync.models import QueryRun, SavedQuery

MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class ListedQuery:
    """A saved query with its latest run, None before the first."""

    query: SavedQuery
    last: QueryRun | None


def visible_to(user_id: int) -> list[ListedQuery]:
    """One's own and the shared ones, by name, at most 200. Two queries."""
    latest = QueryRun.objects.filter(saved_query=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    queries = list(
        _visible(user_id)
        .select_related("owner")
        .annotate(last_run=Subquery(latest))
        .order_by("name", "pk")[:MOST_LISTED]
    )
    runs = QueryRun.objects.defer("parameters").in_bulk([query.last_run for query in queries if query.last_run])
    return [ListedQuery(query, runs.get(query.last_run)) for query in queries]


def find(number: int, user_id: int) -> SavedQuery:
    """Raises SavedQuery.DoesNotExist, for other people's private ones too."""
    return _visible(user_id).get(pk=number)


def with_parameters(parameters: Mapping[str, Sequence[str]], actor: audit.Actor) -> SavedQuery | None:
    """The visible query that asks for exactly this, one's own before another's. One query."""
    if actor.user_id is None:
        return None
    same = _visible(actor.user_id).filter(parameters=parameters)
    return same.annotate(other=~Q(owner=actor.user_id)).order_by("other", "pk").first()


def _visible(user_id: int) -> QuerySet[SavedQuery]:
    """Whoever is limited sees their own: a query of somebody else may name organizations that lie outside."""
    if scope.current().organizations is not None:
        return SavedQuery.objects.filter(owner=user_id)
    return SavedQuery.objects.filter(Q(owner=user_id) | Q(shared=True))


def save(name: str, parameters: Mapping[str, Sequence[str]], actor: audit.Actor, *, shared: bool) -> SavedQuery:
    """Keep the query for `actor`, a person. Raises UsageError where that person has one of this name."""
    assert actor.user_id is not None, "only people save queries"
    try:
        with transaction.atomic():
            query = SavedQuery.objects.create(
                name=name,
                owner_id=actor.user_id,
                shared=shared,
                parameters={key: list(values) for key, values in parameters.items()},
            )
            audit.record(actor, "query.saved", f"saved_query:{query.pk}", name=name, shared=shared)
    except IntegrityError:
        raise UsageError(f"You have a query named {name!r}; choose another name, or delete that one first.") from None
    return query


def delete(query: SavedQuery, actor: audit.Actor) -> None:
    """Its runs stay. Raises UsageError for a query of somebody else."""
    if query.owner_id != actor.user_id:
        raise UsageError("Only the person who saved a query can delete it.")
    with transaction.atomic():
        audit.record(actor, "query.deleted", f"saved_query:{query.pk}", name=query.name)
        query.delete()
