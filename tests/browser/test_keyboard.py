"""Everything without a mouse: shortcuts, visible focus, and the way from the login to a running batch."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.place import Console
from tests.browser.scene import Scene

MOST_TABS = 60
FOCUSED = "() => document.activeElement.outerHTML.slice(0, 200)"
MARKED = """
() => {
  const style = getComputedStyle(document.activeElement);
  return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
}
"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this accessible name or label has the focus; it must be seen to have it."""
    wanted = page.get_by_role("button", name=name, exact=True).or_(page.get_by_role("link", name=name, exact=True))
    wanted = wanted.or_(page.get_by_label(name, exact=True)).or_(page.locator("summary", has_text=name))
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.and_(page.locator(":focus")).count():
            assert page.evaluate(MARKED), page.evaluate(FOCUSED)
            return
    pytest.fail(f"{name!r} cannot be reached with Tab")


def test_slash_goes_to_the_search_and_a_second_one_is_typed(page: Page) -> None:
    page.goto("/sync/jobs/")
    page.keyboard.press("/")
    field = page.get_by_label("Search the console")
    expect(field).to_be_focused()
    page.keyboard.press("/")
    expect(field).to_have_value("/")


def test_f_goes_to_the_filter_of_the_page(page: Page) -> None:
    page.goto("/sync/jobs/")
    page.keyboard.press("f")
    expect(page.get_by_label("Organization id")).to_be_focused()


def test_a_search_opens_what_it_finds_on_a_narrow_screen_too(open_page: Open, scene: Scene) -> None:
    narrow = open_page(viewport={"width": 400, "height": 800})
    narrow.goto("/pipeline/lag/")
    narrow.keyboard.press("/")
    narrow.get_by_label("Search the console").fill(f"job {scene.done_job}")
    narrow.keyboard.press("Enter")
    narrow.wait_for_url(f"**/sync/jobs/{scene.done_job}/")


@pytest.mark.parametrize(
    ("letter", "address"), [("f", "affected"), ("s", "staged"), ("b", "batches"), ("j", "jobs"), ("k", "skipped")]
)
def test_g_and_a_letter_go(page: Page, letter: str, address: str) -> None:
    page.goto("/sync/batches/?state=done")
    page.keyboard.press("g")
    page.keyboard.press(letter)
    page.wait_for_url(f"**/sync/{address}/")


def test_question_mark_opens_help_and_escape_closes_it(page: Page) -> None:
    page.goto("/sync/jobs/")
    page.keyboard.press("Shift+?")
    help_dialog = page.get_by_role("dialog", name="Keyboard")
    expect(help_dialog).to_be_visible()
    expect(help_dialog).to_contain_text("Skip list")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    assert page.url.endswith("/sync/jobs/"), "keys do nothing else while it is open"


def test_skip_link_is_the_first_stop(page: Page) -> None:
    page.goto("/sync/jobs/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_every_stop_of_a_page_shows_its_focus(page: Page) -> None:
    page.goto("/sync/affected/")
    unseen = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        if not page.evaluate(MARKED):
            unseen.append(page.evaluate(FOCUSED))
    assert unseen == []


@pytest.mark.usefixtures("nothing_staged")
def test_from_the_login_to_a_batch_and_out_again(open_page: Open, console: Console) -> None:
    (organization,) = console.take(1)
    page = open_page(None)
    page.goto("/sync/staged/")
    for label, text in (("Username", "operator"), ("Password", console.passwords["operator"])):
        tab_to(page, label)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sync/staged/")
    tab_to(page, "Organization ids")
    page.keyboard.type(f"s-{organization}")
    tab_to(page, "Stage")
    page.keyboard.press("Enter")
    expect(page.locator(".messages")).to_contain_text("staged")
    tab_to(page, "New batch")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sync/batches/new/")
    tab_to(page, "Show the plan")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sync/batches/plans/*/")
    tab_to(page, "Report on 1 organization")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/sync/batches/\d+/$"))
    console.wait_for_state(console.job_of(organization), "done")
    page.goto("/sync/batches/")
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
