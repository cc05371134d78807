"""Every page with hostile texts in a real browser, under the policy that production sends: nothing is blocked, since
nothing tries, and nothing of a text runs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.chromium import MISSING, find_chromium, launch, on_ci
from tests.browser.pages import EXAMPLES, Example
from tests.browser.watch import Watch
from tests.hardened.doors import session_of
from tests.hardened.place import Place
from tests.hardened.strings import TAG

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records", "tests.fixtures_abandonment"]

RAN = f"() => document.querySelectorAll('{TAG}, [onhostile], [onerror]').length"


def visited() -> list[Example]:
    """One of each page that is shown; others differ in what a role may press."""
    return list({example.route: example for example in reversed(EXAMPLES) if example.status == 200}.values())


def test_no_text_runs_and_the_policy_has_nothing_to_refuse(hostile: Place) -> None:
    path = find_chromium()
    if path is None:
        (pytest.fail if on_ci() else pytest.skip)(MISSING)
    sessions = {role: session_of(role) for role in ("viewer", "operator", "administrator")}
    pages = [(example, example.address(hostile.scene)) for example in visited()]
    server = LiveServer("127.0.0.1")
    try:
        wrong = walk(path, server.url, sessions, pages)
    finally:
        server.stop()
    assert wrong == []


def walk(path: str, root: str, sessions: dict[str, str], pages: list[tuple[Example, str]]) -> list[str]:
    """What is wrong with which page. Asks no database: while Playwright's loop runs, Django refuses it."""
    wrong: list[str] = []
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        looks: dict[str | None, Look] = {None: Look(browser.new_page(base_url=root))}
        for role, session in sessions.items():
            looks[role] = Look(browser.new_page(base_url=root))
            looks[role].page.context.add_cookies([{"name": "sessionid", "value": session, "url": root}])
        for example, address in pages:
            wrong += [f"{example.name}: {text}" for text in looks[example.role].wrong_with(address)]
        browser.close()
    return wrong


class Look:
    """One page of the browser, which goes from address to address."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._watch = Watch(page)
        page.on("dialog", self._asked)

    def _asked(self, dialog: Dialog) -> None:
        self._watch.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def wrong_with(self, address: str) -> list[str]:
        response = self.page.goto(address)
        wrong = self._watch.found()
        self._watch.complaints.clear()
        if response is None or response.status != 200:
            wrong.append(f"the status is {response.status if response else 'none'}")
        elif "'unsafe" in response.headers["content-security-policy"]:
            wrong.append("the policy allows what is inline")
        if self.page.evaluate(RAN):
            wrong.append("a text is markup")
        return wrong
