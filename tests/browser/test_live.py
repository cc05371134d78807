"""Live regions keep up with the work and disturb nobody: not a selection, not an open dialog, not what is unfolded.

The page's own clock is moved, so that polls come due without waiting for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.place import Console
from tests.browser.steps import expect_badge, plan_batch, stage_by_hand, start_planned

LONG_ENOUGH = 10_000  # several polls
SELECT_TEXT = """
(selector) => getSelection().selectAllChildren(document.querySelector(selector))
"""


@dataclass(frozen=True, slots=True)
class Running:
    """The page of a batch whose one job hangs in the source, until `let_go` ends that and the job is done."""

    page: Page
    console: Console
    hanging: ExitStack
    job: int

    def let_go(self) -> None:
        self.hanging.close()
        self.console.wait_for_state(self.job, "done")

    def polls(self) -> None:
        """Let the time of several polls go by."""
        self.page.clock.run_for(LONG_ENOUGH)


@pytest.fixture
def running(page: Page, console: Console, nothing_staged: None) -> Iterator[Running]:
    (organization,) = console.take(1)
    page.clock.install()
    stage_by_hand(page, [organization])
    plan_batch(page, "Report", 1)
    with ExitStack() as hanging:
        hanging.enter_context(console.source_that_hangs())
        start_planned(page)
        expect(page.locator("#batch-live .badge", has_text="Running").first).to_be_visible()
        one = Running(page, console, hanging, console.job_of(organization))
        yield one
        one.let_go()


def test_the_page_follows_to_the_end_and_then_rests(running: Running) -> None:
    running.let_go()
    expect_badge(running.page, "batch-status", "Done")
    expect(running.page.locator("#batch-live")).not_to_have_attribute("data-live", "2")
    asked: list[str] = []
    running.page.on("request", lambda request: asked.append(request.url))
    running.polls()
    assert asked == []


def test_the_page_comes_no_sooner_than_the_server_asks(running: Running) -> None:
    page = running.page

    def ask_for_patience(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"live-seconds": "25"})

    page.route("**/live/*", ask_for_patience)
    with page.expect_response("**/live/*"):
        page.clock.run_for(3_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    running.polls()
    assert asked == []
    with page.expect_response("**/live/*"):
        running.polls()
        running.polls()
    page.unroute("**/live/*")


def test_a_selection_stays_and_the_news_come_after_it(running: Running) -> None:
    page = running.page
    page.evaluate(SELECT_TEXT, "#batch-live dl.fact-grid")
    chosen = page.evaluate("getSelection().toString()")
    assert "Started by" in chosen
    running.let_go()
    running.polls()
    assert page.evaluate("getSelection().toString()") == chosen
    expect(page.locator("#batch-status .badge")).to_have_text("Running")
    page.evaluate("getSelection().removeAllRanges()")
    running.polls()
    expect_badge(page, "batch-status", "Done")


def test_an_answer_that_meets_a_new_selection_is_dropped(running: Running) -> None:
    page = running.page
    held: list[Route] = []
    page.route("**/live/*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it is given
    with page.expect_request("**/live/*"):
        page.clock.run_for(3_000)
    page.evaluate(SELECT_TEXT, "#batch-live dl.fact-grid")
    chosen = page.evaluate("getSelection().toString()")
    with page.expect_response("**/live/*"):
        held[0].continue_()
    page.unroute("**/live/*")
    running.polls()
    assert page.evaluate("getSelection().toString()") == chosen


def test_an_open_dialog_and_the_focus_stay(running: Running) -> None:
    page = running.page
    link = page.locator("#batch-live tbody a").first
    link.focus()
    address = link.get_attribute("href")
    with page.expect_response("**/live/*"):
        page.clock.run_for(3_000)
    expect(page.locator(f'#batch-live a[href="{address}"]').first).to_be_focused()
    page.keyboard.press("Shift+?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    running.let_go()
    running.polls()
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    running.polls()
    expect_badge(page, "batch-status", "Done")
