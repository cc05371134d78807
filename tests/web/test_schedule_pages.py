"""Pages of scheduled jobs: what they show, who may, twice in a row, and mistakes kept as they were typed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules.models import Monitor, Origin, Run, RunEvent, RunState, ScheduledJob
from monitoring.schedules.readings import monitors, runs
from opsconsole.access import Role
from opsconsole.models import AuditEntry
from opsconsole.tones import Tone
from tests.monitoring.scheduled import MINUTE, NOW, make_scheduled_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.usefixtures("committed", "queue", "use_estate")

DAY = timedelta(days=1)
LIST = "/schedules/"
FORM = {
    "name": "look",
    "cron": "30 2 * * *",
    "zone": "Europe/Paris",
    "every": "",
    "action": "operation",
    "operation": "check_estate",
    "parameters": "",
    "method": "POST",
    "catch_up": "latest",
    "recovery_window": "2h",
    "grace": "1h",
    "time_limit": "30m",
    "retry_delays": "5m 10m",
    "overlap": "skip",
}


def make_run(job: ScheduledJob, state: RunState = RunState.DONE, minutes: int = 5, **fields: object) -> Run:
    now = timezone.now()
    at = {"started_at": now - MINUTE, "ended_at": now} if state in (RunState.DONE, RunState.FAILED) else {}
    values = {"due_at": now - minutes * MINUTE, "trace_id": uuid4(), "state": state} | at | fields
    return Run.objects.create(scheduled_job=job, **values)


def text_of(address: str, role: Role = Role.VIEWER, status: int = 200) -> str:
    answer = client_of(role).get(address)
    assert answer.status_code == status, answer.content.decode()
    return answer.content.decode()


class TestShown:
    def test_the_list_has_each_job_with_its_last_run_in_few_queries(self) -> None:
        for number in range(12):
            job = make_scheduled_job(f"job-{number}", description=HOSTILE)
            make_run(job, RunState.FAILED, minutes=9)
            make_run(job)
        client = client_of(Role.VIEWER)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = client.get(LIST).content.decode()
        assert len(queries) <= MOST_QUERIES
        assert page.count("Done</span>") == 12
        assert "Every 5 minutes" in page

    def test_a_job_with_its_next_due_times_in_its_zone(self) -> None:
        make_scheduled_job("nightly", cron="30 2 * * *", zone="Europe/Paris", interval=None)
        page = text_of("/schedules/jobs/nightly/")
        assert page.count(" 02:30:00 CE") == 5
        assert "At 02:30 every day, Europe/Paris" in page

    def test_runs_are_filtered_and_come_as_csv(self) -> None:
        job = make_scheduled_job("sweep")
        make_run(job, result="All swept", attempt=2)
        make_run(job, RunState.MISSED, minutes=50, cause="=cmd()")
        page = text_of("/schedules/jobs/sweep/?state=done")
        assert "All swept" in page
        assert "2 of 4" in page
        assert "cmd()" not in page
        lines = b"".join(client_of(Role.VIEWER).get("/schedules/jobs/sweep/runs.csv")).decode().splitlines()
        assert len(lines) == 3
        assert "'=cmd()" in lines[1]
        text_of("/schedules/jobs/sweep/?state=nonsense", status=400)

    def test_durations_are_drawn_with_their_figures(self) -> None:
        job = make_scheduled_job("sweep")
        make_run(job)
        page = text_of("/schedules/jobs/sweep/")
        assert "Duration of the last 1 run: 1 min at most" in page
        assert '<td class="number">1 min</td>' in page

    def test_a_run_says_its_attempt_trigger_and_log(self) -> None:
        job = make_scheduled_job("sweep")
        run = make_run(job, RunState.RUNNING, attempt=2, trigger="manual", requested_by="ann", cause="Asked")
        RunEvent.objects.create(run=run, message=HOSTILE)
        page = text_of(f"/schedules/runs/{run.pk}/")
        assert "attempt 2 of 4" in page
        assert "By hand by ann" in page
        assert "data-live" in page
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page
        Run.objects.filter(pk=run.pk).update(state=RunState.DONE)
        assert "data-live" not in text_of(f"/schedules/runs/{run.pk}/live/")

    @pytest.mark.parametrize("address", ["jobs/none/", "runs/1/", "runs/1/live/", "jobs/none/runs.csv"])
    def test_what_is_not_there_is_404(self, address: str) -> None:
        assert client_of(Role.ADMINISTRATOR).get(f"/schedules/{address}").status_code == 404


class TestMissed:
    def test_it_says_what_was_missed_how_long_ago_and_why(self) -> None:
        make_run(make_scheduled_job("nightly-sync"), RunState.MISSED, 45, cause="Due while no clock was running.")
        page = text_of("/schedules/missed/")
        assert "Found 1 missed run." in page
        assert "nightly-sync</a>, due 45 min" in page
        assert "Due while no clock was running." in page
        assert "Run now" not in page  # a viewer only sees

    def test_run_now_once(self) -> None:
        missed = make_run(make_scheduled_job("nightly"), RunState.MISSED)
        client, address = client_of(Role.OPERATOR), f"/schedules/missed/{missed.pk}/run/"
        client.post(address)
        client.post(address)
        run = Run.objects.exclude(pk=missed.pk).get()
        assert (run.trigger, run.requested_by) == ("manual", "a-operator")
        missed.refresh_from_db()
        assert (missed.state, missed.settled_reason) == (RunState.MISSED, f"Run again as run {run.pk}.")
        assert "Nothing was missed" in text_of("/schedules/missed/")
        assert AuditEntry.objects.filter(action="run.run_again").count() == 1

    def test_ignored_with_a_reason_once(self) -> None:
        missed = make_run(make_scheduled_job("nightly"), RunState.MISSED)
        client, address = client_of(Role.OPERATOR), f"/schedules/missed/{missed.pk}/ignore/"
        assert client.get(address).status_code == 200
        assert client.post(address, {"reason": ""}).status_code == 400
        assert client.post(address, {"reason": "The holiday"}).status_code == 302
        assert b"settled already" in client.post(address, {"reason": "Again"}).content
        missed.refresh_from_db()
        assert (missed.settled_by, missed.settled_reason) == ("a-operator", "The holiday")


class TestRunNow:
    def test_it_says_what_follows_in_order_and_runs_it(self) -> None:
        for name, after in (("export", ["sync"]), ("mail", ["export", "sync"]), ("other", []), ("sync", [])):
            make_scheduled_job(name, after=after)
        make_scheduled_job("off", after=["sync"], enabled=False)
        client = client_of(Role.OPERATOR)
        page = client.get("/schedules/jobs/sync/run/").content.decode()
        assert page.index("<li>sync") < page.index("<li>export") < page.index("<li>mail")
        assert "<li>off" not in page
        client.post("/schedules/jobs/sync/run/", {"following": "on", "key": "k", "reason": "r"})
        runs = Run.objects.order_by("pk").values_list("scheduled_job__name", "state", "trigger")
        assert list(runs) == [
            ("sync", "queued", "manual"),
            ("export", "waiting", "chain"),
            ("mail", "waiting", "chain"),
        ]
        assert AuditEntry.objects.get(action="scheduled_job.run").reason == "r"

    def test_a_form_sent_twice_is_one_run(self) -> None:
        make_scheduled_job("sync")
        client = client_of(Role.OPERATOR)
        answers = [client.post("/schedules/jobs/sync/run/", {"key": "k"}) for _ in range(2)]
        assert answers[0]["Location"] == answers[1]["Location"] == f"/schedules/runs/{Run.objects.get().pk}/"


class TestDeadLetters:
    def dead(self, **fields: Any) -> Run:
        values: dict[str, Any] = {"state": RunState.FAILED, "error": "It answered 404.", "attempt": 4}
        return Run.objects.create(
            scheduled_job=make_scheduled_job("export"),
            due_at=NOW,
            trace_id=uuid4(),
            ended_at=timezone.now(),
            **(values | fields),
        )

    def test_they_stand_with_their_reason(self) -> None:
        self.dead()
        page = text_of("/schedules/dead/")
        assert "It answered 404." in page
        assert "4 of 4" in page
        assert "Run again" not in page  # a viewer only looks

    def test_one_is_run_again_once(self) -> None:
        run = self.dead()
        client = client_of(Role.OPERATOR)
        answers = [client.post(f"/schedules/missed/{run.pk}/run/") for _ in range(2)]
        assert {answer["Location"] for answer in answers} == {"/schedules/dead/"}
        again = Run.objects.exclude(pk=run.pk).get()
        assert again.reason == f"For run {run.pk}, which failed."
        said = client.get("/schedules/dead/").content.decode()
        assert f'export runs now, as <a href="/schedules/runs/{again.pk}/">run {again.pk}</a>.' in said
        assert "It answered 404." not in text_of("/schedules/dead/")

    def test_or_ignored_with_a_reason(self) -> None:
        run = self.dead()
        client = client_of(Role.OPERATOR)
        assert "Ignore the failed run of export?" in client.get(f"/schedules/missed/{run.pk}/ignore/").content.decode()
        assert client.post(f"/schedules/missed/{run.pk}/ignore/", {"reason": "Gone for good"}).status_code == 302
        run.refresh_from_db()
        assert (run.state, run.settled_reason) == (RunState.FAILED, "Gone for good")

    def test_the_overview_tells_of_missed_and_failed_runs_and_of_monitors(self) -> None:
        assert [runs(timezone.now()), monitors(timezone.now())] == [None, None]
        run = self.dead()
        Run.objects.create(scheduled_job=run.scheduled_job, due_at=NOW - DAY, trace_id=uuid4(), state=RunState.MISSED)
        said = runs(timezone.now())
        assert said is not None
        assert (said.value, said.tone, said.address) == (2, Tone.PROBLEM, "/schedules/missed/")
        assert said.sentence.startswith("1 missed (export) and 1 failed within a day (export)")
        Run.objects.update(settled_at=timezone.now())
        said = runs(timezone.now())
        assert said is not None
        assert said.tone is Tone.FINE
        Monitor.objects.create(name="backup", period=DAY, stored="down")
        down = monitors(timezone.now())
        assert down is not None
        assert (down.shown, down.sentence) == ("1 down", "Down: backup. Look at the jobs where they run.")


class TestSwitch:
    def test_off_and_on_with_a_reason(self) -> None:
        job = make_scheduled_job("sync", next_due=None)
        client = client_of(Role.ADMINISTRATOR)
        assert client.post("/schedules/jobs/sync/disable/", {}).status_code == 400
        assert client.post("/schedules/jobs/sync/disable/", {"reason": "Too loud"}).status_code == 302
        assert b"disabled already" in client.post("/schedules/jobs/sync/disable/", {"reason": "x"}).content
        assert "Disabled by a-administrator" in text_of("/schedules/jobs/sync/")
        assert client.post("/schedules/jobs/sync/enable/", {"reason": "Mended"}).status_code == 302
        job.refresh_from_db()
        assert job.enabled
        assert job.next_due is not None
        assert job.next_due > timezone.now()


class TestEdit:
    def test_the_due_times_are_shown_and_nothing_is_saved(self) -> None:
        answer = client_of(Role.ADMINISTRATOR).post("/schedules/add/", FORM | {"look": "1"})
        assert answer.content.decode().count(" 02:30:00 CE") == 5
        assert not ScheduledJob.objects.exists()

    def test_a_job_is_added_once_and_changed(self) -> None:
        client = client_of(Role.ADMINISTRATOR)
        assert client.post("/schedules/add/", FORM)["Location"] == "/schedules/jobs/look/"
        assert b"already" in client.post("/schedules/add/", FORM).content
        job = ScheduledJob.objects.get()
        assert (job.origin, job.retry_delays, str(job.schedule)) == (
            Origin.CONSOLE,
            [300, 600],
            "30 2 * * * (Europe/Paris)",
        )
        assert client.get("/schedules/jobs/look/edit/").status_code == 200
        client.post("/schedules/jobs/look/edit/", FORM | {"cron": "", "every": "90s"})
        job.refresh_from_db()
        assert (job.interval, job.cron) == (timedelta(seconds=90), "")
        actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
        assert actions == ["scheduled_job.added", "scheduled_job.changed"]

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"cron": "61 2 * * *"}, "the minute is not valid"),
            ({"zone": "Mars/Base"}, "is no time zone"),
            ({"cron": "", "every": ""}, "one of the two"),
            ({"every": "soon", "cron": ""}, "is no duration"),
            ({"after": "nobody"}, "no scheduled job &#x27;nobody&#x27;"),
            ({"after": "look"}, "look → look"),
            ({"operation": "check_organizations"}, "organizations is needed"),
            ({"parameters": "{"}, "This is no JSON"),
            ({"action": "http", "url": "ftp://x"}, "begins with http"),
            ({"name": "Bad Name"}, "small letters"),
        ],
    )
    def test_a_mistake_is_named_and_what_was_typed_kept(self, changes: dict[str, str], said: str) -> None:
        answer = client_of(Role.ADMINISTRATOR).post("/schedules/add/", FORM | {"owner": "typed by hand"} | changes)
        page = answer.content.decode()
        assert answer.status_code == 400
        assert said in page
        assert "typed by hand" in page
        assert not ScheduledJob.objects.exists()

    def test_a_job_of_the_estate_is_not_changed_here(self) -> None:
        make_scheduled_job("look", origin=Origin.ESTATE)
        form = {name: value for name, value in FORM.items() if name != "name"}
        answer = client_of(Role.ADMINISTRATOR).post("/schedules/jobs/look/edit/", form)
        assert answer.status_code == 400
        assert "kept in the estate file" in answer.content.decode()


@pytest.mark.parametrize(
    ("role", "address"),
    [
        (Role.VIEWER, "jobs/sync/run/"),
        (Role.VIEWER, "missed/1/ignore/"),
        (Role.OPERATOR, "jobs/sync/disable/"),
        (Role.OPERATOR, "jobs/sync/enable/"),
        (Role.OPERATOR, "jobs/sync/edit/"),
        (Role.OPERATOR, "add/"),
    ],
)
def test_who_may_not(role: Role, address: str) -> None:
    make_scheduled_job("sync")
    assert client_of(role).get(f"/schedules/{address}").status_code == 403
    assert client_of(role).post(f"/schedules/{address}", {"reason": "r"}).status_code == 403


@pytest.mark.parametrize("address", ["", "missed/", "dead/", "jobs/sync/", "jobs/sync/runs.csv", "runs/1/"])
def test_what_only_shows_takes_no_post(address: str) -> None:
    assert client_of(Role.ADMINISTRATOR).post(f"/schedules/{address}").status_code == 405


def test_running_a_missed_run_takes_no_get() -> None:
    assert client_of(Role.OPERATOR).get("/schedules/missed/1/run/").status_code == 405
