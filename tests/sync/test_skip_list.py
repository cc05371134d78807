"""The skip list's operations, and windows over it: real source, index and broker, jobs run in this process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from opsconsole.csvfile import csv_lines
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from opsconsole.times import Window
from sync.engine.rows import DriftKind, Key, Row
from sync.jobs import run_as
from sync.models import Attempt, BatchState, Job, JobKind, JobState, Mode, SkippedOrganization, SkipReason
from sync.operations import byhand, skiplist, windows
from sync.operations.batches import contents_of, start_plan
from sync.operations.skipfile import COLUMNS, cells_of
from sync.operations.skipimport import ListChangedError, apply_import, plan_import
from tests.company import Company, IndexerThread
from tests.sync.batches import PERSON, reload
from tests.sync.jobs import WORKER, make_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue", "use_estate"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

WINDOW = Window(datetime(2001, 5, 1, 12, tzinfo=UTC), datetime(2001, 5, 1, 13, tzinfo=UTC))
INSIDE = WINDOW.start + timedelta(minutes=5)


def entry(organization: object, **fields: Any) -> SkippedOrganization:
    values = {"organization_id": str(organization), "reason": "by_hand", "skipped_by": "tests", "name": "Somebody"}
    return SkippedOrganization.objects.create(**(values | fields))


def export(*, open_only: bool = False) -> str:
    rows = (cells_of(one, "s-") for one in skiplist.listed(open_only=open_only))
    return "".join(csv_lines(tuple(COLUMNS), rows))


def state_of_list() -> list[tuple[Any, ...]]:
    fields = ("organization_id", "name", "reason", "note", "job", "skipped_by", "skipped_at", "resolved_at")
    return list(SkippedOrganization.objects.order_by("organization_id", "pk").values_list(*fields))


def ended(organization: object, **fields: Any) -> Job:
    """A job of that organization that is done, its attempt begun now."""
    job = make_job(**({"organization_id": str(organization), "mode": "sync", "state": JobState.DONE} | fields))
    Attempt.objects.create(job=job, number=1, worker="w", host="h", pid=1)
    return job


def lose_messages(company: Company, organization: UUID, at: datetime, count: int) -> Sequence[UUID]:
    """Complete some of the source's tasks without the index hearing of it."""
    tasks = company.tasks(organization)[:count]
    company.in_source(
        "UPDATE tasks SET status = 'completed', title = 'Lost', version = version + 1, updated_at = %s"
        " WHERE id = ANY(%s)",
        at,
        tasks,
    )
    return tasks


def test_skip_in_any_shape_and_twice(company: Company) -> None:
    one, other = company.organizations()[:2]
    first = skiplist.skip([f"s-{one}, '{other}'"], SkipReason.TOO_LARGE, " note\r\nmore ", PERSON)
    assert (first.added, first.already) == (2, 0)
    again = skiplist.skip([str(one)], SkipReason.OTHER, "", PERSON)
    assert (again.added, again.already) == (0, 1)
    assert set(SkippedOrganization.objects.values_list("reason", "note")) == {("too_large", "note\nmore")}
    assert AuditEntry.objects.filter(action="organizations.skipped").count() == 2


def test_one_unknown_id_skips_nothing(company: Company) -> None:
    with pytest.raises(UsageError, match="Not known to the source"):
        skiplist.skip([str(company.organizations()[0]), str(uuid4())], SkipReason.BY_HAND, "", PERSON)
    assert not SkippedOrganization.objects.exists()


def test_taken_off_it_stays_as_history_and_twice_changes_nothing() -> None:
    one = entry(uuid4())
    with pytest.raises(UsageError, match="Say why"):
        skiplist.take_off([one.pk], PERSON, "  ")
    assert skiplist.take_off([one.pk, 10**9], PERSON, "fixed " * 100) == 1
    assert skiplist.take_off([one.pk], PERSON, "again") == 0
    one.refresh_from_db()
    assert one.resolution.startswith("Taken off by ada: fixed")
    assert one.resolved_at is not None


