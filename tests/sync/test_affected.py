"""Affected organizations: the query, its runs in the background, staging what they found, the estimate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from opsconsole import estate
from opsconsole.audit import Actor, Door
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.models import User
from opsconsole.times import Window
from sync import querythread
from sync.models import AffectedRow, JobState, QueryRun, RunState, SkippedOrganization, StagedOrganization
from sync.operations import estimate, query_runs, saved_queries
from sync.operations.affected import AffectedQuery, affected_organizations
from sync.operations.query_runs import cancel_run, drop_old_rows, fail_lost_runs, start_run
from sync.operations.run_staging import stage_run
from sync.source import AffectedOrganization
from tests.affected import HOUR, START, hit_three, join, make_slow, touch
from tests.company import Company, EstateWriter, run_sql
from tests.sync.jobs import make_job

pytest_plugins = ["tests.fixtures_sync"]

ADA = Actor("ada", Door.PAGE)


@pytest.fixture
def hit(company: Company, use_estate: EstateWriter, committed: None) -> list[UUID]:
    return hit_three(company)


def found(query: AffectedQuery) -> set[UUID]:
    return {UUID(str(one.key)) for one in affected_organizations(query)}


def run_query(query: AffectedQuery) -> QueryRun:
    return join(start_run(query, {}, ADA))


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    pause, end = threading.Event(), timezone.now() + timedelta(seconds=seconds)
    while not condition():
        assert timezone.now() < end, "it did not happen in time"
        pause.wait(0.02)


def at_source(company: Company) -> int:
    """How many of the console's statements are under way at the source."""
    statement = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'opsconsole %' AND state = 'active' AND query LIKE 'SELECT o.key%'"
    )
    running = run_sql(company.source_url, statement)  # only the same role sees what a connection is doing
    return int(running[0][0])


def test_the_start_is_included_and_the_end_is_not(company: Company, use_estate: EstateWriter, committed: None) -> None:
    first, second, *_ = company.organizations()
    touch(company, first, 0)
    touch(company, second, 60)
    assert found(AffectedQuery(HOUR)) == {first}


def test_only_tasks_with_one_of_the_statuses_count(company: Company, hit: list[UUID]) -> None:
    touch(company, hit[2], 5, status="completed")
    assert found(AffectedQuery(HOUR, statuses=("completed", "cancelled"))) == {hit[2]}


def test_the_minimum_counts_the_tasks_that_match(hit: list[UUID]) -> None:
    assert found(AffectedQuery(HOUR, minimum=2)) == set(hit[:2])
    assert found(AffectedQuery(HOUR, minimum=4)) == set()


def test_staged_organizations_can_be_left_out(hit: list[UUID]) -> None:
    StagedOrganization.objects.create(organization_id=str(hit[0]), staged_by="ada")
    assert found(AffectedQuery(HOUR)) == set(hit)
    assert found(AffectedQuery(HOUR, exclude_staged=True)) == set(hit[1:])


def test_skipped_organizations_can_be_left_out_but_not_resolved_ones(hit: list[UUID]) -> None:
    for organization, resolved in ((hit[0], None), (hit[1], timezone.now())):
        SkippedOrganization.objects.create(
            organization_id=str(organization), reason="looped", skipped_by="ada", resolved_at=resolved
        )
    assert found(AffectedQuery(HOUR, exclude_skipped=True)) == set(hit[1:])


def test_what_was_checked_since_a_time_can_be_left_out(hit: list[UUID]) -> None:
    ended = timezone.now()
    make_job(organization_id=str(hit[0]), state=JobState.DONE, ended_at=ended)
    make_job(organization_id=str(hit[1]), state=JobState.FAILED, ended_at=ended)
    assert found(AffectedQuery(HOUR, checked_since=ended)) == set(hit[1:])
    assert found(AffectedQuery(HOUR, checked_since=ended + timedelta(seconds=1))) == set(hit)


