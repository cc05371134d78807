"""Second approval in the browser: one person asks; another one confirms who they are, and approves. Real workers."""

from __future__ import annotations

from uuid import UUID

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.looks import require_right
from tests.browser.place import APPROVED_ALONE, Console
from tests.browser.steps import age_session, expect_badge, log_in, number_in_address, plan_batch, stage_by_hand

MANY = APPROVED_ALONE + 1


def test_one_person_asks_and_another_approves(open_page: Open, console: Console) -> None:
    operator = open_page()
    console.clear_staged()
    stage_by_hand(operator, free_organizations(console))
    plan = plan_batch(operator, "Sync", MANY)
    expect(operator.locator("main")).to_contain_text("a second person has to approve it")
    operator.get_by_label("Reason").fill("the whole of Europe was lost")
    operator.get_by_label("Ticket").fill("OPS-77")
    operator.get_by_role("button", name=f"Ask for approval to sync {MANY} organizations").click()
    expect(operator.locator(".messages")).to_contain_text("waits for a second person's approval")
    operator.get_by_role("link", name="Approve or refuse").click()
    expect(operator.locator("main")).to_contain_text("somebody else has to approve it")
    expect(operator.get_by_role("button", name="Approve and start")).to_have_count(0)
    assert console.ask("SELECT batch_id FROM sync_batchplan WHERE id = %s", plan) == [(None,)]

    page = open_page(None)
    log_in(page, console, "administrator")
    page.goto("/sync/batches/approvals/")
    page.locator(f"a[href='/sync/batches/plans/{plan}/decide/']").click()
    expect(page.locator("main")).to_contain_text("the whole of Europe was lost")
    require_right(page, "sync:plan_decide")
    page.get_by_label("Reason").fill("seen the gap, too")
    page.get_by_label("Ticket").fill("OPS-78")
    age_session(page, console)
    page.get_by_role("button", name="Approve and start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is it you?")
    assert console.ask("SELECT batch_id FROM sync_batchplan WHERE id = %s", plan) == [(None,)]
    page.get_by_label("Password").fill(console.passwords["administrator"])
    page.get_by_role("button", name="Confirm by password").click()
    expect(page.locator(".messages")).to_contain_text("Approved")
    batch = number_in_address(page)
    expect_badge(page, "batch-status", "Done")
    acts = console.ask(
        "SELECT action, actor, elevation <> '', reason, ticket FROM opsconsole_auditentry"
        " WHERE subject IN (%s, %s) ORDER BY id",
        f"plan:{plan}",
        f"batch:{batch}",
    )
    assert [one for one in acts if one[0].startswith("plan.")] == [
        ("plan.approval_asked", "operator", True, "the whole of Europe was lost", "OPS-77"),
        ("plan.approved", "administrator", True, "seen the gap, too", "OPS-78"),
    ]
    assert [one[1] for one in acts if one[0] == "batch.started"] == ["operator"]


def free_organizations(console: Console) -> list[UUID]:
    """As many as one person may not sync alone, of which no other test has any under way or skipped."""
    taken = {
        row[0]
        for row in console.ask(
            "SELECT organization_id FROM sync_skippedorganization WHERE resolved_at IS NULL"
            " UNION SELECT organization_id FROM sync_job WHERE ended_at IS NULL"
        )
    }
    free = [one for one in console.all_organizations() if str(one) not in taken]
    assert len(free) >= MANY
    return free[:MANY]
