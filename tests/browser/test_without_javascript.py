"""Without JavaScript: everything but the live updates. A dangerous step is confirmed by a page of the server's."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.place import Console
from tests.browser.scene import Scene
from tests.browser.steps import find_affected, plan_batch, stage_all, start_planned

pytestmark = pytest.mark.usefixtures("nothing_staged")


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page(java_script_enabled=False)


def test_query_stage_batch_and_cancel(page: Page, console: Console) -> None:
    (organization,) = console.take(1)
    damage = console.lose([organization], each=2)
    find_affected(page, damage)
    stage_all(page)
    plan_batch(page, "Report", 1, Name="By plain forms")
    with console.source_that_hangs():
        batch = start_planned(page)
        page.get_by_role("link", name="Cancel batch").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Cancel batch {batch}?")
        page.get_by_label("Reason").fill("Only to see that it works")
        page.get_by_role("button", name=f"Cancel batch {batch}").click()
        page.wait_for_url(f"**/sync/batches/{batch}/")
    console.wait_for_state(console.job_of(organization), "cancelled")
    page.reload()
    expect(page.locator("#batch-live")).to_contain_text("1 of 1 job ended")


def test_the_menu_and_the_pages_are_complete(page: Page, scene: Scene) -> None:
    page.goto(f"/sync/jobs/{scene.drifted_job}/")
    for heading in ("Drift", "Attempts", "Log"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Copy"))).to_have_count(0)
    page.get_by_role("link", name="Batches", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Batches")
    page.get_by_label("Mode").select_option("sync")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).not_to_have_count(0)
