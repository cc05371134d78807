"""Batches: the list, a new one, one batch and its live part, cancel."""

from __future__ import annotations

import pytest
import redis
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Batch, BatchState, Job, JobState, StagedOrganization
from tests.sync.jobs import make_job
from tests.web.sync_rows import MOST_QUERIES, client_of, make_batch, make_full_job, stage_rows

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db


def test_list_with_sums_of_each() -> None:
    batch, empty = make_batch(), make_batch(mode="report", state=BatchState.DONE)
    make_full_job(batch=batch, state=JobState.DONE)
    make_full_job(batch=batch, state=JobState.FAILED, stale=1_000)
    client = client_of(Role.VIEWER)
    text = client.get("/sync/batches/").content.decode()
    assert text.index(f'"/sync/batches/{empty.pk}/"') < text.index(f'"/sync/batches/{batch.pk}/"')
    assert "1,006" in text, "drift of both jobs"
    only = client.get("/sync/batches/", {"mode": "report", "state": "done"}).content.decode()
    assert f'"/sync/batches/{batch.pk}/"' not in only
    assert client.get("/sync/batches/", {"mode": "odd"}).status_code == 400


def test_new_batch_shows_what_it_would_take() -> None:
    stage_rows(12)
    client = client_of(Role.OPERATOR)
    text = client.get("/sync/batches/new/").content.decode()
    assert 'value="10"' in text
    assert text.count("Customer ") == 10 * 2, "name and its title"
    assert "Report on 10 organizations" in text
    text = client.get("/sync/batches/new/", {"size": "50", "mode": "sync"}).content.decode()
    assert "Only 12 are ready of the 50 asked for" in text
    assert "Mode sync publishes" in text


def test_start_takes_organizations_and_leads_to_the_batch(queue: redis.Redis) -> None:
    stage_rows(3)
    response = client_of(Role.OPERATOR).post("/sync/batches/new/", {"size": 2, "mode": "sync"})
    batch = Batch.objects.get()
    assert response.headers["Location"] == f"/sync/batches/{batch.pk}/"
    assert (batch.jobs.count(), StagedOrganization.objects.count()) == (2, 1)
    assert AuditEntry.objects.filter(action="batch.started", actor="a-operator").count() == 1


def test_started_twice_the_second_takes_the_others_then_nothing_is_left(queue: redis.Redis) -> None:
    stage_rows(4)
    client = client_of(Role.OPERATOR)
    sent = {"size": 2, "mode": "report"}
    answers = [client.post("/sync/batches/new/", sent) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [302, 302, 400]
    assert 'role="alert"' in answers[2].content.decode()
    assert Job.objects.values("organization_id").distinct().count() == 4


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"size": "0"}, "greater than or equal to 1"),
        ({"size": "many"}, "whole number"),
        ({"size": "1000000"}, "less than or equal to 10000"),
        ({"mode": "odd"}, "not one of the available choices"),
    ],
)
def test_a_wrong_batch_keeps_what_was_typed(sent: dict[str, str], said: str) -> None:
    stage_rows(1)
    client = client_of(Role.OPERATOR)
    for response in (client.get("/sync/batches/new/", sent), client.post("/sync/batches/new/", sent)):
        assert response.status_code == 400
        assert said in response.content.decode()
        assert "size" not in sent or f'value="{sent["size"]}"' in response.content.decode()
    assert not Batch.objects.exists()


def test_nothing_staged_is_an_error_above_the_form(queue: redis.Redis) -> None:
    client = client_of(Role.OPERATOR)
    assert "Nothing is staged" in client.get("/sync/batches/new/").content.decode()
    response = client.post("/sync/batches/new/", {"size": 10, "mode": "report"})
    assert response.status_code == 400
    assert "staged" in response.content.decode().split('role="alert"')[1].split("</div>")[0]


