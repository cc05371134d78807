"""The console finds the gap itself: on the first page, and two clicks later its organizations are staged."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.place import Console
from tests.browser.steps import load_until_shown, plan_batch, start_planned

ROUND_MS = 15_000  # the demonstration's canary


def test_the_overview_shows_the_gap_and_leads_to_its_organizations(
    page: Page, console: Console, nothing_staged: None
) -> None:
    organizations = console.take(3)
    tasks = console.lose_just_now(organizations, each=6)
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    notice = page.locator(".notice", has_text="Drift canary")
    expect(notice).to_contain_text("sampled tasks differ", timeout=2 * ROUND_MS + 10_000)
    expect(notice).to_contain_text("organizations found")
    notice.get_by_role("button", name="Find affected organizations").click()
    page.wait_for_url(re.compile(r"/sync/affected/runs/\d+/"))
    load_until_shown(page, "#run-live dl.figures")
    page.get_by_role("button", name=re.compile("^Stage all")).click()
    expect(page.locator(".messages")).to_contain_text("staged")
    staged = {row[0] for row in console.ask("SELECT organization_id FROM sync_stagedorganization")}
    assert {str(organization) for organization in organizations} <= staged
    assert tasks == 18
    repair(page, len(staged))
    page.goto("/")
    expect(page.locator(".signal", has_text="Drift canary")).to_have_class(
        re.compile("tone-fine"), timeout=3 * ROUND_MS
    )


def repair(page: Page, organizations: int) -> None:
    """Leave no drift behind for the tests that come after."""
    plan_batch(page, "Sync", organizations)
    start_planned(page)
    expect(page.locator("#batch-status .badge")).to_have_text("Done", timeout=30_000)
