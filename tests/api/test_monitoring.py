"""Record statuses, pipeline, schedules, monitors, alerts and the audit log over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import django_rq
import pytest
import redis
from django.utils import timezone

from monitoring.pipeline import samples
from monitoring.pipeline.models import CanaryRound, PausedQueue, WorkerBeat
from monitoring.pipeline.operations.looking import look_at_signals
from monitoring.records.operations.snapshots import take
from monitoring.schedules.models import Monitor, Run, RunEvent, RunState, Trigger
from opsconsole import estate
from opsconsole.access import Role
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.models import AuditEntry
from opsconsole.pauses import paused_queues
from tests.api.callers import Program, problem_of, program
from tests.company import EstateWriter
from tests.monitoring.alerting import run_failed
from tests.monitoring.files import PREFIX, Files, UseRecords
from tests.monitoring.scheduled import MINUTE, make_scheduled_job
from tests.monitoring.test_lag import produce
from tests.sync.jobs import claim, make_job

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records"]
pytestmark = pytest.mark.django_db

WHY = {"reason": "on call"}


@pytest.fixture
def viewer() -> Program:
    return program(Role.VIEWER, "vera")


@pytest.fixture
def ops(queue: redis.Redis) -> Program:
    return program(Role.OPERATOR, "olga")


@pytest.fixture
def admin() -> Program:
    return program(Role.ADMINISTRATOR, "anna")


class TestRecords:
    @pytest.fixture(autouse=True)
    def _files(self, files: Files, use_records: UseRecords) -> None:
        use_records(files.source())

    def test_the_breakdown(self, viewer: Program, files: Files) -> None:
        files.add("processing", 30, 25, 3, now=timezone.now())
        files.add("error", 20, 20, 1, now=timezone.now())
        assert viewer.get("records").json()["items"] == [{"name": "odd-files", "label": "Odd files"}]
        content = viewer.get("records/odd-files", {"older": "0s", "younger": "2h"}).json()
        counts = {row["status"]: row["count"] for row in content["statuses"]}
        assert counts == {f"{PREFIX}processing": 3, f"{PREFIX}error": 1}
        assert content["verdict"]
        wrong = problem_of(viewer.get("records/odd-files", {"older": "soon"}))
        assert [one["where"] for one in wrong["errors"]] == ["query.older"]
        assert viewer.get("records/nothing").status_code == 404

    def test_snapshots_and_what_is_stuck(self, viewer: Program, files: Files) -> None:
        source = estate.current().records[0]
        files.add("processing", 300, 250, 2, now=timezone.now())
        for ago in (10, 5):
            take(source, timezone.now() - ago * MINUTE)
        first = viewer.get("records/odd-files/snapshots", {"size": 1}).json()
        assert first["items"][0]["stuck"] == {f"{PREFIX}processing": 2}
        again = viewer.get("records/odd-files/snapshots", {"size": 1, "cursor": first["next"]}).json()
        assert again["items"][0]["taken_at"] < first["items"][0]["taken_at"]
        stuck = viewer.get("records/odd-files/stuck", {"size": 1}).json()
        rest = viewer.get("records/odd-files/stuck", {"size": 1, "cursor": stuck["next"]}).json()
        assert len({one["key"] for one in (*stuck["items"], *rest["items"])}) == 2
        assert problem_of(viewer.get("records/odd-files/stuck", {"status": "unheard of"}))["status"] == 422


class TestPipeline:
    def test_the_overview(self, viewer: Program, queue: redis.Redis) -> None:
        look_at_signals(timezone.now())
        found = {one["name"]: one for one in viewer.get("overview").json()["items"]}
        assert found["workers"]["tone"] == "problem"
        assert found["jobs"]["sentence"] == "No job failed or looped within a day."

    def test_queues_are_seen_paused_and_resumed(self, ops: Program, queue: redis.Redis) -> None:
        django_rq.get_queue("low").enqueue("os.getpid")
        found = {one["name"]: one for one in ops.get("queues").json()["items"]}
        assert (found["low"]["depth"], found["low"]["state"], found["high"]["state"]) == (1, "moving", "empty")
        assert ops.post("queues/low/pause", WHY).json() == {"done": "The queue low is paused."}
        assert paused_queues(queue) == {"low"}
        assert "paused already" in problem_of(ops.post("queues/low/pause", WHY))["detail"]
        assert {one["name"]: one["paused_because"] for one in ops.get("queues").json()["items"]}["low"] == "on call"
        assert ops.post("queues/low/resume", WHY).status_code == 200
        assert not PausedQueue.objects.exists()
        assert ops.post("queues/nothing/pause", WHY).status_code == 404

    def test_workers(self, ops: Program, queue: redis.Redis) -> None:
        job, _ = claim(make_job())
        WorkerBeat.objects.create(name=job.worker, host="ops-1", space="", pid=1, identity="", queues=["default"])
        (row,) = ops.get("workers").json()["items"]
        assert (row["name"], row["jobs"], row["queues"]) == (job.worker, [job.pk], ["default"])
        assert "does not listen" in problem_of(ops.post(f"workers/{job.worker}/restart", WHY))["detail"]
        assert ops.post("workers/nobody/restart", WHY).status_code == 404
        assert not AuditEntry.objects.filter(action="worker.restarted").exists()

    @pytest.mark.filterwarnings("ignore::ResourceWarning")  # kafka-python leaves sockets behind
    def test_lag_and_canary(
        self, viewer: Program, use_estate: EstateWriter, servers: ServerAddresses, topic: str
    ) -> None:
        produce(servers.kafka_bootstrap, topic, 2, (2, 3))
        lag = viewer.get("lag").json()
        assert (lag["lag"], lag["came_per_second"], len(lag["partitions"])) == (2, None, 4)
        samples.keep("lag", timezone.now(), {"lag": 0, "came": 3.0, "went": 2.0})
        assert viewer.get("lag").json()["came_per_second"] == 3.0
        now = timezone.now().replace(microsecond=0)
        CanaryRound.objects.create(
            at=now, seconds=0.1, compared=100, stale=7, found=9, window_from=now - MINUTE, window_to=now
        )
        canary = viewer.get("canary").json()
        assert (canary["tone"], canary["window_from"] is None) == ("problem", False)
        assert [one["stale"] for one in viewer.get("canary/rounds").json()["items"]] == [7]


class TestSchedules:
    def test_jobs_are_run_once_for_each_key(self, ops: Program) -> None:
        make_scheduled_job("first")
        make_scheduled_job("second", after=["first"])
        assert [one["name"] for one in ops.get("scheduled-jobs").json()["items"]] == ["first", "second"]
        assert ops.get("scheduled-jobs/first").json()["interval_seconds"] == 300
        body = {"following": True, **WHY}
        made = ops.post("scheduled-jobs/first/runs", body, key="one")
        assert made.status_code == 201
        assert [(one["job"], one["trigger"]) for one in made.json()["runs"]] == [("first", "api"), ("second", "chain")]
        assert ops.post("scheduled-jobs/first/runs", body, key="one").json() == made.json()
        assert Run.objects.filter(trigger=Trigger.API).count() == 1
        number = made.json()["runs"][0]["number"]
        RunEvent.objects.create(run_id=number, message="begun")
        assert ops.get(f"scheduled-runs/{number}").json()["requested_by"] == "olga"
        assert [one["message"] for one in ops.get(f"scheduled-runs/{number}/events").json()["items"]][-1] == "begun"
        assert ops.get("scheduled-jobs/first/runs", {"state": "done"}).json()["items"] == []
        assert ops.get("scheduled-jobs/nothing").status_code == 404

    def test_missed_runs_are_settled(self, ops: Program) -> None:
        job, now = make_scheduled_job("nightly"), timezone.now()
        missed = [
            Run.objects.create(
                scheduled_job=job, due_at=now - hours * timedelta(hours=1), trace_id=uuid4(), state=RunState.MISSED
            )
            for hours in (1, 2)
        ]
        assert len(ops.get("scheduled-runs/missed").json()["items"]) == 2
        run = ops.post(f"scheduled-runs/{missed[0].pk}/run")
        assert (run.status_code, run.json()["state"]) == (201, "queued")
        assert ops.post(f"scheduled-runs/{missed[1].pk}/ignore", WHY).status_code == 200
        assert ops.post(f"scheduled-runs/{missed[1].pk}/ignore", WHY).status_code == 400
        assert ops.get("scheduled-runs/missed").json()["items"] == []

    def test_switching_is_for_administrators(self, ops: Program, admin: Program) -> None:
        make_scheduled_job("nightly")
        assert ops.post("scheduled-jobs/nightly/disable", WHY).status_code == 403
        disabled = admin.post("scheduled-jobs/nightly/disable", WHY).json()
        assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "on call")
        assert admin.post("scheduled-jobs/nightly/enable", WHY).json()["enabled"] is True

    def test_monitors(self, admin: Program) -> None:
        monitor = Monitor.objects.create(name="backup", period=timedelta(days=1))
        listed = admin.get("monitors").json()["items"]
        assert [(one["name"], one["status"], one["period_seconds"]) for one in listed] == [("backup", "new", 86_400.0)]
        assert str(monitor.code) not in admin.get(f"monitors/{monitor.pk}").content.decode()
        assert admin.post(f"monitors/{monitor.pk}/pause", WHY).json()["status"] == "paused"
        assert admin.post(f"monitors/{monitor.pk}/resume", WHY).json()["status"] == "new"
        monitor.pings.create(kind="success", method="POST", body=b"copied \xff")
        (ping,) = admin.get(f"monitors/{monitor.pk}/pings").json()["items"]
        assert (ping["kind"], ping["text"]) == ("success", "copied \N{REPLACEMENT CHARACTER}")


def test_alerts(viewer: Program) -> None:
    alert = run_failed(seen={"error": "no space left"})
    (row,) = viewer.get("alerts", {"state": "open", "kind": "run_failed"}).json()["items"]
    assert (row["number"], row["state"], row["seen"]["error"]) == (alert.pk, "open", "no space left")
    assert viewer.get(f"alerts/{alert.pk}/events").json()["items"][0]["kind"] == "opened"
    assert viewer.get("alerts", {"state": "resolved"}).json()["items"] == []


def test_alerts_are_acknowledged_and_annotated(ops: Program, viewer: Program) -> None:
    here = f"alerts/{run_failed().pk}"
    until = (timezone.now() + timedelta(hours=2)).isoformat()
    assert viewer.post(f"{here}/acknowledge", {"until": until}).status_code == 403
    assert ops.post(f"{here}/acknowledge", {"until": until, "note": "on it"}).json()["state"] == "acknowledged"
    late = ops.post(f"{here}/acknowledge", {"until": "2020-01-01T00:00:00Z"})
    assert "has to be after now" in problem_of(late)["detail"]
    assert ops.post(f"{here}/notes", {"text": "the disk was full"}).status_code == 200
    assert ops.post(f"{here}/unacknowledge").json()["state"] == "open"
    assert "Nobody has acknowledged" in problem_of(ops.post(f"{here}/unacknowledge"))["detail"]
    kinds = [one["kind"] for one in ops.get(f"{here}/events").json()["items"]]
    assert [one for one in kinds if one != "told"] == ["opened", "acknowledged", "note", "unacknowledged"]


def test_the_audit_log_is_read(ops: Program, viewer: Program) -> None:
    job = make_job()
    ops.post(f"jobs/{job.pk}/cancel", WHY)
    for asked in ({"subject": f"job:{job.pk}"}, {"actor": "olga"}, {"trace_id": str(job.trace_id)}):
        entries = viewer.get("audit", asked).json()["items"]
        assert "job.cancelled" in {one["action"] for one in entries}, asked
    (entry,) = viewer.get("audit", {"action": "job.cancelled"}).json()["items"]
    assert (entry["reason"], entry["door"], entry["token"]) == ("on call", "api", ops.token.pk)
    assert problem_of(viewer.get("audit", {"trace_id": "nonsense"}))["status"] == 422
