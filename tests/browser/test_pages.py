"""Every page, light and dark, wide and narrow: no error, nothing blocked, nothing sticks out, no finding of axe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.axe import findings
from tests.browser.pages import EXAMPLES, FILES, PARTS, POSTS, REDIRECTS, WITH_A_FACTOR, Example, named_routes
from tests.browser.scene import Scene
from tests.browser.sessions import Sessions
from tests.browser.watch import Watch

WIDTHS = (1440, 400)
STICKS_OUT = """
() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const scrolls = (one) =>
    one && one !== root && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
  const wide = [...document.querySelectorAll("body *")].filter((one) =>
    one.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(one.parentElement));
  return [`the document is ${root.scrollWidth} wide`, ...wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 120))];
}
"""


def test_every_route_is_walked_or_is_no_page() -> None:
    routes = set(named_routes())
    walked = {example.route for example in EXAMPLES}
    assert routes - walked - REDIRECTS - PARTS - FILES - POSTS - WITH_A_FACTOR == set()
    assert walked | REDIRECTS | PARTS | FILES | POSTS | WITH_A_FACTOR == routes
    assert [name for name, count in Counter(example.name for example in EXAMPLES).items() if count > 1] == []


@pytest.fixture(scope="module")
def context_of(sessions: Sessions) -> Iterator[Callable[[str | None], BrowserContext]]:
    """One context per role: its pages share a cache, so that styles and scripts are fetched once."""
    made: list[BrowserContext] = []

    @cache
    def context(role: str | None) -> BrowserContext:
        made.append(sessions.context(role))
        return made[-1]

    yield context
    for one in made:
        one.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_page(example: Example, scene: Scene, context_of: Callable[[str | None], BrowserContext]) -> None:
    page = context_of(example.role).new_page()
    watch = Watch(page)
    response = page.goto(example.address(scene))
    assert response is not None
    assert response.status == example.status
    wrong = watch.found() + wrong_with(page)
    page.close()
    assert not wrong, "\n".join(wrong)


def wrong_with(page: Page) -> list[str]:
    """Everything that is wrong with what the page shows, in all four looks."""
    wrong: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="light")
        wrong += [f"{width} light: {text}" for text in findings(page)]
        wrong += [f"{width}: {text}" for text in page.evaluate(STICKS_OUT)]
        page.emulate_media(color_scheme="dark")  # colours are all that is different
        wrong += [f"{width} dark: {text}" for text in findings(page, only_colours=True)]
    return wrong
