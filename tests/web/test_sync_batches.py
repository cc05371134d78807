"""Batches: the list, a new one, one batch and its live part, cancel."""

from __future__ import annotations

import re
from html import unescape

import pytest
import redis
from django.conf import LazySettings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Batch, BatchPlan, BatchState, JobState, StagedOrganization
from tests.sync.jobs import make_job
from tests.web.sync_rows import MOST_QUERIES, client_of, make_batch, make_full_job, stage_rows

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

OPTIONS = {"size": 10, "mode": "report", "order": "oldest", "canary": 0, "keep_staged": "on"}


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


def plan_for(client: Client, **options: object) -> str:
    """The address of the plan that the form leads to."""
    response = client.post("/sync/batches/new/", OPTIONS | options)
    assert response.status_code == 302, response.content.decode()
    return response.headers["Location"]


def hash_at(client: Client, address: str) -> str:
    found = re.search(r'name="hash" value="([0-9a-f]{64})"', client.get(address).content.decode())
    assert found is not None
    return found[1]


def test_new_batch_says_what_is_ready() -> None:
    stage_rows(12)
    text = client_of(Role.OPERATOR).get("/sync/batches/new/").content.decode()
    assert 'value="10"' in text
    assert "12 staged in all. Ready: 12 for a report, 12 for a sync." in text
    given = client_of(Role.OPERATOR).get("/sync/batches/new/", {"size": "25", "mode": "sync"}).content.decode()
    assert 'value="25"' in given


def test_plan_shows_what_it_takes(queue: redis.Redis) -> None:
    stage_rows(60, task_count=500)
    client = client_of(Role.OPERATOR)
    address = plan_for(client, size=55, mode="sync", name="Night of the 3rd", tags="outage, kafka", canary=5)
    text = client.get(address).content.decode()
    assert "Sync 55 organizations" in text
    assert "Mode sync publishes" in text
    assert "27,500" in text, "tasks"
    assert text.count("Customer ") == 50
    assert "… and 5 more." in text
    assert "Night of the 3rd" in text
    assert not Batch.objects.exists()


def test_start_takes_what_the_plan_lists_and_leads_to_the_batch(queue: redis.Redis) -> None:
    stage_rows(3, task_count=1)
    client = client_of(Role.OPERATOR)
    address = plan_for(client, size=2, mode="sync")
    sent = {"hash": hash_at(client, address), "reason": "incident 7"}
    assert client.post(address, sent | {"reason": ""}).status_code == 400, "what publishes needs a reason"
    answers = [client.post(address, sent) for _ in range(2)]
    batch = Batch.objects.get()
    assert {answer.headers["Location"] for answer in answers} == {f"/sync/batches/{batch.pk}/"}
    assert (batch.jobs.count(), StagedOrganization.objects.count()) == (2, 1)
    assert AuditEntry.objects.get(action="batch.started", actor="a-operator").reason == "incident 7"
    started = client.get(address).content.decode()
    assert f'"/sync/batches/{batch.pk}/"' in started
    assert started.count("Customer ") == 2, "a sync took them out of the set; their names are still said"


def test_a_changed_set_leads_to_a_new_plan_that_says_what_changed(queue: redis.Redis) -> None:
    stage_rows(3, task_count=1)
    client = client_of(Role.OPERATOR)
    address = plan_for(client, size=2)
    sent = {"hash": hash_at(client, address)}
    StagedOrganization.objects.filter(pk=BatchPlan.objects.get().organizations[0]).delete()
    response = client.post(address, sent, follow=True)
    text = response.content.decode()
    assert "1 would come in" in text
    assert "1 can no longer be taken" in text
    assert response.redirect_chain[0][0] != address
    assert not Batch.objects.exists()
    new = response.redirect_chain[0][0]
    assert client.post(new, {"hash": hash_at(client, new)}).status_code == 302
    assert Batch.objects.get().jobs.count() == 2


def test_another_hash_starts_nothing(queue: redis.Redis) -> None:
    stage_rows(1, task_count=1)
    client = client_of(Role.OPERATOR)
    response = client.post(plan_for(client, size=1), {"hash": "0" * 64})
    assert response.status_code == 400
    assert "not the one that was shown" in response.content.decode()