def test_redis_away_is_an_error_above_the_form(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_rows(1)
    for queue in settings.RQ_QUEUES.values():
        monkeypatch.setitem(queue, "URL", "redis://127.0.0.1:1/0")
    response = client_of(Role.OPERATOR).post("/sync/batches/new/", {"size": 5, "mode": "report"})
    assert response.status_code == 400
    assert "Redis cannot be reached" in response.content.decode()
    assert not Batch.objects.exists()


def test_batch_page_and_its_live_part() -> None:
    batch = make_batch()
    make_full_job(batch=batch, state=JobState.RUNNING)
    make_job(batch=batch, state=JobState.DONE)
    client = client_of(Role.OPERATOR)
    page, live = (
        client.get(f"/sync/batches/{batch.pk}/{part}", headers={"Seen-State": "running"}).content.decode()
        for part in ("", "live/")
    )
    assert "1 of 2 jobs ended" in page
    assert "2 stale, 1 missing, 1 orphan" in page
    assert 'data-live="2"' in page
    assert live.strip() in page
    Batch.objects.update(state=BatchState.DONE)
    ended = client.get(f"/sync/batches/{batch.pk}/live/", headers={"Seen-State": "running"}).content.decode()
    assert "data-live" not in ended
    assert ended.count('hx-swap-oob="true"') == 2


def test_live_part_stays_on_its_page_of_jobs() -> None:
    batch = make_batch()
    for _ in range(3):
        make_job(batch=batch)
    text = client_of(Role.VIEWER).get(f"/sync/batches/{batch.pk}/?size=2").content.decode()
    assert f'hx-get="/sync/batches/{batch.pk}/live/?size=2"' in text


@pytest.mark.parametrize("state", list(BatchState))
def test_batch_page_in_every_state(state: BatchState) -> None:
    batch = make_batch(state=state)
    text = client_of(Role.OPERATOR).get(f"/sync/batches/{batch.pk}/").content.decode()
    assert state.label in text
    assert ("data-live" in text) is not state.terminal


def test_query_budget(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    client = client_of(Role.OPERATOR)
    stage_rows(60)
    batches = [make_batch() for _ in range(55)]
    for batch in batches:
        make_job(batch=batch)
    for address in ("", "new/", f"{batches[0].pk}/", f"{batches[0].pk}/live/", f"{batches[0].pk}/cancel/"):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(f"/sync/batches/{address}").status_code == 200


def test_cancel_with_a_reason_once() -> None:
    batch, client = make_batch(), client_of(Role.OPERATOR)
    make_job(batch=batch)
    make_job(batch=batch, state=JobState.RUNNING)
    address = f"/sync/batches/{batch.pk}/cancel/"
    assert client.get(address).status_code == 200
    assert client.post(address, {"reason": ""}).status_code == 400
    text = client.post(address, {"reason": "wrong window"}, follow=True).content.decode()
    assert "1 waiting jobs cancelled; 1 running ones asked to stop." in text
    again = client.post(address, {"reason": "once more"})
    assert again.status_code == 400
    assert f"Batch {batch.pk} is cancelling" in again.content.decode()
    assert 'value="once more"' in again.content.decode()
    assert AuditEntry.objects.get(action="batch.cancelled").reason == "wrong window"


def test_methods_and_permissions() -> None:
    batch, viewer, operator = make_batch(), client_of(Role.VIEWER), client_of(Role.OPERATOR)
    assert operator.post("/sync/batches/").status_code == 405
    assert operator.post(f"/sync/batches/{batch.pk}/live/").status_code == 405
    assert operator.get("/sync/batches/999/").status_code == 404
    assert viewer.get(f"/sync/batches/{batch.pk}/").status_code == 200
    assert f"/sync/batches/{batch.pk}/cancel/" not in viewer.get(f"/sync/batches/{batch.pk}/").content.decode()
    for address in ("/sync/batches/new/", f"/sync/batches/{batch.pk}/cancel/"):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, {"reason": "x", "size": 1, "mode": "sync"}).status_code == 403
