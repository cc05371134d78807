"""An alert says that uploads are stuck: the page answers before anything is clicked, on a desk and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.place import Console, wait_for

WIDTHS = (1440, 400)
SNAPSHOTS = "SELECT count(*) FROM records_snapshot WHERE source = 'uploads' AND error = '' AND stuck IS NOT NULL"


@pytest.fixture(autouse=True)
def _snapshots(console: Console) -> None:
    wait_for(lambda: bool(console.ask(SNAPSHOTS)[0][0]), "the clock has taken a snapshot")


def in_first_screen(page: Page, selector: str) -> bool:
    box = page.locator(selector).bounding_box()
    assert box is not None
    assert page.viewport_size is not None
    return box["y"] + box["height"] <= page.viewport_size["height"]


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_wrong_is_read_without_scrolling(open_page: Open, width: int) -> None:
    page = open_page("viewer", viewport={"width": width, "height": 900})
    page.goto("/")
    if width == min(WIDTHS):
        page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Records", exact=True).click()
    verdict = page.locator("#verdict")
    expect(verdict.get_by_role("heading")).to_have_text(re.compile(r"37 are stuck, the oldest made \d h"))
    expect(verdict).to_contain_text("converting")
    expect(verdict).to_contain_text("restart the converter")
    assert in_first_screen(page, "#verdict")
    expect(page.locator("#by-status tbody")).to_contain_text("processing")
    expect(page.locator("#query")).to_contain_text("GROUP BY")


@pytest.mark.parametrize("width", WIDTHS)
def test_from_the_verdict_to_the_stuck_ones_and_when_they_were_made(open_page: Open, width: int) -> None:
    page = open_page("viewer", viewport={"width": width, "height": 900})
    page.goto("/records/uploads/")
    page.locator("#verdict").get_by_role("link", name="37 stuck").click()
    expect(page.get_by_role("heading", name="When they were made")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("37 stuck by when they were made"))).to_be_visible()
    page.get_by_text("The figures behind the chart").click()
    hours = page.locator("#made-table tbody tr")
    first = int(hours.first.locator(".number").inner_text())
    hours.first.get_by_role("link").click()
    expect(page.locator(".figure dd").first).to_have_text(str(first))


def test_an_administrator_lets_converting_take_longer(open_page: Open, console: Console) -> None:
    page = open_page("administrator")
    page.goto("/records/uploads/limits/")
    page.get_by_label(re.compile("^converting")).fill("20h")
    page.locator("form").filter(has_text="Younger than").get_by_label("Reason").fill(
        "The converter is down until tomorrow"
    )
    page.get_by_role("button", name="Change").click()
    expect(page.locator(".messages")).to_contain_text("are changed, for everybody")
    page.goto("/records/uploads/stuck/")
    expect(page.locator(".main")).to_contain_text("Nothing is stuck")
    page.goto("/records/uploads/limits/")
    page.locator("form[action$='reset/']").get_by_label("Reason").fill("It is back")
    page.get_by_role("button", name="Take the estate's again").click()
    page.goto("/records/uploads/stuck/")
    expect(page.locator(".figure dd").first).to_have_text("37")


def test_a_count_is_compared_with_the_last_look(open_page: Open) -> None:
    page = open_page("viewer")
    page.goto("/records/uploads/?older=0s&younger=1h")
    page.get_by_role("link", name="Refresh").click()
    expect(page).to_have_url(re.compile(r"older=0s&younger=1h"))
    expect(page.locator("#by-status")).to_contain_text("records made from")