def test_many_organizations_have_to_be_typed(queue: redis.Redis) -> None:
    stage_rows(1_001, task_count=1)
    client = client_of(Role.OPERATOR)
    address = plan_for(client, size=2_000)
    assert "Type 1001 to confirm" in client.get(address).content.decode()
    sent = {"hash": hash_at(client, address)}
    refused = client.post(address, sent | {"confirmation": "1000"})
    assert refused.status_code == 400
    assert "type that number" in refused.content.decode()
    assert client.post(address, sent | {"confirmation": "1,001"}).status_code == 302


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"size": "0"}, "allowed are 1 to 10,000"),
        ({"size": "many"}, "whole number"),
        ({"size": "1000000"}, "allowed are 1 to 10,000"),
        ({"mode": "odd"}, "not one of the available choices"),
        ({"canary": "10"}, "A canary of 10 in a batch of 10 is not possible"),
        ({"most_at_once": "0"}, "jobs at once is not possible"),
        ({"tags": "x" * 41}, "cannot be used; allowed are 1 to 40 characters"),
        ({"window_from": "yesterday"}, "is no time"),
        ({"window_from": "2026-01-02 00:00:00", "window_to": "2026-01-01 00:00:00"}, "is empty"),
    ],
)
def test_a_wrong_batch_keeps_what_was_typed(sent: dict[str, str], said: str) -> None:
    stage_rows(1)
    response = client_of(Role.OPERATOR).post("/sync/batches/new/", OPTIONS | sent)
    assert response.status_code == 400
    assert said in response.content.decode()
    assert "size" not in sent or f'value="{sent["size"]}"' in response.content.decode()
    assert not BatchPlan.objects.exists()


def test_nothing_staged_is_an_error_above_the_form() -> None:
    client = client_of(Role.OPERATOR)
    assert "Nothing is staged" in client.get("/sync/batches/new/").content.decode()
    response = client.post("/sync/batches/new/", OPTIONS)
    assert response.status_code == 400
    assert "staged" in response.content.decode().split('role="alert"')[1].split("</div>")[0]


