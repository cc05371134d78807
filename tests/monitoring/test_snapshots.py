"""Snapshots: one for each interval whoever takes it, kept whole for a week and hourly for 90 days, in bounded steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from monitoring.records import duties
from monitoring.records.history import past_of
from monitoring.records.models import ChangedLimits, Snapshot, UsualTimes
from monitoring.records.operations import snapshots, usual
from monitoring.records.operations.snapshots import bucket_of, due_source, take, take_due, thin
from monitoring.records.standing import Why, standing_of
from opsconsole import estate
from opsconsole.clock.duties import registered
from opsconsole.estate.model import RecordSource
from tests.monitoring.files import NOW, PREFIX, Files, UseRecords, minutes

pytest_plugins = ["tests.fixtures_records"]
pytestmark = pytest.mark.django_db
PROCESSING = f"{PREFIX}processing"


def test_a_snapshot_has_every_status_and_what_is_stuck(files: Files) -> None:
    files.add("processing", 100, 31, count=2)
    files.add("processing", 100, 10)
    files.add("ok", 100, 90)
    found = take(files.source(), NOW)
    kept = Snapshot.objects.get()
    assert kept.counts == found.counts == {PROCESSING: 3, f"{PREFIX}ok": 1}
    assert kept.stuck == {PROCESSING: 2}
    assert kept.oldest_stuck == NOW - minutes(100)
    assert (kept.older_than, kept.younger_than, kept.error) == (minutes(15), minutes(300), "")
    assert kept.seconds > 0


def test_records_that_leave_by_their_age_are_counted(files: Files) -> None:
    files.add("processing", 298, 290, count=4)  # leave the window in two minutes
    files.add("processing", 200, 190)
    take(files.source(), NOW)
    later = take(files.source(), NOW + minutes(5))
    assert (later.counts, later.aged) == ({PROCESSING: 1}, {PROCESSING: 4})
    much_later = take(files.source(), NOW + minutes(90))
    assert much_later.aged == {}  # nobody counted for longer than an hour: who left when cannot be told


def test_an_interval_has_one_snapshot_even_from_two_clocks(files: Files) -> None:
    take(files.source(), NOW)
    take(files.source(), NOW + minutes(1))
    take(files.source(), NOW + minutes(5))
    assert Snapshot.objects.count() == 2


def test_what_cannot_be_counted_is_kept_as_an_error(files: Files) -> None:
    take(files.source(status="Status"), NOW)
    kept = Snapshot.objects.get()
    assert 'column "Status" does not exist' in kept.error
    assert (kept.counts, kept.stuck) == ({}, None)


def test_counts_hold_where_stuck_ones_take_too_long(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.add("processing", 600, 590)  # too old for the window, young enough to be stuck
    files.add("processing", 60, 50)
    monkeypatch.setattr(snapshots, "LONGEST", 0.5)
    slow = """CASE WHEN "FileId" = (SELECT min("FileId") FROM {}) THEN pg_sleep(5) IS NOT NULL ELSE true END"""
    kept = take(files.source(where=slow.format(f'"{files.store.schema}"."My.Files 100%"')), NOW)
    assert (kept.counts, kept.stuck, kept.error) == ({PROCESSING: 1}, None, "")


def test_a_slow_source_does_not_hold_the_clock_up(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "LONGEST", 0.3)
    files.add("processing", 60)
    kept = take(files.source(where="pg_sleep(5) IS NOT NULL", statement_timeout=300.0), NOW)
    assert "timeout of 0.3 s" in kept.error
    assert kept.seconds < 3


def test_the_source_that_waits_longest_is_next_one_at_a_time(files: Files, use_records: UseRecords) -> None:
    first, second = files.source(name="first"), files.source(name="second", snapshot_every=600.0)
    use_records(first, second)
    assert [take_due(NOW) for _ in range(3)] == [True, True, False]
    assert take_due(NOW + minutes(5))
    assert not take_due(NOW + minutes(5))
    assert take_due(NOW + minutes(10))
    assert [row.source for row in Snapshot.objects.order_by("pk")] == ["first", "second", "first", "second"]


def test_the_longest_wait_comes_first() -> None:
    one, other = RecordSource("one", "", "", "x"), RecordSource("other", "", "", "x")
    newest = {"one": NOW - minutes(10), "other": NOW - minutes(20)}
    assert due_source((one, other), newest, NOW) is other
    assert due_source((one, other), {}, NOW) is one
    assert due_source((), {}, NOW) is None
    assert bucket_of(NOW + minutes(4.99), 300) == NOW


def kept_at(moment: datetime, source: str = "x", error: str = "") -> Snapshot:
    return Snapshot.objects.create(
        source=source,
        bucket=moment,
        taken_at=moment,
        seconds=0,
        older_than=minutes(15),
        younger_than=minutes(300),
        counts={} if error else {PROCESSING: moment.minute},
        error=error,
    )


def test_old_snapshots_are_thinned_to_one_an_hour() -> None:
    hour = NOW - timedelta(days=8)
    kept = [kept_at(NOW - minutes(5)), kept_at(NOW - timedelta(days=6, minutes=5)), kept_at(NOW - timedelta(days=6))]
    failed = kept_at(hour, error="away")
    first = kept_at(hour + minutes(5))
    for place in range(2, 12):
        kept_at(hour + minutes(5 * place))
    other = kept_at(hour + minutes(5), source="y")
    assert thin(NOW) == 11
    assert set(Snapshot.objects.all()) == {*kept, first, other}
    assert failed not in Snapshot.objects.all()  # of an hour, one that could be taken is kept
    assert thin(NOW) == 0


def test_thinning_is_done_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "ROWS_PER_STEP", 4)
    for place in range(12):
        kept_at(NOW - timedelta(days=8) + minutes(5 * place))
    assert [thin(NOW) for _ in range(4)] == [4, 4, 3, 0]


def test_the_past_is_read_thinned_however_often_snapshots_are_taken(files: Files) -> None:
    start = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
    for place in range(0, 3_600, 10):
        kept_at(start + timedelta(seconds=place), source="odd-files")
    kept_at(NOW - timedelta(days=3), source="odd-files")
    past = past_of("odd-files", standing_of(files.source()).ages, NOW, timedelta(days=7))
    assert len(past.recent) == 360
    assert len(past.day) <= 18
    assert past.long[0].at == NOW - timedelta(days=3)
    assert past.day[-1].at == past.recent[-1].at


def test_snapshots_of_another_window_are_not_compared(files: Files) -> None:
    kept_at(NOW - minutes(5), source="odd-files")
    ChangedLimits.objects.create(source="odd-files", younger_than=minutes(120), changed_by="x", changed_at=NOW)
    standing = standing_of(files.source())
    assert standing.ages.younger == 7_200
    assert not past_of("odd-files", standing.ages, NOW, timedelta(hours=6))


def test_usual_times_are_measured_once_an_hour(files: Files, use_records: UseRecords) -> None:
    files.add("ok", 600, 590, count=60)
    use_records(files.source(statuses=tuple(replace(one, limit=None) for one in files.source().statuses)))
    assert usual.measure_due(NOW)
    assert not usual.measure_due(NOW + minutes(59))
    measured = UsualTimes.objects.get()
    assert measured.error == ""
    assert measured.seconds[PROCESSING] == pytest.approx(600, rel=0.11)
    (source,) = estate.current().records
    assert standing_of(source).thresholds[PROCESSING].why is Why.USUAL
    # What cannot be measured again stays, with the reason.
    use_records(files.source(updated_at="nowhere"))
    assert usual.measure_due(NOW + minutes(61))
    again = UsualTimes.objects.get()
    assert (again.seconds, "nowhere" in again.error) == (measured.seconds, True)


def test_without_an_estate_the_clock_has_nothing_to_take(settings: Settings, tmp_path: Path) -> None:
    settings.ESTATE = str(tmp_path / "nowhere.toml")
    estate.reset()
    assert not duties.take_snapshots()
    assert not duties.measure_usual_times()
    estate.reset()


def test_the_clock_does_all_of_it(files: Files, use_records: UseRecords) -> None:
    files.add("processing", 20, now=datetime.now(UTC))
    use_records(files.source())
    names = {duty.name for duty in registered()}
    assert {"records.take_snapshots", "records.thin_snapshots", "records.measure_usual_times"} <= names
    assert duties.take_snapshots()
    assert Snapshot.objects.get().counts == {PROCESSING: 1}
    duties.thin_snapshots()
    duties.measure_usual_times()
    assert UsualTimes.objects.count() == 1
