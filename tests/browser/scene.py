"""Something to see on every page: an incident half worked through, as its operators left it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from playwright.sync_api import Page, expect

from tests.browser.place import Console, wait_for
from tests.browser.steps import expect_badge, find_affected, plan_batch, stage_all, stage_by_hand, start_planned

STAGED = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """Numbers of what there is. `reported` and `synced` are done batches; `held` waits after its canary."""

    run: int
    reported: int
    synced: int
    held: int
    plan: int
    done_job: int
    drifted_job: int
    looping_job: int
    held_job: int
    organization: UUID
    tasks: tuple[str, ...]
    worker: str
    scheduled_run: int
    missed_run: int
    monitor: int
    token: int
    trace: UUID
    alert: int
    channel: int
    message: int
    tracked: int
    policy: int
    audit_entry: int


def make_scene(page: Page, console: Console) -> Scene:
    """About ten seconds of real work. Leaves no drift, three staged organizations and one on the skip list."""
    console.clear_staged()
    damage = console.lose(console.take(4), each=4)
    run = find_affected(page, damage)
    save_query(page, run)
    page.goto(f"/sync/affected/runs/{run}/")
    stage_all(page)
    reported = run_batch(page, "Report", 4, Name="Look first", Tags="incident 41, index gap")
    drifted_job = console.job_of(damage.organizations[0])
    synced = run_batch(page, "Sync", 4, Name="Then repair")
    looping_job = loop(page, console)
    held = hold(page, console)
    scheduled_run, missed_run = schedule(page, console)
    monitor = watch(page, console)
    alert, message = raise_alarm(console, monitor)
    stage_by_hand(page, console.take(STAGED))
    return Scene(
        run=run,
        reported=reported,
        synced=synced,
        held=held,
        plan=plan_batch(page, "Report", STAGED),
        done_job=console.job_of(damage.organizations[0]),
        drifted_job=drifted_job,
        looping_job=looping_job,
        held_job=int(console.ask("SELECT max(id) FROM sync_job WHERE batch_id = %s", held)[0][0]),
        organization=damage.organizations[0],
        scheduled_run=scheduled_run,
        missed_run=missed_run,
        monitor=monitor,
        token=make_token(page, console),
        trace=console.ask("SELECT trace_id FROM sync_batch WHERE id = %s", synced)[0][0],
        alert=alert,
        channel=int(console.ask("SELECT min(id) FROM alerts_channel")[0][0]),
        message=message,
        tracked=track(console),
        policy=make_policy(console),
        audit_entry=int(console.ask("SELECT max(id) FROM opsconsole_auditentry WHERE reason <> ''")[0][0]),
        worker=str(
            console.ask("SELECT name FROM pipeline_workerbeat WHERE seen = '' ORDER BY beat_at DESC LIMIT 1")[0][0]
        ),
        tasks=tuple(row[0] for row in console.ask("SELECT task_id FROM sync_drift ORDER BY id LIMIT 5")),
    )


def save_query(page: Page, run: int) -> None:
    page.goto(f"/sync/affected/?like={run}")
    page.get_by_text("Save this query").click()
    page.get_by_label("Name").fill("Completed in the gap of May")
    page.get_by_role("button", name="Save query").click()
    expect(page.locator(".messages")).to_contain_text("Saved")


def run_batch(page: Page, mode: str, size: int, **fields: str) -> int:
    plan_batch(page, mode, size, **fields)
    batch = start_planned(page)
    expect_badge(page, "batch-status", "Done")
    return batch


def loop(page: Page, console: Console) -> int:
    """A job whose processes are killed one after the other; its organization gets on the skip list."""
    (organization,) = console.take(1)
    console.clear_staged()
    stage_by_hand(page, [organization])
    plan_batch(page, "Report", 1, Name="Too much for memory")
    with console.source_that_hangs():
        start_planned(page)
        job = console.job_of(organization)
        console.kill_until_looping(job)
    return job


def hold(page: Page, console: Console) -> int:
    """A batch whose canary has run and which waits for a go."""
    console.clear_staged()
    stage_by_hand(page, console.take(3))
    plan_batch(page, "Report", 3, Canary="1")
    batch = start_planned(page)
    paused = "SELECT state = 'paused' FROM sync_batch WHERE id = %s"
    wait_for(lambda: bool(console.ask(paused, batch)[0][0]), "the canary has run")
    console.clear_staged()
    return batch


def schedule(page: Page, console: Console) -> tuple[int, int]:
    """A scheduled run that is done, and one that was missed: as if no clock had run for three days.

    The oldest of these stands for one that was given up."""
    console.ask(
        "UPDATE schedules_scheduledjob SET watermark = now() - interval '3 days', next_due = now() - interval '3 days'"
        " WHERE name = 'nightly-check'"
    )
    page.goto("/schedules/jobs/pulse/run/")
    page.get_by_role("button", name="Run now").click()
    expect_badge(page, "run-says", "Done")
    missed = "SELECT max(id) FROM schedules_run WHERE state = 'missed'"
    wait_for(lambda: console.ask(missed)[0][0] is not None, "the clock has found missed runs")
    console.ask(
        "UPDATE schedules_run SET state = 'failed', error = 'https://export.example.com/runs answered 404.',"
        " attempt = 1, ended_at = now(), trouble = 'failed' WHERE id = (SELECT min(id) FROM schedules_run"
        " WHERE state = 'missed')"
    )
    return int(page.url.rstrip("/").rsplit("/", 1)[1]), int(console.ask(missed)[0][0])


def watch(page: Page, console: Console) -> int:
    """A monitor that was made by a ping under a key, has a run under way, and failed once."""
    key = "a-key-of-the-browser-tests"
    console.ask("INSERT INTO schedules_pingkey (name, key, created_by) VALUES ('Backups', %s, 'ann')", key)
    for said in ("?create=1", "/start", "/7", "/start"):
        answer = page.request.post(f"/ping/{key}/nightly-backup{said}", data="Copied 12 tables.")
        assert answer.ok, answer.text()
    down = "SELECT id FROM schedules_monitor WHERE stored = 'down' AND open_runs <> '{}'"
    wait_for(lambda: bool(console.ask(down)), "the clock has heard the pings")
    return int(console.ask(down)[0][0])


def raise_alarm(console: Console, monitor: int) -> tuple[int, int]:
    """The alert of that monitor, and its message."""
    told = (
        "SELECT alert_id, id FROM alerts_notification"
        " WHERE alert_id IN (SELECT id FROM alerts_alert WHERE subject = %s)"
    )
    wait_for(lambda: bool(console.ask(told, f"monitor:{monitor}")), "the alert of the monitor is told")
    ((alert, message), *_) = console.ask(told, f"monitor:{monitor}")
    return int(alert), int(message)


def make_token(page: Page, console: Console) -> int:
    """A token of the operator's, as people make one."""
    page.goto("/tokens/new/")
    page.get_by_label("Name", exact=True).fill("nightly report")
    page.get_by_label("sync.view_job").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator(".ident")).to_contain_text("ops_")
    return int(console.ask("SELECT max(id) FROM opsconsole_apitoken")[0][0])


def track(console: Console) -> int:
    """A capture that has been failing for more than a month."""
    abandoned = "SELECT id FROM abandonment_trackedtask WHERE trouble = 'abandoned' ORDER BY id"
    wait_for(lambda: bool(console.ask(abandoned)), "the clock has found abandoned tasks")
    return int(console.ask(abandoned)[0][0])


def make_policy(console: Console) -> int:
    """For a scope that has no task, so that it does nothing."""
    made = console.ask(
        "INSERT INTO abandonment_policy (scope, kind, failing_stage, idle_stage, failing_after, idle_after,"
        " watch_after, notice, recency, lasting, reminders, changed_at, changed_by) VALUES ('ap-1', '*', 2, 1,"
        " '30 days', '60 days', '14 days', '7 days', '14 days', '2 hours', '[72, 24]', now(), 'ann') RETURNING id"
    )
    return int(made[0][0])
