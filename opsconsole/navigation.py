"""What the sidebar lists. Routes are names only: this module knows no app, and an app not installed is not listed."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse


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
    Section("Now", (Place("Overview", "pipeline:overview", "o"), Place("Alerts", "alerts:alerts", "e"))),
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
    Section("Record", (Place("Audit log", "audit", "u"),)),
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


def links(section: Section, path: str) -> tuple[Link, ...]:
    """The links of `section` that exist here; `current` where `path` is that place or lies below it."""
    found = [(place, address_of(place)) for place in section.places]
    return tuple(Link(place, address, path.startswith(address)) for place, address in found if address)


def address_of(place: Place) -> str | None:
    try:
        return reverse(place.route)
    except NoReverseMatch:
        return None
