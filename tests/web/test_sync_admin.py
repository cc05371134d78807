"""Sync in the administration: found by number or organization, cleaned up by the console's own acts, and by nothing
else."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Job, JobState
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, make_batch, make_drift, make_full_job
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(person("root", Role.ADMINISTRATOR, is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("model", ["job", "batch", "attempt", "drift"])
def test_lists_and_rows_are_to_look_at(staff: Client, model: str) -> None:
    job = make_full_job(batch=make_batch())
    row = {"job": job, "batch": job.batch, "attempt": job.attempts.first(), "drift": job.drift.first()}[model]
    assert row is not None
    assert staff.get(f"/admin/sync/{model}/").status_code == 200
    assert staff.get(f"/admin/sync/{model}/{row.pk}/change/").status_code == 200
    assert staff.post(f"/admin/sync/{model}/{row.pk}/change/", {}).status_code == 403
    assert staff.post(f"/admin/sync/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert staff.get(f"/admin/sync/{model}/add/").status_code == 403


@pytest.mark.parametrize("model", ["job", "attempt", "drift"])
def test_search_by_number_and_by_organization(staff: Client, model: str) -> None:
    wanted, other = make_full_job(), make_full_job()
    for text in (str(wanted.pk), wanted.organization_id, f"s-{wanted.organization_id}"):
        found = staff.get(f"/admin/sync/{model}/", {"q": text}).context["cl"].queryset
        numbers = set(found.values_list("pk" if model == "job" else "job_id", flat=True))
        assert numbers == {wanted.pk}, text
    assert not staff.get(f"/admin/sync/{model}/", {"q": "nonsense"}).context["cl"].queryset.exists()
    assert other.pk != wanted.pk


def test_drift_of_a_verification_that_was_given_up(
    staff: Client, django_assert_max_num_queries: Callable[..., AbstractContextManager[Any]]
) -> None:
    """The rows say Published; that nothing more is waited for stands in their job."""
    rows = [make_drift(make_job(unresolved=unresolved), verification="pending") for unresolved in (0, 1, 1)]
    address = "/admin/sync/drift/"
    found = {}
    for wanted in ("pending", "unresolved", "verified", "nonsense"):
        with django_assert_max_num_queries(12):  # and none for each row
            found[wanted] = staff.get(address, {"verification": wanted}).context["cl"].queryset
    assert {wanted: {row.pk for row in of} for wanted, of in found.items()} == {
        "pending": {rows[0].pk},
        "unresolved": {rows[1].pk, rows[2].pk},
        "verified": set(),
        "nonsense": {row.pk for row in rows},
    }
    for row, label in ((rows[0], "Published"), (rows[1], "Unresolved")):
        assert label in staff.get(f"{address}{row.pk}/change/").content.decode()


def test_staff_without_the_permission_sees_nothing_of_it() -> None:
    client = Client()
    client.force_login(person("ned", None, is_staff=True))
    assert client.get("/admin/sync/job/").status_code == 403


class TestCleanUp:
    def ask(self, staff: Client, action: str, *rows: Job, model: str = "job", **fields: str) -> HttpResponse:
        sent = {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields}
        return staff.post(f"/admin/sync/{model}/", sent, follow=True)  # type: ignore[return-value]

    def bound(self, response: HttpResponse) -> str:
        found = re.search(r'name="bound" value="([\d:,]*)"', response.content.decode())
        assert found
        return found[1]

    def test_an_act_is_asked_about_with_organization_state_and_age(self, staff: Client) -> None:
        job, done = make_job(organization_name=HOSTILE), make_job(state=JobState.DONE)
        asked = self.ask(staff, "cancel_jobs", job, done)
        text = asked.content.decode()
        assert "Cancel 1 job?" in text
        assert html.escape(HOSTILE) in text
        assert (f"s-{job.organization_id}" in text, "Queued" in text, "1 more cannot be taken" in text) == (True,) * 3
        job.refresh_from_db()
        assert job.state == JobState.QUEUED
        without = self.ask(staff, "cancel_jobs", job, bound=self.bound(asked), reason=" ")
        assert without.status_code == 400
        text = self.ask(staff, "cancel_jobs", job, bound=self.bound(asked), reason="wrong one").content.decode()
        assert "1 waiting job cancelled" in text
        assert AuditEntry.objects.get().reason == "wrong one"

    def test_what_runs_anew_since_it_was_shown_is_left_alone(self, staff: Client) -> None:
        job = make_job(state=JobState.RUNNING, fence=3)
        asked = self.ask(staff, "kill_jobs", job)
        Job.objects.filter(pk=job.pk).update(fence=4)
        text = self.ask(staff, "kill_jobs", job, bound=self.bound(asked), reason="stuck").content.decode()
        assert "0 running ones told to be killed; 1 had ended" in text
        job.refresh_from_db()
        assert job.state == JobState.RUNNING

    def test_a_running_job_is_not_deleted(self, staff: Client) -> None:
        job = make_job(state=JobState.RUNNING)
        assert "Nothing of what was ticked can be taken." in self.ask(staff, "delete_jobs", job).content.decode()
        text = self.ask(staff, "delete_jobs", job, bound=f"{job.pk}:0", reason="x").content.decode()
        assert Job.objects.filter(pk=job.pk).exists()
        assert "Nothing of what was ticked can be taken." in text

    def test_dead_letters_and_attempts_have_the_acts_of_their_jobs(self, staff: Client) -> None:
        dead = make_full_job(state=JobState.FAILED)
        other = make_full_job(state=JobState.RUNNING, fence=0)
        rows = staff.get("/admin/sync/deadletter/").context["cl"].queryset
        assert list(rows.values_list("pk", flat=True)) == [dead.pk]
        assert "Skip 1 job?" in self.ask(staff, "skip_jobs", dead, model="deadletter").content.decode()
        attempt = other.attempts.first()
        assert attempt is not None
        sent = {"action": "stop_jobs", "_selected_action": [str(attempt.pk)]}
        assert "Stop 1 job?" in staff.post("/admin/sync/attempt/", sent).content.decode()

    def test_batches_are_cancelled(self, staff: Client) -> None:
        job = make_job(batch=make_batch())
        sent = {"action": "cancel_batches", "_selected_action": [str(job.batch_id)]}
        assert "Cancel 1 batch?" in staff.post("/admin/sync/batch/", sent).content.decode()
        done = staff.post("/admin/sync/batch/", sent | {"bound": "", "reason": "wrong window"}, follow=True)
        assert "1 waiting job cancelled" in done.content.decode()
        job.refresh_from_db()
        assert job.state == JobState.CANCELLED

    def test_purging_asks_how_old_and_why(self, staff: Client) -> None:
        old = make_job(state=JobState.DONE, ended_at=timezone.now() - timedelta(days=100))
        young = make_job(state=JobState.DONE, ended_at=timezone.now())
        assert "Purge ended jobs" in staff.get("/admin/sync/job/").content.decode()
        assert staff.get("/admin/sync/job/purge/").status_code == 200
        assert staff.post("/admin/sync/job/purge/", {"days": "0", "reason": "x"}).status_code == 400
        done = staff.post("/admin/sync/job/purge/", {"days": "90", "reason": "yearly"}, follow=True)
        assert "1 job deleted." in done.content.decode()
        assert (Job.objects.get(), old.pk != young.pk) == (young, True)

    def test_nobody_acts_without_the_permission(self) -> None:
        client = Client()
        client.force_login(person("vera", Role.VIEWER, is_staff=True))
        job = make_job()
        assert b"_selected_action" not in client.get("/admin/sync/job/").content
        self.ask(client, "cancel_jobs", job, bound=f"{job.pk}:0", reason="x")
        assert client.get("/admin/sync/job/purge/").status_code == 403
        job.refresh_from_db()
        assert job.state == JobState.QUEUED