def test_redis_away_is_an_error_above_the_form(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    stage_rows(1, task_count=1)
    for queue in settings.RQ_QUEUES.values():
        monkeypatch.setitem(queue, "URL", "redis://127.0.0.1:1/0")
    client = client_of(Role.OPERATOR)
    address = plan_for(client)
    response = client.post(address, {"hash": hash_at(client, address)})
    assert response.status_code == 400
    assert "Redis cannot be reached" in response.content.decode()
    assert not Batch.objects.exists()


ACTS = {
    BatchState.RUNNING: {"pause", "cancel", "throttle"},
    BatchState.PAUSED: {"resume", "cancel", "throttle"},
    BatchState.CANCELLING: {"throttle"},
    BatchState.DONE: {"missing", "report-again", "clone"},
    BatchState.CANCELLED: {"missing", "report-again", "clone"},
}


@pytest.mark.parametrize("state", list(BatchState))
def test_the_page_offers_what_can_be_done_in_its_state(state: BatchState) -> None:
    batch = make_batch(state=state)
    make_job(batch=batch, state=JobState.DONE)
    address = f"/sync/batches/{batch.pk}/"
    text = client_of(Role.OPERATOR).get(address).content.decode()
    offered = {act for act in set().union(*ACTS.values()) | {"go", "retry"} if f'"{address}{act}/"' in text}
    assert offered == ACTS[state]
    assert f'"{address}batch.csv"' in text
    seen = client_of(Role.VIEWER).get(address).content.decode()
    assert not any(f'"{address}{act}/"' in seen for act in ACTS[state])


def test_pause_resume_and_retry_ask_for_a_reason_and_act_once(queue: redis.Redis) -> None:
    batch, client = make_batch(), client_of(Role.OPERATOR)
    make_job(batch=batch)
    make_job(batch=batch, state=JobState.FAILED)
    for act, said in (
        ("pause", "1 waiting job held back; 0 running ones asked to pause."),
        ("resume", "goes on; 1 job queued now."),
        ("retry", "1 job queued again."),
    ):
        address = f"/sync/batches/{batch.pk}/{act}/"
        assert client.get(address).status_code == 200
        assert client.post(address, {"reason": ""}).status_code == 400
        assert said in client.post(address, {"reason": f"to {act}"}, follow=True).content.decode()
        assert client.post(address, {"reason": "again"}).status_code == 400
    reasons = dict(AuditEntry.objects.filter(subject=f"batch:{batch.pk}").values_list("action", "reason"))
    assert reasons["batch.resumed"] == "to resume"
    assert reasons["batch.retried"] == "to retry"
    assert "to pause" in reasons["batch.paused"]


def test_a_batch_that_waits_after_its_canary_offers_to_go_on(queue: redis.Redis) -> None:
    batch, client = (
        make_batch(canary=1, state=BatchState.PAUSED, pause_reason="Canary of 1 ended."),
        client_of(Role.OPERATOR),
    )
    make_job(batch=batch, state=JobState.DONE)
    make_job(batch=batch, state=JobState.PLANNED)
    text = client.get(f"/sync/batches/{batch.pk}/").content.decode()
    assert f'"/sync/batches/{batch.pk}/go/"' in text
    assert "Canary of 1 ended." in text
    text = client.post(f"/sync/batches/{batch.pk}/go/", {"reason": "good"}, follow=True).content.decode()
    assert "1 job queued now" in text


@pytest.mark.parametrize(("what", "count"), [("missing", 1), ("clone", 2), ("report-again", 2)])
def test_plans_from_an_ended_batch(what: str, count: int, queue: redis.Redis) -> None:
    batch, client = make_batch(state=BatchState.DONE), client_of(Role.OPERATOR)
    make_job(batch=batch, state=JobState.DONE)
    make_job(batch=batch, state=JobState.FAILED)
    assert client.get(f"/sync/batches/{batch.pk}/{what}/").status_code == 405
    response = client.post(f"/sync/batches/{batch.pk}/{what}/", follow=True)
    plan = BatchPlan.objects.get()
    assert response.redirect_chain[0][0] == f"/sync/batches/plans/{plan.pk}/"
    assert len(plan.organizations) == count
    assert f"/sync/batches/{batch.pk}/" in response.content.decode()


def test_nothing_missing_is_said_on_the_batch() -> None:
    batch = make_batch(state=BatchState.DONE)
    make_job(batch=batch, state=JobState.DONE)
    text = client_of(Role.OPERATOR).post(f"/sync/batches/{batch.pk}/missing/", follow=True).content.decode()
    assert "Nothing is missing of batch" in text


def test_two_batches_side_by_side() -> None:
    first, second = make_batch(state=BatchState.DONE), make_batch(state=BatchState.DONE)
    for number in range(60):
        job = make_job(batch=first, state=JobState.DONE, stale=5)
        if number % 2:
            make_job(batch=second, state=JobState.DONE, stale=2, organization_id=job.organization_id)
    client = client_of(Role.VIEWER)
    address = f"/sync/batches/{second.pk}/compare/"
    assert client.get(address).status_code == 200
    assert client.get(address, {"other": "999999"}).status_code == 400
    text = client.get(address, {"other": first.pk}).content.decode()
    following = re.search(r'href="(\?other=\d+&amp;after=[^"]+)"', text)
    assert following is not None
    rest = client.get(address + unescape(following[1])).content.decode()
    both = text + rest
    assert both.count("not in this one") == 30
    assert both.count(">-3<") == 30
    assert "Next page" not in rest


def test_the_result_as_csv() -> None:
    batch = make_batch(state=BatchState.DONE)
    job = make_job(batch=batch, state=JobState.DONE, organization_name="=1+1", scanned=7)
    response = client_of(Role.VIEWER).get(f"/sync/batches/{batch.pk}/batch.csv")
    text = response.getvalue().decode()
    assert response.headers["Content-Disposition"] == f'attachment; filename="batch-{batch.pk}.csv"'
    assert f"{job.organization_id},'=1+1,{job.pk},done,7," in text


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
    assert "1 waiting job cancelled; 1 running one asked to stop." in text
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
    acts = ("cancel", "pause", "resume", "go", "retry")
    for address in ("/sync/batches/new/", *(f"/sync/batches/{batch.pk}/{act}/" for act in acts)):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, {"reason": "x", "size": 1, "mode": "sync"}).status_code == 403


