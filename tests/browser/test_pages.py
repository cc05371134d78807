"""Every page, light and dark, wide and narrow: no error, nothing blocked, nothing sticks out, no finding of axe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.looks import wrong_with
from tests.browser.pages import BY_OTHER_TESTS, EXAMPLES, FILES, PARTS, POSTS, REDIRECTS, Example, named_routes
from tests.browser.scene import Scene
from tests.browser.sessions import Sessions
from tests.browser.watch import Watch

OTHER_TESTS = ("test_signing_in.py", "test_approval.py")


def test_every_route_is_walked_or_is_no_page() -> None:
    routes = set(named_routes())
    walked = {example.route for example in EXAMPLES}
    assert routes - walked - REDIRECTS - PARTS - FILES - POSTS - BY_OTHER_TESTS == set()
    assert walked | REDIRECTS | PARTS | FILES | POSTS | BY_OTHER_TESTS == routes
    theirs = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in OTHER_TESTS)
    assert [route for route in BY_OTHER_TESTS if f'require_right(page, "{route}")' not in theirs] == []
    assert [name for name, count in Counter(example.name for example in EXAMPLES).items() if count > 1] == []


@pytest.fixture(scope="module")
def page_of(sessions: Sessions) -> Iterator[Callable[[str | None], tuple[Page, Watch]]]:
    """One page per role, which goes from address to address: its process, cache and compiled scripts stay."""
    made: list[Page] = []

    @cache
    def page_of_role(role: str | None) -> tuple[Page, Watch]:
        page = sessions.context(role).new_page()
        made.append(page)
        return page, Watch(page)

    yield page_of_role
    for page in made:
        page.context.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_page(example: Example, scene: Scene, page_of: Callable[[str | None], tuple[Page, Watch]]) -> None:
    page, watch = page_of(example.role)
    response = page.goto(example.address(scene))
    assert response is not None
    assert response.status == example.status
    wrong = watch.taken() + wrong_with(page)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_whoever_wants_no_motion(sessions: Sessions, wish: str, moves: bool) -> None:
    context = sessions.context("administrator", reduced_motion=wish)
    page = context.new_page()
    page.goto("/styleguide/")
    assert page.locator(".badge.tone-working").count() > 0
    endless = "document.getAnimations().some((one) => one.effect.getTiming().iterations === Infinity)"
    assert page.evaluate(endless) is moves
    context.close()
