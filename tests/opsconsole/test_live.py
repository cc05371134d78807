"""Open pages slow down together, as far as their live parts take more of a core than is theirs."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import pytest
from django.urls import get_resolver, reverse

from opsconsole.access import Role
from opsconsole.live import HEADER, ROUTE_END, SHARE, SLOWEST, Pace
from tests.web.sync_rows import client_of

FROM_REST = 100.0
PARTS = ("pipeline:overview_live", "pipeline:queues_live", "pipeline:workers_live", "pipeline:lag_live")


def polled(pages: int, *, every: float, cost: float, seconds: float = 300.0) -> tuple[float, float]:
    """The share of a core that so many pages take, once it has come to rest, and the longest that one waited."""
    pace, spent, longest = Pace(), 0.0, 0.0
    due = [every * number / pages for number in range(pages)]
    heapify(due)
    while (now := heappop(due)) < seconds:
        wait = max(every, pace.spend(cost, now))
        if now >= FROM_REST:
            spent, longest = spent + cost, max(longest, wait)
        heappush(due, now + wait)
    return spent / (seconds - FROM_REST), longest


def test_a_page_alone_comes_as_often_as_it_says() -> None:
    _, longest = polled(1, every=5.0, cost=0.05)
    assert longest == 5.0


@pytest.mark.parametrize(("pages", "every", "cost"), [(50, 5.0, 0.02), (50, 2.0, 0.02), (20, 1.0, 0.05)])
def test_many_pages_keep_to_their_share(pages: int, every: float, cost: float) -> None:
    share, longest = polled(pages, every=every, cost=cost)
    assert share == pytest.approx(SHARE, rel=0.15)
    assert every < longest < SLOWEST


def test_nobody_waits_longer_than_the_slowest_pace() -> None:
    _, longest = polled(1_000, every=2.0, cost=0.1)
    assert longest == pytest.approx(SLOWEST)


def test_what_was_spent_is_forgotten_with_time() -> None:
    pace = Pace()
    assert pace.spend(10.0, now=1.0) == SLOWEST
    assert pace.spend(0.0, now=1.0 + SLOWEST) == 0.0


@pytest.mark.django_db
@pytest.mark.parametrize("route", PARTS)
def test_a_live_part_says_when_to_come_again(route: str) -> None:
    assert float(client_of(Role.VIEWER).get(reverse(route)).headers[HEADER]) > 0


@pytest.mark.django_db
def test_other_pages_do_not() -> None:
    assert HEADER not in client_of(Role.VIEWER).get(reverse("pipeline:queues")).headers


def test_every_live_part_is_known_by_its_route() -> None:
    """The middleware goes by how the route ends."""
    named = [pattern for resolver in get_resolver().url_patterns for pattern in getattr(resolver, "url_patterns", [])]
    live = [pattern for pattern in named if str(getattr(pattern, "name", "")).endswith("live")]
    assert len(live) == 8
    assert all(str(pattern.pattern).endswith(ROUTE_END) for pattern in live)
