"""The runbook in the browser, with real workers: find, stage, sync in a batch, watch, and see the drift gone."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.place import Console, wait_for
from tests.browser.steps import (
    expect_badge,
    find_affected,
    plan_batch,
    stage_all,
    stage_by_hand,
    start_planned,
)

pytestmark = pytest.mark.usefixtures("nothing_staged")
BATCH = 25


def test_window_to_no_drift(page: Page, console: Console) -> None:
    damage = console.lose(console.take(BATCH), each=6)
    assert console.drift() == damage.tasks == BATCH * 6
    find_affected(page, damage)
    expect(page.locator("#run-live dl.figures")).to_contain_text(str(damage.tasks))
    stage_all(page)
    plan_batch(page, "Sync", BATCH)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Sync {BATCH} organizations?")
    start_planned(page, "Messages were lost between 12:00 and 12:10")
    expect_badge(page, "batch-status", "Done")
    figures = page.locator("#batch-live dl.figures")
    expect(figures).to_contain_text(re.compile(rf"Drift\s*{damage.tasks}.*Published\s*{damage.tasks}", re.DOTALL))
    expect(figures).to_contain_text(re.compile(rf"Verified\s*{damage.tasks}\s*Unresolved\s*0", re.DOTALL))
    assert console.drift() == 0
    page.goto("/sync/staged/")
    expect(page.locator("main")).to_contain_text("Nothing is staged")


def test_looping_organization_from_the_skip_list_by_window(page: Page, console: Console, tmp_path: Path) -> None:
    looping, by_hand = console.take(2)
    damage = console.lose([looping, by_hand], each=3)
    stage_by_hand(page, [looping])
    plan_batch(page, "Sync", 1)
    with console.source_that_hangs():
        start_planned(page)
        job = console.job_of(looping)
        page.goto(f"/sync/jobs/{job}/")
        console.kill_until_looping(job)
        expect_badge(page, "job-status", "Looping")
    assert console.drift() == damage.tasks
    page.goto("/sync/skipped/")
    expect(row_of(page, console.name_of(looping))).to_contain_text("Looped")

    changed = with_note_and_row(export_skip_list(page), f"s-{looping}", f"s-{by_hand}")
    import_skip_list(page, changed, tmp_path)
    expect(row_of(page, console.name_of(looping))).to_contain_text("call the customer first")
    expect(row_of(page, console.name_of(by_hand))).to_contain_text("too large for tonight")

    tick(page, console.name_of(looping))
    tick(page, console.name_of(by_hand))
    page.get_by_role("button", name="Sync ticked by window").click()
    page.get_by_role("textbox", name=re.compile("from, included", re.IGNORECASE)).fill(damage.start)
    page.get_by_role("textbox", name=re.compile("to, not included", re.IGNORECASE)).fill(damage.end)
    mode = page.get_by_role("radio", name=re.compile("^Sync"))
    if mode.count():
        mode.check()
    page.get_by_role("button", name="Show the plan").click()
    start_planned(page)
    expect_badge(page, "batch-status", "Done")
    assert console.drift() == 0
    resolved = (
        "SELECT count(*) = 2 FROM sync_skippedorganization WHERE organization_id = ANY(%s) AND resolved_at IS NOT NULL"
    )
    ids = [str(looping), str(by_hand)]
    wait_for(lambda: bool(console.ask(resolved, ids)[0][0]), "both are off the skip list")


def row_of(page: Page, name: str) -> Locator:
    return page.locator("tbody tr", has_text=name).first


def tick(page: Page, name: str) -> None:
    row_of(page, name).get_by_role("checkbox").check()


def export_skip_list(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    return list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))


def with_note_and_row(rows: list[dict[str, str]], noted: str, added: str) -> str:
    """The CSV as somebody sends it back: one note changed, one row more."""
    for row in rows:
        if row["organization_id"] == noted:
            row["note"] = "call the customer first"
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows([*rows, {"organization_id": added, "reason": "by_hand", "note": "too large for tonight"}])
    return text.getvalue()


def import_skip_list(page: Page, text: str, folder: Path) -> None:
    file = folder / "skip-list.csv"
    file.write_text(text, encoding="utf-8")
    page.get_by_role("link", name="Import CSV").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Show what would change").click()
    expect(page.locator("#preview dl.figures")).to_contain_text(re.compile(r"New\s*1\s*Changed\s*1"))
    page.get_by_label("Reason").fill("As the night shift left it")
    page.get_by_role("button", name="Import 2 changes").click()
    expect(page.locator(".messages")).to_contain_text("Imported")
