"""The estate's scheduled jobs become rows: once, again without a change, and never firing what was due before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.checks import Error
from pytest_django import Settings

from monitoring.schedules.checks import check_scheduled_jobs
from monitoring.schedules.models import Origin, ScheduledJob
from monitoring.schedules.operations.firing import fire_due
from monitoring.schedules.operations.saving import disable
from monitoring.schedules.operations.taken import THE_FILE, TakenOver
from monitoring.schedules.operations.taking_over import EstateFollower, take_over
from opsconsole import audit
from opsconsole.errors import UsageError
from opsconsole.estate.model import HttpCall
from opsconsole.estate.model import ScheduledJob as Wanted
from opsconsole.models import AuditEntry
from tests.monitoring.scheduled import MINUTE, NOW, make_scheduled_job, states

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue")

SWEEP = Wanted("sweep", every=300.0, operation="noted", parameters={"line": "swept"}, owner="data")
EXPORT = Wanted("export", cron="0 3 * * *", zone="Europe/Paris", http=HttpCall("https://x.example"), after=("sweep",))


def taken(*wanted: Wanted, now: object = NOW) -> TakenOver:
    return take_over(wanted, now, audit.CLOCK)  # type: ignore[arg-type]


def row(name: str = "sweep") -> ScheduledJob:
    return ScheduledJob.objects.get(name=name)


def test_jobs_of_the_file_are_made_once() -> None:
    assert taken(SWEEP, EXPORT).made == ("sweep", "export")
    assert not taken(SWEEP, EXPORT, now=NOW + MINUTE)
    sweep, export = row(), row("export")
    assert (sweep.origin, sweep.owner, sweep.parameters, sweep.next_due) == (
        Origin.ESTATE,
        "data",
        {"line": "swept"},
        NOW + 5 * MINUTE,
    )
    assert (export.action, export.parameters["url"], export.after) == ("http", "https://x.example", ["sweep"])
    assert AuditEntry.objects.filter(action="scheduled_jobs.taken_over").count() == 1


def test_a_changed_schedule_begins_anew() -> None:
    taken(SWEEP)
    later = NOW + 12 * MINUTE  # two due times have passed that no clock has fired
    assert taken(replace(SWEEP, every=60.0), now=later).changed == ("sweep",)
    assert fire_due(later) == 0
    assert fire_due(later + MINUTE) == 1


def test_another_change_leaves_what_is_due() -> None:
    taken(SWEEP)
    assert taken(replace(SWEEP, owner="ops", critical=True), now=NOW + 5 * MINUTE).changed == ("sweep",)
    assert fire_due(NOW + 5 * MINUTE) == 1


def test_what_is_gone_from_the_file_is_disabled_and_comes_back() -> None:
    taken(SWEEP, EXPORT)
    fire_due(NOW + 5 * MINUTE)
    assert taken(EXPORT).disabled == ("sweep",)
    assert (row().enabled, row().disabled_by, states(row())) == (False, THE_FILE, ["queued"])
    assert not taken(EXPORT)
    back = NOW + timedelta(days=1)
    assert taken(SWEEP, EXPORT, now=back).changed == ("sweep",)
    assert row().enabled
    fire_due(back)
    assert states(row()) == ["queued"]  # nothing of the day it was off


def test_what_a_person_disabled_stays_so() -> None:
    taken(SWEEP)
    job = row()
    disable(job, NOW, "ann", "Too loud")
    job.save()
    taken(replace(SWEEP, owner="ops"))
    assert (row().enabled, row().owner) == (False, "ops")


def test_the_file_takes_a_name_over_and_leaves_other_jobs_alone() -> None:
    make_scheduled_job("sweep")
    make_scheduled_job("by-hand")
    assert taken(SWEEP).changed == ("sweep",)
    assert row().origin == Origin.ESTATE
    assert row("by-hand").enabled


def test_every_job_that_cannot_be_used_is_named_and_nothing_is_taken() -> None:
    bad = [Wanted("a", every=60.0, operation="unknown"), replace(SWEEP, parameters={"lines": 1})]
    with pytest.raises(UsageError, match=r"a: There is no operation 'unknown'(.|\n)*sweep: noted has no param"):
        taken(EXPORT, *bad)
    assert not ScheduledJob.objects.exists()


class TestFile:
    @pytest.fixture
    def path(self, use_estate: object, settings: Settings) -> Path:
        return Path(settings.ESTATE)

    def add(self, path: Path, lines: str) -> None:
        path.write_text(f"{path.read_text()}\n[[scheduled_jobs]]\n{lines}\n")

    def test_a_change_is_followed(self, path: Path) -> None:
        follower = EstateFollower()
        follower.look(NOW)
        assert follower.look(NOW) == []
        self.add(path, 'name = "look"\nevery = "1m"\noperation = "check_estate"')
        assert follower.look(NOW) == [TakenOver("Scheduled jobs", made=("look",))]
        assert follower.look(NOW) == []

    def test_a_file_with_a_mistake_changes_nothing(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        follower = EstateFollower()
        self.add(path, 'name = "look"\nevery = "1m"\noperation = "check_estate"')
        follower.look(NOW)
        self.add(path, 'name = "look"\nevery = "soon"\noperation = "check_estate"')
        assert [follower.look(NOW), follower.look(NOW)] == [[], []]
        assert len([one for one in caplog.records if "stay as they were" in one.message]) == 1
        assert row("look").enabled

    def test_what_only_operations_know_is_a_system_check(self, path: Path) -> None:
        self.add(path, 'name = "look"\nevery = "1m"\noperation = "check_organizations"')
        (error,) = check_scheduled_jobs(None)
        assert isinstance(error, Error)
        assert "look: organizations is needed" in error.msg