def test_filter_by_a_part_of_the_name_and_by_a_whole_tag() -> None:
    night, other = make_batch(name="Night repair", tags=["gap", "night"]), make_batch(name="Other", tags=["nightly"])
    client = client_of(Role.VIEWER)
    for query, there, gone in (
        ("name=night", night, other),
        ("tag=night", night, other),
        ("tag=nightly", other, night),
    ):
        text = client.get(f"/sync/batches/?{query}").content.decode()
        assert f'"/sync/batches/{there.pk}/"' in text
        assert f'"/sync/batches/{gone.pk}/"' not in text


def test_name_and_tags_are_shown_escaped() -> None:
    make_batch(name="<b>bold</b>", tags=["<i>"])
    text = client_of(Role.VIEWER).get("/sync/batches/").content.decode()
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "&lt;i&gt;" in text
    assert "<i>" not in text


def test_a_plan_can_be_changed_from_what_was_typed() -> None:
    stage_rows(3)
    client = client_of(Role.OPERATOR)
    typed = {"size": 7, "mode": "sync", "order": "oldest", "canary": 2, "name": "Night & day", "tags": "a, b"}
    plan = client.get(plan_for(client, **typed, keep_staged="", auto_advance="on"))
    address = re.search(r'href="([^"]+)">Change it<', plan.content.decode())
    assert address is not None
    form = client.get(unescape(address[1])).context["form"]
    again = {name: form[name].value() for name in typed}
    assert again == {name: str(value) for name, value in typed.items()}
    assert (bool(form["keep_staged"].value()), bool(form["auto_advance"].value())) == (False, True)


def test_the_throttle_of_a_batch_is_set_at_the_start_shown_and_changed(queue: redis.Redis) -> None:
    stage_rows(1, task_count=1)
    client = client_of(Role.OPERATOR)
    address = plan_for(client, size=1, mode="sync", messages_per_second=500, lag_limit=50_000)
    said = "500 messages/s at most; waits above a lag of 50,000"
    assert said in client.get(address).content.decode()
    client.post(address, {"hash": hash_at(client, address), "reason": "incident 7"})
    batch = Batch.objects.get()
    page, throttle = f"/sync/batches/{batch.pk}/", f"/sync/batches/{batch.pk}/throttle/"
    text = client.get(page).content.decode()
    assert said in text
    assert f'"{throttle}"' in text
    assert 'value="500"' in client.get(throttle).content.decode()
    assert client.post(throttle, {"messages_per_second": "5"}).status_code == 400, "a reason is needed"
    wrong = client.post(throttle, {"messages_per_second": "-5", "reason": "x"})
    assert wrong.status_code == 400
    assert "-5 messages a second is not possible" in wrong.content.decode()
    changed = client.post(throttle, {"messages_per_second": "5", "lag_limit": "", "reason": "slower"}, follow=True)
    assert "5 messages/s at most</dd>" in changed.content.decode()
    assert client_of(Role.VIEWER).post(throttle, {"reason": "x"}).status_code == 403


def test_jobs_that_are_held_up_say_why_on_job_list_and_batch() -> None:
    batch, client = make_batch(), client_of(Role.VIEWER)
    reason = "Waiting: the group task-indexer is 120,431 messages behind."
    job = make_job(batch=batch, state=JobState.RUNNING, waits_for=reason)
    make_job(batch=batch, state=JobState.RUNNING, waits_for=reason)
    make_job(batch=batch, state=JobState.QUEUED, waits_for="left by an attempt that was killed")
    assert f"{reason} (2 jobs)" in client.get(f"/sync/batches/{batch.pk}/").content.decode()
    assert reason in client.get(f"/sync/jobs/{job.pk}/").content.decode()
    listed = client.get("/sync/jobs/").content.decode()
    assert reason in listed
    assert "left by an attempt" not in listed
