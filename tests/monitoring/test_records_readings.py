"""What the overview says of record statuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from monitoring.records.models import Snapshot
from monitoring.records.readings import stuck_records
from opsconsole.overview import Reading
from opsconsole.tones import Tone
from tests.monitoring.files import NOW, PREFIX, Files, UseRecords, minutes

pytest_plugins = ["tests.fixtures_records"]
pytestmark = pytest.mark.django_db


def snapshot(source: str, age: float, **fields: Any) -> None:
    at = NOW - minutes(age)
    values: dict[str, Any] = {"stuck": {}, "seconds": 0.0, "older_than": minutes(15), "younger_than": minutes(300)}
    Snapshot.objects.create(source=source, bucket=at, taken_at=at, **(values | fields))


def read() -> Reading:
    found = stuck_records(NOW)
    assert found is not None
    return found


def test_nothing_to_say_without_a_source(use_records: UseRecords) -> None:
    use_records()
    assert stuck_records(NOW) is None


def test_stuck_ones_by_status_and_where_to_go(
    files: Files, use_records: UseRecords, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    use_records(files.source(name="mail", label="Mail"), files.source())
    snapshot("mail", 1)
    snapshot("odd-files", 6, stuck={f"{PREFIX}error": 900})
    snapshot("odd-files", 1, stuck={f"{PREFIX}error": 2, f"{PREFIX}processing": 35})
    with django_assert_num_queries(1):
        found = read()
    assert (found.value, found.shown, found.tone) == (37.0, "37", Tone.PROBLEM)
    assert found.sentence == "Odd files: 35 stuck in processing, 2 stuck in error."
    assert found.address == "/records/odd-files/stuck/"
    assert found.action_address == "/records/odd-files/"


def test_all_is_well(files: Files, use_records: UseRecords) -> None:
    use_records(files.source())
    snapshot("odd-files", 1)
    found = read()
    assert (found.value, found.tone, found.address) == (0.0, Tone.FINE, "/records/odd-files/")


@pytest.mark.parametrize(
    ("age", "fields", "part"),
    [
        (timedelta(days=3), {}, "not counted yet"),
        (timedelta(minutes=16), {}, "look whether the clock runs"),
        (timedelta(minutes=1), {"stuck": None}, "could not be counted in time"),
        (timedelta(minutes=1), {"error": "Nobody answers.", "stuck": None}, "cannot be counted: Nobody answers."),
    ],
)
def test_what_is_not_known_is_not_called_well(
    files: Files, use_records: UseRecords, age: timedelta, fields: dict[str, Any], part: str
) -> None:
    use_records(files.source())
    snapshot("odd-files", age / minutes(1), **fields)
    found = read()
    assert (found.value, found.shown, found.tone) == (None, "unknown", Tone.WAITING)
    assert part in found.sentence
