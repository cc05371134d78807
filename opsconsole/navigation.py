"""What the sidebar lists. Routes are names only: this module knows no app, and an app not installed is not listed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.core.exceptions import PermissionDenied
from django.urls import NoReverseMatch, resolve, reverse

from opsconsole.access import may_open
from opsconsole.scoping import is_limited_anywhere


@dataclass(frozen=True)
class Place:
    """One link. `letter` goes there after the key `g`; each letter is used once."""

    label: str
    route: str
    letter: str


@dataclass(frozen=True)
class Section:
    title: str
    places: tuple[Place, ...]


SECTIONS = (
    Section(
        "Now",
        (
            Place("Overview", "pipeline:overview", "o"),
            Place("Alerts", "alerts:alerts", "e"),
        ),
    ),
    Section(
        "Sync",
        (
            Place("Affected", "sync:affected", "f"),
            Place("Staged", "sync:staged", "s"),
            Place("Batches", "sync:batches", "b"),
            Place("Jobs", "sync:jobs", "j"),
            Place("By hand", "sync:by_hand", "h"),
            Place("Skip list", "sync:skipped", "k"),
            Place("Ids", "sync:ids", "i"),
        ),
    ),
    Section(
        "Monitoring",
        (
            Place("Canary", "pipeline:canary", "c"),
            Place("Lag", "pipeline:lag", "l"),
            Place("Records", "records:sources", "r"),
            Place("Queues", "pipeline:queues", "q"),
            Place("Workers", "pipeline:workers", "w"),
            Place("Scheduled jobs", "schedules:jobs", "t"),
            Place("Tracked tasks", "abandonment:tasks", "d"),
        ),
    ),
    Section("Programs", (Place("API", "api_docs", "p"),)),
    Section("Record", (Place("Last day", "lately", "n"), Place("Audit log", "audit", "u"))),
)
STAFF = Section(
    "Console",
    (
        Place("Administration", "admin:index", "a"),
        Place("Style guide", "styleguide", "y"),
    ),
)


@dataclass(frozen=True)
class Link:
    place: Place
    address: str
    current: bool


def links(section: Section, path: str, user: Any) -> tuple[Link, ...]:
    """The links of `section` that are open to the user; `current` where `path` is that place or lies below it."""
    found = [(place, address_of(place)) for place in section.places if open_to(user, place)]
    return tuple(Link(place, address, path.startswith(address)) for place, address in found if address)


def open_to(user: Any, place: Place) -> bool:
    """Whether the user would be let in there. No query beyond what the page has asked for already."""
    address = address_of(place)
    if address is None:
        return False
    if place.route.startswith("admin:"):
        return not is_limited_anywhere(user)
    return may_open(user, _view_of(address))


@cache
def _view_of(address: str) -> Any:
    return resolve(address).func


def first_open(user: Any) -> str:
    """The address of the first place that is open to the user. Raises PermissionDenied where none is."""
    for section in SECTIONS:
        for place in section.places:
            if open_to(user, place):
                return reverse(place.route)
    raise PermissionDenied("None of the console's pages is open to you; an administrator can change your groups.")


def address_of(place: Place) -> str | None:
    try:
        return reverse(place.route)
    except NoReverseMatch:
        return None
