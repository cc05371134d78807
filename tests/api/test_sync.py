"""The main job over HTTP: find, stage, plan, start, look after, explain; each act as the operation itself says."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import redis
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import Batch, Job, JobEvent, JobKind, JobState, SkippedOrganization, StagedOrganization
from tests.affected import hit_three, make_slow
from tests.api.callers import Program, problem_of, program
from tests.company import Company, EstateWriter
from tests.sync.batches import stage
from tests.sync.jobs import claim, make_job
from tests.web.sync_rows import HOSTILE, make_drift

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

HIT = {"from": "2031-05-01 12:00:00", "to": "2031-05-01 13:00:00"}
WHY = {"reason": "customers asked"}


@pytest.fixture
def ops(use_estate: EstateWriter, queue: redis.Redis) -> Program:
    return program(Role.OPERATOR, "olga")


def lines_of(response: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def test_affected_organizations_are_streamed(ops: Program, company: Company) -> None:
    hit = hit_three(company)
    response = ops.get("affected-organizations", HIT)
    assert response["Content-Type"] == "application/x-ndjson"
    *found, last = lines_of(response)
    assert {one["found"]["organization"]: one["found"]["updated"] for one in found} == dict(
        zip(map(str, hit), (3, 2, 1), strict=True)
    )
    assert last["done"] == {"end": True, "organizations": 3, "problem": None}
    fewer = lines_of(ops.get("affected-organizations", HIT | {"min": 2, "without": str(hit[0])}))
    assert [one["found"]["organization"] for one in fewer[:-1]] == [str(hit[1])]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({}, "query.from"),
        ({"from": "soon", "to": "later"}, "query.from"),
        (HIT | {"min": 0}, "query.min"),
        (HIT | {"without": "nonsense"}, "query.without"),
        (HIT | {"status": "\x7f"}, "query.status"),
        ({"window": "ever"}, "query.window"),
    ],
)
def test_a_wrong_query_is_said_by_field(ops: Program, query: dict[str, Any], where: str) -> None:
    content = problem_of(ops.get("affected-organizations", query))
    assert content["status"] == 422
    assert where in {one["where"] for one in content["errors"]}


def test_a_source_that_is_too_slow_is_a_problem(ops: Program, company: Company) -> None:
    hit_three(company)
    make_slow("200ms")
    assert problem_of(ops.get("affected-organizations", HIT))["type"] == "urn:opsconsole:unavailable"


def test_ids_in_any_shape(ops: Program, company: Company) -> None:
    known, unknown = company.organizations()[0], uuid4()
    body = {"text": f"'s-{known}', {unknown}; nonsense", "to": "sql"}
    content = ops.post("ids/convert", body).json()
    assert content["ids"] == [str(known)]
    assert content["list"] == f"('{known}')"
    assert [one["id"] for one in content["unknown"]] == [str(unknown)]
    assert content["malformed"][0]["text"] == "nonsense"
    assert len(ops.post("ids/convert", body | {"look_up": False}).json()["ids"]) == 2


def test_stage_list_and_take_out(ops: Program, company: Company) -> None:
    ids = [str(key) for key in company.organizations()[:3]]
    busy = make_job(organization_id=ids[2])
    body = {"organizations": [f"s-{ids[0]}", ids[1], ids[2]], "origin": "nightly gap"}
    assert ops.post("staged-organizations", body).json() == {
        "staged": 2,
        "already": 0,
        "active": [busy.organization_id],
        "skipped": [],
    }
    first = ops.get("staged-organizations", {"size": 1}).json()
    second = ops.get("staged-organizations", {"size": 1, "cursor": first["next"]}).json()
    assert [one["organization"] for one in (*first["items"], *second["items"])] == sorted(ids[:2])
    assert (first["items"][0]["staged_by"], first["items"][0]["origin"]) == ("olga", "nightly gap")
    assert (second["next"], first["previous"]) == (None, None)
    assert ops.post("staged-organizations/remove", {"organizations": [f"s-{ids[0]}"]}).json() == {"removed": 1}
    assert ops.post("staged-organizations/clear").json() == {"removed": 1}
    assert not StagedOrganization.objects.exists()
    assert AuditEntry.objects.filter(action__startswith="organizations.", door="api").count() == 3


def test_one_unknown_organization_stages_nothing(ops: Program, company: Company) -> None:
    body = {"organizations": [str(company.organizations()[0]), str(uuid4())]}
    assert "Not known to the source" in problem_of(ops.post("staged-organizations", body))["detail"]
    assert not StagedOrganization.objects.exists()


def test_a_plan_is_started_as_it_was_shown_and_once(ops: Program, company: Company) -> None:
    ids = [str(key) for key in company.organizations()[:2]]
    ops.post("staged-organizations", {"organizations": ids})
    plan = ops.post("batch-plans", {"mode": "sync", "size": 5, "name": "After the gap", "canary": 1}).json()
    assert set(plan["organizations"]) == set(ids)
    assert not Job.objects.exists()
    assert ops.get(f"batch-plans/{plan['number']}").json() == plan
    start = {"hash": plan["hash"], "reason": "the gap of the night"}
    begun = ops.post(f"batch-plans/{plan['number']}/start", start)
    assert begun.status_code == 201
    batch = begun.json()
    assert (batch["name"], batch["state"], batch["mode"]) == ("After the gap", "running", "sync")
    assert {one["state"]: one["jobs"] for one in batch["states"]} == {"queued": 1, "planned": 1}
    assert ops.post(f"batch-plans/{plan['number']}/start", start).json()["number"] == batch["number"]
    assert Batch.objects.count() == 1
    assert AuditEntry.objects.get(action="batch.started").reason == "the gap of the night"


def test_a_plan_that_is_no_longer_so_starts_nothing(ops: Program, company: Company) -> None:
    ids = [str(key) for key in company.organizations()[:2]]
    ops.post("staged-organizations", {"organizations": ids})
    plan = ops.post("batch-plans", {"mode": "sync"}).json()
    make_job(organization_id=ids[0])
    refused = ops.post(f"batch-plans/{plan['number']}/start", {"hash": plan["hash"], **WHY})
    assert (refused.status_code, problem_of(refused)["type"]) == (409, "urn:opsconsole:plan-changed")
    assert "1 can no longer be taken" in problem_of(refused)["detail"]
    wrong = ops.post(f"batch-plans/{plan['number']}/start", {"hash": "0" * 64, **WHY})
    assert "not the one that was shown" in problem_of(wrong)["detail"]
    assert not Batch.objects.exists()


def test_wrong_options_are_said_by_field(ops: Program) -> None:
    refused = problem_of(ops.post("batch-plans", {"canary": 10, "tags": ["a", "a"]}))
    assert {one["where"] for one in refused["errors"]} == {"body.canary", "body.tags"}
    unknown = problem_of(ops.post("batch-plans", {"dry_run": True}))
    assert [one["where"] for one in unknown["errors"]] == ["body.dry_run"]


def test_a_batch_is_paused_resumed_throttled_cancelled_and_retried(ops: Program) -> None:
    stage(3)
    batch = ops.post("batches", {"mode": "sync", "size": 3, **WHY}).json()
    here = f"batches/{batch['number']}"
    assert ops.post(f"{here}/pause", WHY).json()["state"] == "paused"
    assert "only one that is running" in problem_of(ops.post(f"{here}/pause", WHY))["detail"]
    throttled = ops.post(f"{here}/throttle", {"messages_per_second": 5, "lag_limit": None, **WHY}).json()
    assert (throttled["messages_per_second"], throttled["lag_limit"]) == (5, None)
    assert ops.post(f"{here}/resume", WHY).json()["state"] == "running"
    assert ops.post(f"{here}/cancel", WHY).json()["state"] == "cancelled"
    again = ops.post(f"{here}/retry", WHY).json()
    assert (again["state"], again["states"]) == ("running", [{"state": "queued", "jobs": 3}])
    assert ops.post(f"{here}/go", WHY).status_code == 400
    assert [one["number"] for one in ops.get("batches", {"state": "running"}).json()["items"]] == [batch["number"]]
    assert ops.get("batches", {"state": "done"}).json()["items"] == []
    acts = AuditEntry.objects.filter(subject=f"batch:{batch['number']}", door="api").order_by("pk")
    assert [one.action.removeprefix("batch.") for one in acts] == [
        *("started", "paused", "throttled", "resumed", "cancelled", "retried")
    ]
    assert {one.reason for one in acts if one.action == "batch.cancelled"} == {"customers asked"}


def test_a_plan_from_a_batch(ops: Program) -> None:
    stage(2)
    batch = ops.post("batches", {"mode": "report", "size": 2, **WHY}).json()
    Job.objects.update(state=JobState.DONE)
    Job.objects.filter(pk=Job.objects.latest("pk").pk).update(state=JobState.FAILED)
    plan = ops.post(f"batches/{batch['number']}/plan", {"what": "missing"}).json()
    assert len(plan["organizations"]) == 1
    assert len(ops.post(f"batches/{batch['number']}/plan", {"what": "clone"}).json()["organizations"]) == 2


def test_tasks_are_compared_and_synced(ops: Program, company: Company) -> None:
    tasks = [str(key) for key in company.tasks(company.organizations()[0])[:2]]
    company.in_source("UPDATE tasks SET title = 'lost', version = version + 1 WHERE id = %s", tasks[0])
    unknown = str(uuid4())
    preview = ops.post("by-hand/tasks/preview", {"tasks": [*tasks, unknown]}).json()
    assert (preview["tasks"], preview["differing"], preview["unknown"]) == (2, 1, [unknown])
    assert (preview["shown"][0]["task"], preview["shown"][0]["fields"]) == (tasks[0], ["title"])
    job = ops.post("by-hand/tasks", {"tasks": tasks, "mode": "sync", **WHY})
    assert (job.status_code, job.json()["kind"], job.json()["state"]) == (201, "tasks", "queued")
    assert Job.objects.get().task_ids == tasks
    assert "Known to neither" in problem_of(ops.post("by-hand/tasks", {"tasks": [unknown], **WHY}))["detail"]


def test_an_organization_and_its_window(ops: Program, company: Company) -> None:
    one, other = (str(key) for key in company.organizations()[:2])
    job = ops.post("by-hand/organizations", {"organization": one, "mode": "sync"}).json()
    assert (job["organization"], job["mode"], job["kind"]) == (one, "sync", "organization")
    busy = ops.post("by-hand/organizations", {"organization": one})
    assert "one at a time" in problem_of(busy)["detail"]
    window = {"start": "2026-11-20T02:00:00+01:00", "end": "2026-11-20T02:00:00Z"}
    made = ops.post("by-hand/windows", {"organization": other, "window": window, **WHY}).json()
    assert (made["kind"], made["window_from"]) == (JobKind.WINDOW, "2026-11-20T01:00:00Z")
    for bad, status in (
        ({"start": window["end"], "end": window["end"]}, 400),
        ({"start": "2026-11-20T02:00:00", "end": window["end"]}, 422),
        ({"start": "0001-01-01T00:00:00+01:00", "end": window["end"]}, 400),
    ):
        refused = ops.post("by-hand/windows", {"organization": other, "window": bad, **WHY})
        assert problem_of(refused)["status"] == status, bad


def test_the_list_of_jobs_is_narrowed_as_the_page_s(ops: Program, company: Company) -> None:
    mine = make_job(organization_id=str(company.organizations()[0]), state=JobState.FAILED, worker="worker-9")
    make_job()
    for asked in (
        {"organization": f"s-{mine.organization_id}"},
        {"state": "dead"},
        {"state": "failed"},
        {"worker": "worker-9"},
    ):
        assert [one["number"] for one in ops.get("jobs", asked).json()["items"]] == [mine.pk], asked
    assert ops.get("jobs", {"created_from": "2030-01-01"}).json()["items"] == []
    assert len(ops.get("jobs", {"created_before": "2130-01-01"}).json()["items"]) == 2


def test_a_job_with_its_log_and_its_drift(ops: Program) -> None:
    job = make_job(stale=2, organization_name=HOSTILE)
    JobEvent.objects.bulk_create([JobEvent(job=job, message=f"line {number}") for number in range(3)])
    for _ in range(2):
        make_drift(job)
    detail = ops.get(f"jobs/{job.pk}").json()
    assert (detail["trace_id"], detail["organization_name"]) == (str(job.trace_id), HOSTILE)
    log = ops.get(f"jobs/{job.pk}/events", {"size": 2}).json()
    assert [one["message"] for one in log["items"]] == ["line 0", "line 1"]
    drift = ops.get(f"jobs/{job.pk}/drift").json()["items"]
    assert len(drift) == 2
    task = drift[0]["task"]
    assert [one["task"] for one in ops.get(f"jobs/{job.pk}/drift", {"task": task}).json()["items"]] == [task]
    assert ops.get(f"jobs/{job.pk}/drift", {"kind": "orphan"}).json()["items"] == []


def test_what_was_given_up_is_unresolved_and_what_is_still_awaited_is_not(ops: Program) -> None:
    for unresolved, shown, other in ((0, "pending", "unresolved"), (1, "unresolved", "pending")):
        job = make_job(stale=1, published=1, unresolved=unresolved)
        make_drift(job, verification="pending")
        items = ops.get(f"jobs/{job.pk}/drift", {"verification": shown}).json()["items"]
        assert [one["verification"] for one in items] == [shown]
        assert ops.get(f"jobs/{job.pk}/drift", {"verification": other}).json()["items"] == []


def test_a_job_is_ended_retried_and_skipped(ops: Program) -> None:
    job, _ = claim(make_job())
    here = f"jobs/{job.pk}"
    stale = ops.post(f"{here}/cancel", {"attempt": 99, **WHY})
    assert "Look at it again" in problem_of(stale)["detail"]
    assert ops.post(f"{here}/cancel", {"attempt": 1, **WHY}).json()["state"] == "cancelling"
    assert ops.post(f"{here}/stop", WHY).json()["state"] == "cancelling"
    assert ops.post(f"{here}/kill", WHY).json()["state"] == "cancelling"
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED)
    assert "ended already" in problem_of(ops.post(f"{here}/kill", WHY))["detail"]
    assert ops.post(f"{here}/retry", WHY).json()["state"] == "queued"
    skipped = ops.post(f"{here}/skip", {"why": "too_large", "note": "kills every worker"}).json()
    assert skipped == {"added": 1, "already": 0, "cancelled": 1, "asked": 0}
    assert AuditEntry.objects.filter(door="api", actor="olga").count() == 5


def test_a_job_is_deleted_when_it_has_ended_and_by_an_administrator(ops: Program) -> None:
    job, _ = claim(make_job())
    here, admin = f"jobs/{job.pk}/delete", program(Role.ADMINISTRATOR, "ada")
    assert ops.post(here, WHY).status_code == 403
    assert "only a job that has ended can be deleted" in problem_of(admin.post(here, WHY))["detail"]
    Job.objects.filter(pk=job.pk).update(state=JobState.CANCELLED)
    assert admin.post(here, WHY).json() == {"deleted": 1}
    assert not Job.objects.filter(pk=job.pk).exists()
    assert admin.post(here, WHY).status_code == 404
    assert AuditEntry.objects.get(action="job.deleted").actor == "ada"


def test_the_skip_list(ops: Program, company: Company) -> None:
    ids = [str(key) for key in company.organizations()[:2]]
    body = {"organizations": ids, "why": "too_large", "note": "to be synced by window"}
    assert ops.post("skip-list", body).json() == {"added": 2, "already": 0}
    assert ops.post("skip-list", body).json() == {"added": 0, "already": 2}
    entries = ops.get("skip-list", {"state": "open", "organization": ids[0]}).json()["items"]
    assert [(one["organization"], one["why"], one["note"]) for one in entries] == [
        (ids[0], "too_large", "to be synced by window")
    ]
    taken = ops.post("skip-list/remove", {"entries": [entries[0]["number"]], **WHY})
    assert taken.json() == {"taken_off": 1}
    assert [one["organization"] for one in ops.get("skip-list", {"state": "resolved"}).json()["items"]] == [ids[0]]
    assert SkippedOrganization.objects.open().count() == 1


@pytest.mark.parametrize("path", ["jobs", "batches", "staged-organizations", "skip-list"])
def test_a_list_costs_the_same_with_one_row_and_with_many(
    ops: Program, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    stage(30)
    ops.post("batches", {"mode": "report", "size": 10, **WHY})
    for job in Job.objects.all()[:10]:
        SkippedOrganization.objects.put_on({job.organization_id: "x"}, "by_hand", "x", "x")  # type: ignore[arg-type]
    ops.get(path)
    with django_assert_max_num_queries(4):  # the token, two for permissions, the page
        assert ops.get(path).json()["items"]
