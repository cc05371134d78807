"""One console and one browser for all of these tests. They end with this folder's last test: while Playwright's loop
runs, Django refuses its database to the thread."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import scene as scenes
from tests.browser.chromium import MISSING, find_chromium, launch, on_ci
from tests.browser.place import Console, running_console
from tests.browser.sessions import Sessions
from tests.browser.watch import Watch

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium() -> str:
    """The program's path. Without one CI fails, because a skipped test would pass unseen; elsewhere it is skipped."""
    path = find_chromium()
    if path is None:
        (pytest.fail if on_ci() else pytest.skip)(MISSING)
    return path


@pytest.fixture(scope="package")
def console(chromium: str) -> Iterator[Console]:
    """Not in pytest's own temporary folder: as root, PostgreSQL runs as another user, who must get there."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-browser-"))
    try:
        with running_console(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = launch(playwright, chromium)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def sessions(browser: Browser, console: Console) -> Sessions:
    return Sessions(browser, console)


@pytest.fixture
def open_page(sessions: Sessions) -> Iterator[Open]:
    """Call it with a role, or None for a stranger, and options of the context. Whatever a page of a test complains
    about fails the test at its end."""
    opened: list[tuple[Page, Watch]] = []

    def open_one(role: str | None = "operator", **options: object) -> Page:
        page = sessions.context(role, **options).new_page()
        opened.append((page, Watch(page)))
        return page

    yield open_one
    complaints = [text for _, watch in opened for text in watch.found()]
    for page, _ in opened:
        page.context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Open) -> Page:
    """An operator's page, 1440 pixels wide."""
    return open_page()


@pytest.fixture(scope="package")
def scene(console: Console, sessions: Sessions) -> scenes.Scene:
    """Something to see on every page."""
    context = sessions.context("operator")
    try:
        return scenes.make_scene(context.new_page(), console)
    finally:
        context.close()


@pytest.fixture
def nothing_staged(console: Console) -> None:
    console.clear_staged()
