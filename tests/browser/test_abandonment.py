"""A forgotten task from the simulated policy to the countdown, and kept; another disabled and enabled again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.place import Console, wait_for

ABANDONED = "SELECT id FROM abandonment_trackedtask WHERE trouble = 'abandoned' AND hold <> 'protected' AND scope = %s"
WARNED = "SELECT id FROM abandonment_trackedtask WHERE scope = %s AND notice_number IS NOT NULL ORDER BY id"
LONGER = "SELECT id FROM abandonment_trackedtask WHERE id = %s AND notice_length IS NOT NULL"
COUNTDOWN = "SELECT disable_at FROM abandonment_trackedtask WHERE id = %s AND disable_at IS NOT NULL"
# The demonstration has no mail server: what the post would do, and nothing else, is done here.
DELIVER = (
    "UPDATE alerts_notification SET state = 'delivered', delivered_at = now(), ended_at = now()"
    " WHERE key LIKE %s AND state <> 'delivered'"
)
SCOPE = "us-1"


@pytest.fixture(autouse=True)
def _looked(console: Console) -> None:
    wait_for(lambda: bool(console.ask(ABANDONED, SCOPE)), "the clock has found abandoned tasks")


def save_stage(page: Page, stage: str, reason: str) -> None:
    page.get_by_label("Failing", exact=True).select_option(label=stage)
    page.get_by_role("button", name="Simulate").click()
    expect(page.locator("#simulation")).to_be_visible()
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".messages")).to_contain_text("is saved")


def test_simulated_notified_warned_counted_down_and_kept(open_page: Open, console: Console) -> None:
    admin = open_page("administrator")
    admin.goto("/tracked-tasks/policies/add/")
    admin.get_by_label("Scope").fill(SCOPE)
    admin.get_by_label("Failing", exact=True).select_option(label="Notify the owner")
    admin.get_by_role("button", name="Simulate").click()
    expect(admin.locator("#simulation")).to_contain_text(re.compile(r"[1-9]\d* owners would be warned"))
    expect(admin.locator("#simulation")).to_contain_text("Nothing was saved")
    assert console.ask(WARNED, SCOPE) == []
    save_stage(admin, "Notify the owner", "A first step.")
    wait_for(lambda: bool(console.ask(WARNED, SCOPE)), "an owner is warned")
    number = int(console.ask(WARNED, SCOPE)[0][0])

    page = open_page("operator")
    page.goto(f"/tracked-tasks/{number}/")
    expect(page.locator("h1 + *, .badge").first).to_be_visible()
    expect(page.get_by_text("Owner warned")).to_be_visible()
    expect(page.locator("main")).to_contain_text("not at all")

    admin.get_by_role("link", name=f"{SCOPE} / *").click()
    save_stage(admin, "Notify, then disable", "The second step.")
    wait_for(lambda: bool(console.ask(LONGER, number)), "the warning announces the disabling")
    console.ask(DELIVER, f"tracked\\_task:{number}:warning:%")
    wait_for(lambda: bool(console.ask(COUNTDOWN, number)), "the countdown runs")
    page.goto("/tracked-tasks/?state=warned&sort=disable_at")
    expect(page.locator("tbody tr").first).to_contain_text("left")
    page.goto(f"/tracked-tasks/{number}/")
    expect(page.locator(".notice").first).to_contain_text(re.compile(r"6 d 23 h left\. It is disabled at|7 d left"))

    page.get_by_role("link", name="Keep until").click()
    page.get_by_label("Keep until").fill(f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}")
    page.get_by_label("Reason").fill("They migrate until then.")
    page.get_by_role("button", name="Keep until").click()
    expect(page.locator(".messages")).to_contain_text("is kept until")
    expect(page.locator("main")).to_contain_text("They migrate until then.")
    assert console.ask(COUNTDOWN, number) == []


def test_disabled_and_enabled_again(page: Page, console: Console) -> None:
    number = int(console.ask(ABANDONED, "eu-1")[0][0])
    page.goto(f"/tracked-tasks/{number}/")
    page.get_by_role("link", name="Disable now").click()
    page.get_by_label("Reason").fill("The customer asked for it.")
    page.get_by_role("button", name="Disable now").click()
    expect(page.locator(".messages")).to_contain_text("is disabled.")
    expect(page.get_by_text("Disabled from here")).to_be_visible()
    page.get_by_role("link", name="Enable again").click()
    page.get_by_label("Reason").fill("A mistake.")
    page.get_by_role("button", name="Enable again").click()
    expect(page.locator(".messages")).to_contain_text("is enabled again.")
    expect(page.get_by_role("link", name="Disable now")).to_be_visible()
