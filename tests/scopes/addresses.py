"""Which object each address of the console takes, told from the configuration: a new one that fits nowhere fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from opsconsole.access import Scoping
from opsconsole.api.routes import declared
from tests.scopes.place import Things
from tests.web.test_routes import guarded_routes, methods_of

API = "api/v1/"
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\{(\w+)\}")
KINDS = {
    # What stands before a parameter, and which of `Things` it is.
    "sync/jobs/": "job",
    "sync/batches/plans/": "plan",
    "sync/batches/": "batch",
    "sync/affected/runs/": "run",
    "sync/affected/saved/": "saved",
    "why/": "organization",
    "records/": "source",
    "audit/": "entry",
    f"{API}jobs/": "job",
    f"{API}batches/": "batch",
    f"{API}batch-plans/": "plan",
    f"{API}records/": "source",
    f"{API}traces/": "trace",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One method of one route. `kinds` are those of its parameters, in order; None for one that nobody has named."""

    method: str
    route: str
    scoping: Scoping
    kinds: tuple[str | None, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.route}"

    def of(self, things: Things) -> str:
        values = iter([str(getattr(things, kind or "")) for kind in self.kinds])
        return "/" + PARAMETER.sub(lambda _: next(values), self.route)

    def of_anything(self) -> str:
        """With values that no row has, and that the converters let through."""
        return "/" + re.sub(r"<int:\w+>|\{\w+\}", "999999", re.sub(r"<(?:slug|str|path):\w+>", "x", self.route))

    @property
    def of_api(self) -> bool:
        return self.route.startswith(API)


def kinds_of(route: str) -> tuple[str | None, ...]:
    return tuple(_kind(route[: match.start()]) for match in PARAMETER.finditer(route))


def _kind(before: str) -> str | None:
    return next((kind for end, kind in KINDS.items() if before.endswith(end) and _whole(before, end)), None)


def _whole(before: str, end: str) -> bool:
    """The beginning of an address, or a word in the middle of one."""
    return before == end or not end.startswith((API, "sync/", "records/", "audit/"))


@cache
def addresses() -> tuple[Address, ...]:
    return tuple(sorted({*_pages(), *_programs()}, key=str))


def _pages() -> Iterator[Address]:
    for route, view in guarded_routes():
        if not hasattr(view, "scoping"):
            continue
        for method in sorted({"GET", "POST"} & (methods_of(view) or {"GET", "POST"})):
            yield Address(method, route, view.scoping, kinds_of(route))


def _programs() -> Iterator[Address]:
    for route in (one for routes in declared() for one in routes.routes):
        path = API + route.path
        yield Address(route.method, path, route.scoping, kinds_of(path))