@pytest.mark.parametrize("kind", [JobKind.ORGANIZATION, JobKind.WINDOW])
def test_a_later_sync_without_anything_unresolved_resolves(kind: JobKind) -> None:
    one, other = entry(uuid4()), entry(uuid4())
    job = ended(one.organization_id, kind=kind)
    for _ in range(2):
        skiplist.resolve_when_synced(None, job_ids=[job.pk])
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.resolved_by_job, other.resolved_at) == (job, None)
    assert one.resolution == f"Synced by job {job.pk}"
    assert AuditEntry.objects.filter(action="organizations.unskipped").count() == 1


@pytest.mark.parametrize(
    "fields", [{"mode": "report"}, {"state": JobState.FAILED}, {"unresolved": 1}, {"kind": JobKind.TASKS}]
)
def test_other_ends_resolve_nothing(fields: dict[str, Any]) -> None:
    one = entry(uuid4())
    skiplist.resolve_when_synced(None, job_ids=[ended(one.organization_id, **fields).pk])
    skiplist.resolve_missed()
    assert SkippedOrganization.objects.open().count() == 1


def test_a_job_that_began_before_the_entry_resolves_nothing_and_the_clock_finds_what_was_missed() -> None:
    organization = uuid4()
    ended(organization)
    entry(organization)
    skiplist.resolve_missed()
    assert SkippedOrganization.objects.open().count() == 1
    ended(organization)
    skiplist.resolve_missed()
    assert SkippedOrganization.objects.open().count() == 0


def test_what_is_exported_changes_nothing_when_it_comes_back(company: Company) -> None:
    now = timezone.now()
    organizations = company.organizations()
    hostile = ("=cmd|' /c calc'!A0", "'=x", 'two\nlines, "quoted"; and more', "-1")
    for organization, note in zip(organizations, hostile, strict=False):
        job = make_job(organization_id=str(organization))
        entry(organization, note=note, name=note, job=job, skipped_by="=ada", reason="looped")
    entry(organizations[0], resolved_at=now, resolution="=done", skipped_at=now - timedelta(days=1))
    before = state_of_list()
    plan = plan_import(export(), PERSON)
    assert (plan.new, plan.changed, plan.unchanged, plan.history, plan.errors) == (0, 0, 4, 1, ())
    apply_import(export(), plan.digest, PERSON)
    assert state_of_list() == before
    assert not AuditEntry.objects.filter(action="skip_list.imported").exists()


def test_an_export_fills_an_empty_list_with_the_same(company: Company) -> None:
    organizations = company.organizations()[:3]
    skiplist.skip(map(str, organizations), SkipReason.TOO_LARGE, "=note", PERSON)
    text, before = export(), state_of_list()
    SkippedOrganization.objects.all().delete()
    apply_import(text, plan_import(text, PERSON).digest, PERSON)
    assert state_of_list() == before


def test_import_does_what_was_previewed_once(company: Company) -> None:
    one, other = company.organizations()[:2]
    kept = entry(one, note="old", reason="looped")
    text = f"organization_id;note\ns-{one};new\n{other};fresh\n"
    plan = plan_import(text, PERSON)
    assert (plan.new, plan.changed) == (1, 1)
    assert SkippedOrganization.objects.count() == 1, "a preview changes nothing"
    done = apply_import(text, plan.digest, PERSON, "cleaning up")
    assert (done.new, done.changed) == (1, 1)
    kept.refresh_from_db()
    assert (kept.note, kept.reason) == ("new", "looped"), "a column that is not there leaves what is"
    made = SkippedOrganization.objects.get(organization_id=str(other))
    assert (made.note, made.reason, made.skipped_by) == ("fresh", "by_hand", "ada")
    assert made.name
    with pytest.raises(ListChangedError) as again:
        apply_import(text, plan.digest, PERSON)
    assert (again.value.plan.new, again.value.plan.changed, again.value.plan.unchanged) == (0, 0, 2)


def test_import_refuses_another_list_and_another_file(company: Company) -> None:
    one, other = company.organizations()[:2]
    kept = entry(one, note="old")
    text = f"organization_id,note\n{one},new\n"
    plan = plan_import(text, PERSON)
    with pytest.raises(ListChangedError):
        apply_import(f"organization_id,note\n{one},newer\n{other},x\n", plan.digest, PERSON)
    SkippedOrganization.objects.filter(pk=kept.pk).update(note="somebody else's")
    with pytest.raises(ListChangedError) as changed:
        apply_import(text, plan.digest, PERSON)
    assert changed.value.plan.changes[0].fields[0].before == "somebody else's"
    kept.refresh_from_db()
    assert (kept.note, SkippedOrganization.objects.count()) == ("somebody else's", 1)


