"""Sync in the administration: found by number or organization, never added, changed or deleted."""

from __future__ import annotations

import pytest
from django.test import Client

from opsconsole.access import Role
from tests.web.sync_rows import make_batch, make_full_job
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


def test_staff_without_the_permission_sees_nothing_of_it() -> None:
    client = Client()
    client.force_login(person("ned", None, is_staff=True))
    assert client.get("/admin/sync/job/").status_code == 403