def test_a_pasted_list_in_any_shape_can_be_left_out(hit: list[UUID]) -> None:
    assert found(AffectedQuery(HOUR, exclude=(f"'s-{hit[0]}', {hit[1]}", ""))) == {hit[2]}
    with pytest.raises(UsageError, match="line 1"):
        found(AffectedQuery(HOUR, exclude=("nonsense",)))


def test_the_command_asks_the_same_query(hit: list[UUID], capsys: pytest.CaptureFixture[str]) -> None:
    window = ("--from", "2031-05-01 12:00:00", "--to", "2031-05-01 13:00:00", "--ids-only")
    StagedOrganization.objects.create(organization_id=str(hit[0]), staged_by="ada")
    call_command("affected_orgs", *window, "--min", "2", "--status", "waiting", "--exclude-staged")
    assert capsys.readouterr().out.split() == [f"s-{hit[1]}"]
    with pytest.raises(SystemExit, match="2"):
        call_command("affected_orgs", *window, "--min", "0")


def test_a_run_keeps_what_was_found_with_the_last_check(hit: list[UUID]) -> None:
    make_job(organization_id=str(hit[0]), state=JobState.DONE, ended_at=START, stale=9)
    make_job(organization_id=str(hit[0]), state=JobState.DONE, ended_at=START + timedelta(hours=1), stale=2, orphan=1)
    run = run_query(AffectedQuery(HOUR))
    assert (run.status, run.organizations, run.tasks_updated, run.error) == (RunState.DONE, 3, 6, "")
    rows = {UUID(row.organization_id): row for row in AffectedRow.objects.filter(run=run)}
    assert {key: row.updated for key, row in rows.items()} == dict(zip(hit, (3, 2, 1), strict=True))
    first = rows[hit[0]]
    assert (first.first_update, first.last_update) == (START, START + timedelta(minutes=2))
    assert (first.last_checked_at, first.last_check_found) == (START + timedelta(hours=1), 3)
    assert rows[hit[1]].last_checked_at is None