def test_import_with_a_wrong_row_does_nothing(company: Company) -> None:
    one, other = company.organizations()[:2]
    stranger, foreign = uuid4(), make_job(organization_id=str(other))
    still = entry(other)
    rows = [
        f"{one},,",
        f"{stranger},,",
        f"{company.organizations()[2]},{foreign.pk},",
        f"{company.organizations()[3]},{10**12},",
    ]
    text = "\n".join(["organization_id,job,resolved_at", *rows]) + "\n"
    plan = plan_import(text, PERSON)
    assert [error.line for error in plan.errors] == [3, 4, 5]
    assert plan.errors[0].why == "is not known to the source"
    with pytest.raises(UsageError, match="3 rows are wrong"):
        apply_import(text, plan.digest, PERSON)
    claimed = f"organization_id,skipped_at,resolved_at\n{other},{still.skipped_at.isoformat()},2026-01-01\n"
    assert "take it off there" in plan_import(claimed, PERSON).errors[0].why
    assert SkippedOrganization.objects.count() == 1


def test_the_command_exports_and_imports(company: Company, tmp_path: Path) -> None:
    skiplist.skip([str(company.organizations()[0])], SkipReason.LOOPED, "=1", PERSON)
    file, before = tmp_path / "list.csv", state_of_list()
    call_command("skip_list", "export", str(file), stdout=StringIO())
    SkippedOrganization.objects.all().delete()
    out = StringIO()
    call_command("skip_list", "import", str(file), dry_run=True, stdout=out)
    assert "1 new, 0 changed, 0 unchanged. Nothing was done." in out.getvalue()
    assert not SkippedOrganization.objects.exists()
    call_command("skip_list", "import", str(file), stdout=out)
    assert state_of_list() == before
    file.write_text("organization_id\nfoo\n", encoding="utf-8")
    errors = StringIO()
    with pytest.raises(SystemExit) as ended_badly:
        call_command("skip_list", "import", str(file), stdout=out, stderr=errors)
    assert ended_badly.value.code == UsageError.exit_status
    assert "line 2: 'foo' is no UUID" in errors.getvalue()


def test_a_window_over_all_skipped_syncs_and_resolves(company: Company, indexer: IndexerThread) -> None:
    first, second, busy, outside = company.organizations()[:4]
    for organization in (first, second, outside):
        lose_messages(company, organization, INSIDE if organization != outside else WINDOW.end, 3)
    skiplist.skip(map(str, (first, second, busy)), SkipReason.LOOPED, "", PERSON)
    make_job(organization_id=str(busy))
    plan = windows.plan_windows(None, WINDOW, Mode.SYNC, PERSON)
    batch = start_plan(plan.pk, plan.hash, PERSON, reason="the gap")
    jobs = list(batch.jobs.order_by("pk"))
    assert [(job.kind, job.organization_id) for job in jobs] == [("window", str(first)), ("window", str(second))]
    for job in jobs:
        run_as(job.pk, WORKER)
        job.refresh_from_db()
        assert (job.state, job.scanned, job.stale, job.verified, job.unresolved) == ("done", 3, 3, 3, 0)
    assert reload(batch).state == BatchState.DONE
    resolved = SkippedOrganization.objects.exclude(resolved_at=None).order_by("pk")
    assert [one.resolved_by_job for one in resolved] == jobs
    assert SkippedOrganization.objects.open_organizations([str(busy)]) == {str(busy)}
    assert company.drift() == 3, "what was updated at the window's end is not in it"


def test_plan_of_windows_names_what_it_leaves_out_and_refuses_an_empty_list(company: Company) -> None:
    with pytest.raises(UsageError, match="skip list is empty"):
        windows.plan_windows(None, WINDOW, Mode.REPORT, PERSON)
    one, busy = company.organizations()[:2]
    make_job(organization_id=str(busy))
    plan = windows.plan_windows([f"{one} {busy}"], WINDOW, Mode.REPORT, PERSON)
    assert plan.organizations == [str(one)]
    assert contents_of(plan).active == (str(busy),)


