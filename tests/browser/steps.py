"""What an operator does on the pages, step by step, for every test that needs it done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Page, expect

from tests.browser.place import CONFIRMED_MINUTES, Console, Damage, wait_for


def log_in(page: Page, console: Console, role: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(role)
    page.get_by_label("Password").fill(console.passwords[role])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")


def number_in_address(page: Page) -> int:
    found = re.search(r"/(\d+)/", page.url)
    assert found, page.url
    return int(found[1])


def find_affected(page: Page, damage: Damage) -> int:
    """Run the query for the window; returns the run's number once its result is shown."""
    page.goto("/sync/affected/")
    page.get_by_role("textbox", name="From, included").fill(damage.start)
    page.get_by_role("textbox", name="To, not included").fill(damage.end)
    page.get_by_role("button", name="Run query").click()
    page.wait_for_url(re.compile(r"/sync/affected/runs/\d+/"))
    load_until_shown(page, "#run-live dl.figures")
    expect(page.locator("#run-live dl.figures")).to_contain_text(str(len(damage.organizations)))
    return number_in_address(page)


def load_until_shown(page: Page, selector: str) -> None:
    """Wait for it; a page without JavaScript has to be loaded again for that, as its reader would."""
    if page.evaluate("document.documentElement.classList.contains('has-script')"):
        expect(page.locator(selector)).to_be_visible()
    else:
        wait_for(lambda: page.locator(selector).count() > 0 or page.reload() is None, selector)


def stage_all(page: Page) -> None:
    """From the result of a query."""
    page.get_by_role("button", name=re.compile("^Stage all")).click()
    expect(page.locator(".messages")).to_contain_text("staged")


def stage_by_hand(page: Page, organizations: Iterable[UUID]) -> None:
    page.goto("/sync/staged/")
    more = page.get_by_text("Stage more", exact=True)
    if more.count():
        more.first.click()
    page.get_by_label("Organization ids").fill(", ".join(f"s-{organization}" for organization in organizations))
    page.get_by_role("button", name="Stage", exact=True).click()
    expect(page.locator(".messages")).to_contain_text("staged")


def plan_batch(page: Page, mode: str, size: int, **fields: str) -> int:
    """Fill in the form of a new batch by its labels and show the plan; returns the plan's number."""
    page.goto("/sync/batches/new/")
    page.get_by_role("radio", name=re.compile(f"^{mode}:")).check()
    page.get_by_label("Size").fill(str(size))
    if fields:
        page.locator("summary", has_text="Pace, stops, window and name").click()
    for label, text in fields.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("?")
    return number_in_address(page)


def start_planned(page: Page, reason: str = "Messages were lost") -> int:
    """From the plan's page; returns the batch's number. Asked again, where the set has changed meanwhile."""
    for _ in range(2):
        page.get_by_label("Reason").fill(reason)
        with page.expect_navigation():
            page.locator("main form button.button-primary").click()
        if re.search(r"/sync/batches/\d+/$", page.url):
            return number_in_address(page)
        said = page.locator(".messages, .error-list, .errorlist").all_inner_texts()
    raise AssertionError(f"not started: {page.url} says {said}")


def expect_badge(page: Page, region: str, word: str) -> None:
    """The badge beside the heading, which the live region keeps up to date."""
    expect(page.locator(f"#{region} .badge")).to_have_text(word, timeout=60_000)


def age_session(page: Page, console: Console) -> None:
    """As if this person, and nobody else, had confirmed who they are too long ago."""
    (key,) = (cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessionid")
    ((data,),) = console.ask("SELECT session_data FROM django_session WHERE session_key = %s", key)
    session = SessionStore().decode(data)
    for one in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        one["at"] -= 60 * CONFIRMED_MINUTES + 1
    console.ask(
        "UPDATE django_session SET session_data = %s WHERE session_key = %s", SessionStore().encode(session), key
    )
