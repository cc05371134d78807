"""The page of a job: its attempts, what repeated when it looped, its window, its drift as CSV, skipping it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from opsconsole.access import Role
from sync.models import Attempt, AttemptOutcome, JobKind, JobRange, JobState, SkippedOrganization
from tests.sync.jobs import make_job
from tests.web.sync_rows import client_of, make_batch, make_drift, make_full_job

pytestmark = pytest.mark.django_db
MIB = 2**20


def page(number: int, role: Role = Role.OPERATOR, part: str = "") -> str:
    return client_of(role).get(f"/sync/jobs/{number}/{part}").content.decode()


def test_attempts_say_how_each_ended() -> None:
    job = make_job(state=JobState.RUNNING, fence=2, started_at=timezone.now())
    facts = {"worker": "one", "host": "ops-3", "pid": 4711, "job": job, "ended_at": timezone.now()}
    killed = "The worker's process was killed by SIGKILL."
    Attempt.objects.create(
        number=1,
        outcome="killed",
        error=killed,
        peak_memory=512 * MIB,
        scanned_before=100,
        scanned_after=1_600,
        **facts,
    )
    text = page(job.pk)
    for said in (
        "ops-3",
        "process 4711",
        "Killed",
        "killed by SIGKILL",
        "512 MiB",
        "1,500",
        "100 → 1,600",
        "?worker=one",
    ):
        assert said in text


def test_a_looping_job_says_what_repeated() -> None:
    job = make_job(state=JobState.LOOPING, checkpoint="k-17", scanned=1_000, stalled_attempts=2, error="looping")
    for number, outcome in enumerate(("done", "killed", "killed"), start=1):
        Attempt.objects.create(
            job=job,
            number=number,
            worker="w",
            host="h",
            pid=1,
            ended_at=timezone.now(),
            outcome=outcome,
            error=f"End {number}." if outcome == AttemptOutcome.KILLED else "",
            peak_memory=number * MIB,
        )
    text = page(job.pk).split("What repeated")[1].split("</section>")[0]
    assert "k-17" in text
    assert "after 1,000 tasks" in text
    assert "End 2." in text
    assert "End 3." in text
    assert "3 MiB of memory at its end" in text
    assert "Attempt 1," not in text


def test_a_window_job_shows_its_window_and_is_offered_by_hand() -> None:
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
    job = make_job(kind=JobKind.WINDOW, window_from=start, window_to=end)
    text = page(job.pk)
    assert "2026-03-01 06:30:00" in text
    window = "from=2026-03-01+00%3A00%3A00&amp;to=2026-03-01+06%3A30%3A00"
    assert f"/sync/by-hand/?organization={job.organization_id}&amp;{window}" in text
    assert "/sync/by-hand/?" not in page(job.pk, Role.VIEWER).split("page-actions")[1].split("</header>")[0]


def test_by_hand_takes_the_batchs_window_or_the_day_before() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    batch = make_batch(window_from=datetime(2026, 2, 1, tzinfo=UTC), window_to=datetime(2026, 2, 2, tzinfo=UTC))
    assert "from=2026-02-01+00%3A00%3A00" in page(make_job(batch=batch).pk)
    assert "from=2026-02-28+12%3A00%3A01&amp;to=2026-03-01+12%3A00%3A01" in page(make_job(created_at=noon).pk)
    assert "/sync/by-hand/?" not in page(make_job(kind=JobKind.TASKS, organization_id="").pk)


def test_skip_asks_then_lists_the_organization_and_stops_the_job() -> None:
    job, client = make_job(organization_name="Acme"), client_of(Role.OPERATOR)
    address = f"/sync/jobs/{job.pk}/skip/"
    assert address in page(job.pk)
    assert "is cancelled at once" in client.get(address).content.decode()
    assert client.post(address, {"why": "by_hand", "reason": ""}).status_code == 400
    done = client.post(address, {"why": "by_hand", "reason": "asked by the customer"}, follow=True).content.decode()
    assert "1 organization put on the skip list; 1 waiting job cancelled." in done
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert SkippedOrganization.objects.get().note == "asked by the customer"
    assert "on the skip list already" in client.get(address).content.decode()
    assert client_of(Role.VIEWER).get(address).status_code == 403


def test_a_job_of_tasks_cannot_be_skipped() -> None:
    job = make_job(kind=JobKind.TASKS, organization_id="")
    assert "no organization to skip" in page(job.pk, part="skip/")
    assert "/skip/" not in page(job.pk)


def test_drift_by_task_id_in_any_shape() -> None:
    job = make_full_job()
    wanted, other = job.drift.order_by("pk")[:2]
    for shape in ("{}", "s-{}", "'{}'"):
        response = client_of(Role.VIEWER).get(f"/sync/jobs/{job.pk}/drift/", {"task": shape.format(wanted.task_id)})
        text = response.content.decode()
        assert f'<span class="mono">{wanted.task_id}' in text
        assert f'<span class="mono">{other.task_id}' not in text
    wrong = client_of(Role.VIEWER).get(f"/sync/jobs/{job.pk}/drift/", {"task": "nonsense"})
    assert (wrong.status_code, "no UUID" in wrong.content.decode()) == (400, True)


def test_drift_shows_where_its_message_went_and_what_agrees() -> None:
    job = make_job(stale=1)
    both = {"title": "Call", "organization": "o"}
    make_drift(
        job,
        source=both | {"status": "completed"},
        index=both | {"status": "waiting"},
        partition=3,
        offset=1_234,
        published_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    )
    text = page(job.pk, part="drift/")
    assert "<del>waiting</del>" in text
    assert "3 : 1234" in text
    assert "2026-03-01 12:00:00" in text
    assert "1 field agrees" in text


def test_drift_that_was_cleared_away_is_said_to_be_gone() -> None:
    job = make_full_job(state=JobState.DONE, ended_at=timezone.now())
    assert "cleared away" not in page(job.pk, part="drift/")
    job.drift.all().delete()
    job.events.all().delete()
    assert "Which 4 tasks it found has been cleared away since; the counts stay." in page(job.pk, part="drift/")
    assert "No lines, or they have been cleared away." in page(job.pk)


def test_drift_as_csv_with_the_same_filters() -> None:
    job = make_job(stale=1, missing=1, unresolved=1)
    sides: dict[str, Any] = {"source": {"status": "=cmd()"}, "index": {"status": "waiting"}}
    make_drift(job, partition=0, offset=7, verification="pending", **sides)
    make_drift(job, "missing", task_id="=1+1", source={"status": "waiting"})
    client = client_of(Role.VIEWER)
    response = client.get(f"/sync/jobs/{job.pk}/drift.csv")
    assert f'filename="job-{job.pk}-drift.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert [row["kind"] for row in rows] == ["stale", "missing"]
    assert (rows[0]["fields"], json.loads(rows[0]["source"])) == ("status", {"status": "=cmd()"})
    assert (rows[0]["partition"], rows[0]["offset"], rows[1]["index"]) == ("0", "7", "")
    assert rows[1]["task"] == "s-=1+1"
    assert [row["verification"] for row in rows] == ["unresolved", "none"]
    only = client.get(f"/sync/jobs/{job.pk}/drift.csv", {"kind": "missing"}).getvalue().decode()
    assert len(only.splitlines()) == 2
    assert client.get(f"/sync/jobs/{job.pk}/drift.csv", {"kind": "odd"}).status_code == 400
    assert client.get("/sync/jobs/0/drift.csv").status_code == 404


def test_a_job_that_is_split_shows_its_ranges() -> None:
    job = make_job(state=JobState.RUNNING, fence=1, started_at=timezone.now())
    facts = {"job": job, "host": "ops-3", "pid": 4711}
    Attempt.objects.create(number=1, worker="leading", **facts)
    Attempt.objects.create(number=2, range_number=2, worker="helping", **facts)
    JobRange.objects.create(job=job, number=1, upper="key-17", state="done", worker="leading", scanned=1_200, drift=3)
    JobRange.objects.create(job=job, number=2, lower="key-17", state="running", worker="helping", scanned=345)
    text = page(job.pk)
    shown = text.split("Ranges</h2>")[1].split("</section>")[0]
    for said in ("Done", "Running", "leading", "helping", "1,200", "345", "key-17", "the first", "the last"):
        assert said in shown
    assert "Range 2" in text.split("Attempts</h2>")[1]
    assert "one for each range" in text


def test_a_job_that_is_not_split_has_no_ranges() -> None:
    assert "Ranges</h2>" not in page(make_full_job().pk)