def test_one_organization_by_window_and_never_two_at_once(company: Company, indexer: IndexerThread) -> None:
    organization = company.organizations()[0]
    lose_messages(company, organization, INSIDE, 2)
    preview = byhand.preview_window(f"s-{organization}", WINDOW)
    assert (len(preview.keys), preview.drift[DriftKind.STALE], preview.same) == (2, 2, 0)
    job = windows.sync_window(str(organization), WINDOW, Mode.SYNC, PERSON, reason="asked")
    with pytest.raises(UsageError, match="one at a time"):
        windows.sync_window(str(organization), WINDOW, Mode.SYNC, PERSON)
    run_as(job.pk, WORKER)
    assert byhand.preview_window(str(organization), WINDOW).same == 2


def test_tasks_by_hand_say_what_differs_and_are_synced_once(company: Company, indexer: IndexerThread) -> None:
    organization = company.organizations()[0]
    stale, missing, same = company.tasks(organization)[:3]
    orphan, unknown = uuid4(), uuid4()
    lose_messages(company, organization, INSIDE, 1)
    company.in_index("DELETE FROM tasks WHERE id = %s", missing)
    company.in_index(
        "INSERT INTO tasks (id, organization_id, status, title, version, updated_at)"
        " VALUES (%s, %s, 'waiting', 'x', 1, now())",
        orphan,
        organization,
    )
    pasted = f"{same} s-{orphan}\n{missing}, '{stale}' {unknown} {same}"
    preview = byhand.preview_tasks(pasted)
    assert preview.unknown == (unknown,)
    assert [(task.key, task.kind) for task in preview.shown] == [
        (orphan, DriftKind.ORPHAN),
        (missing, DriftKind.MISSING),
        (stale, DriftKind.STALE),
        (same, None),
    ]
    assert "title" in preview.shown[2].fields
    ids = "\n".join(map(str, preview.keys))
    job = byhand.sync_previewed(ids, PERSON, "asked for")
    with pytest.raises(UsageError, match="has exactly these tasks already"):
        byhand.sync_previewed(ids, PERSON, "asked for")
    run_as(job.pk, WORKER)
    assert byhand.preview_tasks(ids.replace(str(orphan), "")).same == 3
    assert AuditEntry.objects.get(action="job.created").reason == "asked for"


def test_a_query_on_the_index_finds_what_should_not_be_waiting(company: Company) -> None:
    organization = company.organizations()[0]
    lose_messages(company, organization, INSIDE, 4)
    preview = byhand.preview_query("waiting", 1_000)
    waiting = company.in_index("SELECT count(*) FROM tasks WHERE status = 'waiting'")[0][0]
    assert len(preview.keys) == waiting
    assert len(byhand.preview_query("waiting", 5).keys) == 5
    assert not byhand.preview_query("nobody has this", 5).keys
    for status, limit in (("", 1), ("waiting", 0), ("waiting", 1_001), ("a\x00", 1)):
        with pytest.raises(UsageError):
            byhand.preview_query(status, limit)


def test_what_is_young_is_not_called_drift() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys: list[Key] = [1, 2, 3]
    old, young = now - timedelta(minutes=1), now - timedelta(seconds=1)
    source = {key: Row(key, 9, ("completed",), 2, at) for key, at in zip(keys, (old, young, young), strict=True)}
    index = {key: Row(key, 9, ("waiting" if key != 3 else "completed",), 1, old) for key in keys}
    preview = byhand.compare(keys, source, index, names=("status",), now=now, settle=timedelta(seconds=10))
    assert (preview.differing, preview.young, preview.same) == (1, 1, 1)
    assert [task.key for task in preview.shown] == keys


def test_a_preview_shows_the_first_and_counts_all(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    organization = company.organizations()[0]
    wide = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(byhand, "PAGE_ROWS", 7)
    monkeypatch.setattr(byhand, "MOST_COMPARED", 20)
    preview = byhand.preview_window(str(organization), wide)
    assert (len(preview.keys), preview.more) == (20, True)
    monkeypatch.setattr(byhand, "MOST_COMPARED", 10_000)
    whole = byhand.preview_window(str(organization), wide)
    everything = len(company.tasks(organization)) + len(company.tasks(organization, deleted=True))
    assert (len(whole.keys) + len(whole.unknown), whole.more) == (everything, False)
