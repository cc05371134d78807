"""The staged set on its page: stage, remove, clear; nothing half staged, what was typed is kept."""

from __future__ import annotations

from html import escape
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import StagedOrganization
from tests.company import Company, EstateWriter
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of, make_batch, stage_rows

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db


def staged() -> set[str]:
    return set(StagedOrganization.objects.values_list("pk", flat=True))


def test_stage_in_any_shape_and_twice(company: Company, use_estate: EstateWriter) -> None:
    ids = [str(key) for key in company.organizations()[:3]]
    client = client_of(Role.OPERATOR)
    sent = {"ids": f"s-{ids[0]}; '{ids[1]}',\n\"s-{ids[2]}\" {ids[0]}"}
    first = client.post("/sync/staged/add/", sent, follow=True)
    assert first.redirect_chain == [("/sync/staged/", 302)]
    assert "3 staged." in first.content.decode()
    again = client.post("/sync/staged/add/", sent, follow=True)
    assert "0 staged; 3 were staged already." in again.content.decode()
    assert staged() == set(ids)
    assert AuditEntry.objects.filter(action="organizations.staged", actor="a-operator").count() == 2


def test_a_report_that_found_drift_leads_on(company: Company, use_estate: EstateWriter) -> None:
    key = str(company.organizations()[0])
    job = make_job(organization_id=key, mode="report", state="done", stale=2)
    address, button = f"/sync/jobs/{job.pk}/", "Stage it for a sync"
    assert button in client_of(Role.OPERATOR).get(address).content.decode()
    assert button not in client_of(Role.VIEWER).get(address).content.decode()
    staged = client_of(Role.OPERATOR).post("/sync/staged/add/", {"ids": key})
    assert staged.headers["Location"] == "/sync/staged/"
    assert StagedOrganization.objects.get().organization_id == key
    make_job(organization_id=key, mode="report", state="done")
    assert button not in client_of(Role.OPERATOR).get(f"/sync/jobs/{job.pk + 1}/").content.decode()


def test_one_bad_id_stages_nothing_and_keeps_what_was_typed(company: Company, use_estate: EstateWriter) -> None:
    good = company.organizations()[0]
    for bad, said in (("nonsense", "no UUID"), (str(uuid4()), "Not known to the source")):
        typed = f"{good}\n{bad}"
        response = client_of(Role.OPERATOR).post("/sync/staged/add/", {"ids": typed})
        text = response.content.decode()
        assert response.status_code == 400
        assert said in text
        assert escape(typed) in text
        assert 'aria-invalid="true"' in text
    assert staged() == set()


def test_nothing_typed_says_so() -> None:
    response = client_of(Role.OPERATOR).post("/sync/staged/add/", {"ids": ""})
    assert response.status_code == 400
    assert "Give at least one organization id." in response.content.decode()


def test_source_away_is_said_above_the_form(
    company: Company, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization = str(company.organizations()[0])
    monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    use_estate()
    response = client_of(Role.OPERATOR).post("/sync/staged/add/", {"ids": organization})
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert organization in response.content.decode()
    assert staged() == set()


def test_active_organizations_are_left_out_and_named(company: Company, use_estate: EstateWriter) -> None:
    busy, free = (str(key) for key in company.organizations()[:2])
    make_job(organization_id=busy)
    text = client_of(Role.OPERATOR).post("/sync/staged/add/", {"ids": f"{busy} {free}"}, follow=True).content.decode()
    assert "1 staged; left out because a job is active" in text
    assert staged() == {free}


def test_list_says_how_each_stands() -> None:
    ready, busy, reported = stage_rows(3)
    StagedOrganization.objects.filter(pk=ready.pk).update(name=HOSTILE)
    job, batch = make_job(organization_id=busy.pk), make_batch(mode="report")
    StagedOrganization.objects.filter(pk=reported.pk).update(reported_in=batch)
    text = client_of(Role.VIEWER).get("/sync/staged/").content.decode()
    assert f"s-{ready.pk}" in text
    assert f'"/sync/jobs/{job.pk}/"' in text
    assert f'"/sync/batches/{batch.pk}/"' in text
    assert HOSTILE not in text
    assert "<form" not in text.split("<main")[1].split("</main>")[0], "a viewer has nothing to change"


def test_empty_set_says_what_to_do() -> None:
    assert "Paste the ids" in client_of(Role.OPERATOR).get("/sync/staged/").content.decode()
    assert "An operator stages" in client_of(Role.VIEWER).get("/sync/staged/").content.decode()


def test_remove_the_ticked_or_the_one() -> None:
    rows, client = stage_rows(4), client_of(Role.OPERATOR)
    sent = {"selected": [rows[0].pk, rows[1].pk, "not-there"]}
    assert "2 removed" in client.post("/sync/staged/remove/", sent, follow=True).content.decode()
    client.post("/sync/staged/remove/", {"one": rows[2].pk, "selected": [rows[3].pk]})
    assert staged() == {rows[3].pk}
    assert "0 removed" in client.post("/sync/staged/remove/", {"one": rows[2].pk}, follow=True).content.decode()
    assert "Nothing was ticked" in client.post("/sync/staged/remove/", follow=True).content.decode()


def test_remove_comes_back_to_the_same_page_of_the_list_and_nowhere_else() -> None:
    row, client = stage_rows(1)[0], client_of(Role.OPERATOR)
    answer = client.post("/sync/staged/remove/?size=20&next=https://elsewhere.example/", {"one": row.pk})
    assert answer.headers["Location"].startswith("/sync/staged/?size=20&")


def test_clear_asks_with_the_count_first() -> None:
    stage_rows(3)
    client = client_of(Role.OPERATOR)
    assert "Clear 3 organizations" in client.get("/sync/staged/clear/").content.decode()
    assert len(staged()) == 3
    assert "3 removed" in client.post("/sync/staged/clear/", follow=True).content.decode()
    assert "0 removed" in client.post("/sync/staged/clear/", follow=True).content.decode()
    assert "nothing to clear" in client.get("/sync/staged/clear/").content.decode()


def test_query_budget(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for row in stage_rows(60)[:30]:
        make_job(organization_id=row.pk)
    client = client_of(Role.OPERATOR)
    for address in ("/sync/staged/", "/sync/staged/clear/"):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(address).status_code == 200


def test_methods_and_permissions() -> None:
    stage_rows(1)
    viewer, operator = client_of(Role.VIEWER), client_of(Role.OPERATOR)
    assert operator.post("/sync/staged/").status_code == 405
    for address in ("/sync/staged/add/", "/sync/staged/remove/"):
        assert operator.get(address).status_code == 405
    for address in ("/sync/staged/add/", "/sync/staged/remove/", "/sync/staged/clear/"):
        assert viewer.post(address, {"ids": "x", "one": "x"}).status_code == 403
    assert len(staged()) == 1