def test_a_run_beyond_its_cap_is_cut_off(hit: list[UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(querythread, "MOST_ORGANIZATIONS", 2)
    run = run_query(AffectedQuery(HOUR))
    assert (run.status, run.organizations, run.rows.count()) == (RunState.CUT_OFF, 2, 2)
    assert "not complete" in run.error


def test_the_statement_timeout_cuts_off_and_says_so(hit: list[UUID]) -> None:
    make_slow("300ms")
    run = run_query(AffectedQuery(Window(START - timedelta(days=3000), START)))
    assert run.status is RunState.CUT_OFF
    assert run.error.startswith(
        "Cut off after 0.3 s by the source's statement timeout: 0 organizations found before that"
    )


def test_what_came_before_an_error_is_kept() -> None:
    one = AffectedOrganization(uuid4(), "One", 1, 0, START, START)

    def broken() -> Iterator[AffectedOrganization]:
        yield from [one, one._replace(name="Two")]
        raise UnavailableError("The source is away.")

    chunks = querythread._chunks(broken())
    assert [organization.name for organization in next(chunks)] == ["One", "Two"]
    with pytest.raises(UnavailableError):
        next(chunks)


def test_an_absent_source_fails_the_run_in_a_sentence(hit: list[UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://reader@127.0.0.1:1/nowhere")
    estate.reset()
    run = run_query(AffectedQuery(HOUR))
    assert run.status is RunState.FAILED
    assert "cannot be reached" in run.error


def test_cancelling_ends_the_statement_at_the_server(company: Company, hit: list[UUID]) -> None:
    make_slow()
    run = start_run(AffectedQuery(Window(START - timedelta(days=3000), START)), {}, ADA)
    wait_until(lambda: at_source(company))
    cancel_run(run, ADA)
    assert join(run).status is RunState.CANCELLED
    assert at_source(company) == 0
    with pytest.raises(UsageError, match="it is cancelled"):
        cancel_run(run, ADA)


def test_a_run_cancelled_before_its_statement_never_asks(hit: list[UUID]) -> None:
    run = QueryRun.objects.create(window_from=HOUR.start, window_to=HOUR.end, started_by="ada")
    cancel_run(run, ADA)
    querythread.slots.acquire()
    querythread.start_thread(run.pk, AffectedQuery(HOUR))
    assert join(run).status is RunState.CANCELLED
    assert (run.backend_pid, run.organizations) == (None, 0)


def test_a_cancel_that_found_no_statement_is_passed_on_again(
    company: Company, hit: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querythread, "BEAT_SECONDS", 0.1)
    make_slow()
    run = start_run(AffectedQuery(Window(START - timedelta(days=3000), START)), {}, ADA)
    wait_until(lambda: at_source(company))
    QueryRun.objects.ask_to_cancel(run.pk)
    assert join(run).status is RunState.CANCELLED


def test_four_at_once(company: Company, hit: list[UUID]) -> None:
    make_slow()
    slow = AffectedQuery(Window(START - timedelta(days=3000), START))
    runs = [start_run(slow, {}, ADA) for _ in range(4)]
    with pytest.raises(UsageError, match="4 queries are running"):
        start_run(slow, {}, ADA)
    assert QueryRun.objects.count() == 4
    wait_until(lambda: at_source(company) == 4)
    for run in runs:
        cancel_run(run, ADA)
    assert {join(run).status for run in runs} == {RunState.CANCELLED}
    assert run_query(AffectedQuery(HOUR)).status in (RunState.DONE, RunState.CUT_OFF)


def test_a_run_whose_thread_is_gone_is_failed(hit: list[UUID]) -> None:
    fresh, lost = (
        QueryRun.objects.create(window_from=HOUR.start, window_to=HOUR.end, started_by="ada") for _ in range(2)
    )
    QueryRun.objects.filter(pk=lost.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert (fail_lost_runs(), fail_lost_runs()) == (1, 0)
    lost.refresh_from_db()
    fresh.refresh_from_db()
    assert (lost.status, lost.error) == (RunState.FAILED, query_runs.LOST)
    assert fresh.status is RunState.RUNNING
    assert not QueryRun.objects.progress(lost.pk, 1, 1), "a thread that comes back changes nothing"


def test_old_rows_go_and_the_run_stays(hit: list[UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_runs, "ROWS_PER_STATEMENT", 2)
    old, young = run_query(AffectedQuery(HOUR)), run_query(AffectedQuery(HOUR))
    QueryRun.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=8))
    assert (drop_old_rows(), drop_old_rows()) == (3, 0)
    old.refresh_from_db()
    assert (old.rows.count(), young.rows.count(), old.organizations) == (0, 3, 3)
    with pytest.raises(UsageError, match="cleared away"):
        stage_run(old, ADA)


def test_staging_all_twice_stages_once(hit: list[UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.operations.run_staging.ROWS_PER_STATEMENT", 2)
    run = run_query(AffectedQuery(HOUR))
    first, second = stage_run(run, ADA), stage_run(run, ADA)
    assert (first.staged, first.already, second.staged, second.already) == (3, 0, 0, 3)
    staged = StagedOrganization.objects.all()
    assert {(row.query_run_id, row.origin, row.staged_by) for row in staged} == {(run.pk, f"query run {run.pk}", "ada")}
    assert all(row.name for row in staged)


def test_active_and_skipped_organizations_are_left_out_and_said(hit: list[UUID]) -> None:
    make_job(organization_id=str(hit[0]), state=JobState.RUNNING)
    SkippedOrganization.objects.create(organization_id=str(hit[1]), reason="looped", skipped_by="ada")
    run = run_query(AffectedQuery(HOUR))
    result = stage_run(run, ADA)
    assert (result.staged, result.active, result.skipped) == (1, (str(hit[0]),), (str(hit[1]),))
    assert "on the skip list" in result.sentence()
    assert stage_run(run, ADA, include_skipped=True).staged == 1


def test_staging_some_takes_only_what_the_run_found(hit: list[UUID]) -> None:
    run = run_query(AffectedQuery(HOUR))
    assert stage_run(run, ADA, only=[str(hit[2]), str(uuid4())]).staged == 1
    with pytest.raises(UsageError, match="None of the chosen"):
        stage_run(run, ADA, only=[str(uuid4())])


def test_a_running_query_cannot_be_staged(hit: list[UUID]) -> None:
    run = QueryRun.objects.create(window_from=HOUR.start, window_to=HOUR.end, started_by="ada")
    with pytest.raises(UsageError, match="still running"):
        stage_run(run, ADA)


@pytest.mark.parametrize(
    ("wanted", "counted", "rates", "expected"),
    [
        (10, (10, 600), [100.0, 200.0, 300.0, 400.0, 500.0], (600, False, 1.5, 3.0)),
        (20, (10, 600), [100.0] * 3, (1200, True, 12.0, 12.0)),
        (10, (10, 600), [100.0, 0.0], (600, False, None, None)),
        (10, (0, 0), [100.0] * 9, (None, True, None, None)),
        (0, (0, 0), [100.0] * 9, (0, False, 0.0, 0.0)),
    ],
)
def test_the_estimate(
    wanted: int,
    counted: tuple[int, int],
    rates: list[float],
    expected: tuple[int | None, bool, float | None, float | None],
) -> None:
    result = estimate.estimate(wanted, estimate.Counted(*counted), rates)
    assert (result.tasks, result.about, result.low, result.high) == expected
    assert bool(result.reason) == (result.low is None)


def test_the_estimate_of_a_run_counts_at_the_source(company: Company, hit: list[UUID]) -> None:
    ended = timezone.now()
    for _ in range(3):
        make_job(state=JobState.DONE, scanned=500, started_at=ended - timedelta(seconds=5), ended_at=ended)
    result = estimate.estimate_run(run_query(AffectedQuery(HOUR)))
    counted = company.in_source(
        "SELECT count(*) FROM tasks WHERE organization_id = ANY(%s) AND deleted_at IS NULL", hit
    )[0][0]
    assert (result.tasks, result.about) == (counted, False)
    assert result.low == pytest.approx(counted / 100)


def test_an_estimate_that_takes_too_long_is_scaled() -> None:
    def count(keys: object) -> dict[UUID | int | str, int]:
        raise UnavailableError("too slow")

    assert estimate.count_within([uuid4()], count, 10) == estimate.Counted(0, 0)


def test_saved_queries(committed: None, django_user_model: type[User]) -> None:
    ada, bob = (django_user_model.objects.get_or_create(username=name)[0] for name in ("ada-saves", "bob-saves"))
    actor = Actor(ada.username, Door.PAGE, None)
    mine = saved_queries.save("Nightly", {"window": ["6h"]}, replace(actor, user_id=ada.pk), shared=False)
    saved_queries.save("For all", {"window": ["1h"]}, replace(actor, user_id=ada.pk), shared=True)
    assert [one.query.name for one in saved_queries.visible_to(ada.pk)] == ["For all", "Nightly"]
    assert [one.query.name for one in saved_queries.visible_to(bob.pk)] == ["For all"]
    with pytest.raises(UsageError, match="You have a query named"):
        saved_queries.save("Nightly", {}, replace(actor, user_id=ada.pk), shared=False)
    with pytest.raises(UsageError, match="Only the person"):
        saved_queries.delete(mine, replace(actor, user_id=bob.pk))
    saved_queries.delete(mine, replace(actor, user_id=ada.pk))
    assert [one.query.name for one in saved_queries.visible_to(ada.pk)] == ["For all"]
