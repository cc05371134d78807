"""`/metrics`: who may read it, that its text is right, what it counts, and that its labels are bounded."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from monitoring.pipeline import samples
from monitoring.pipeline.models import CanaryRound, WorkerBeat
from opsconsole import metrics
from opsconsole.access import Role
from opsconsole.metrics_page import in_networks
from sync.models import Job, JobState, Tally
from sync.operations.tallies import gather_tallies, totals
from tests.api.callers import problem_of, program, token_of
from tests.monitoring.alerting import run_failed
from tests.sync.jobs import claim, make_job
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queue")]

PROMTOOL = shutil.which("promtool")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    metrics.page.forget()
    yield
    metrics.page.forget()


def text(settings: Settings) -> str:
    settings.METRICS_NETWORKS = ["127.0.0.0/8"]
    metrics.page.forget()
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    return answer.content.decode()


def samples_of(page: str) -> dict[tuple[str, ...], float]:
    """Value by name and values of labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_it_is_read_with_a_token_or_from_a_network_that_is_named(settings: Settings) -> None:
    reading, other = program(Role.VIEWER), token_of(person("olga", Role.OPERATOR), ("sync.view_job",))
    assert problem_of(Client().get("/metrics"))["status"] == 401
    allowed = Client().get("/metrics", headers={"authorization": f"Bearer {reading.secret}"})
    refused = Client().get("/metrics", headers={"authorization": f"Bearer {other.secret}"})
    assert (allowed.status_code, problem_of(refused)["status"]) == (200, 403)
    settings.METRICS_NETWORKS = ["10.1.0.0/16", "::1"]
    assert Client(REMOTE_ADDR="10.1.2.3").get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="10.2.2.3").get("/metrics").status_code == 401
    assert in_networks("::1", settings.METRICS_NETWORKS)
    assert not in_networks("", settings.METRICS_NETWORKS)


def test_it_tells_how_things_stand(settings: Settings, queue: redis.Redis) -> None:
    now = timezone.now()
    make_job()
    make_job(state=JobState.FAILED)
    WorkerBeat.objects.create(name="one", host="ops-1", space="", pid=1, identity="", queues=["default"])
    samples.keep("lag", now, {"lag": 42})
    CanaryRound.objects.create(at=now - timedelta(minutes=3), seconds=0.1, compared=100, stale=7)
    run_failed()
    found = samples_of(text(settings))
    assert found["opsconsole_jobs", "queued"] == 1
    assert found["opsconsole_jobs", "failed"] == 1
    assert found["opsconsole_workers", "idle"] == 1
    assert found["opsconsole_queue_messages", "default"] == 0
    assert found[("opsconsole_consumer_lag_messages",)] == 42
    assert found[("opsconsole_canary_differing_tasks",)] == 7
    assert 180 <= found[("opsconsole_canary_round_age_seconds",)] < 240
    assert sum(value for name, value in found.items() if name[0] == "opsconsole_alerts_open") == 1
    assert found[("opsconsole_notification_overdue_seconds",)] >= 0
    readable = {name[1]: value for name, value in found.items() if name[0] == "opsconsole_metrics_readable"}
    assert set(readable.values()) == {1.0}
    assert {"jobs", "repairs", "queues", "workers", "consumer", "canary", "alerts", "schedules", "clock"} <= set(
        readable
    )


def test_without_redis_the_rest_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(django_settings.RQ_QUEUES["high"], "URL", "redis://127.0.0.1:1/0")
    found = samples_of(text(settings))
    assert found["opsconsole_metrics_readable", "queues"] == 0
    assert found["opsconsole_metrics_readable", "jobs"] == 1
    assert ("opsconsole_jobs", "queued") in found


def test_no_label_is_made_of_what_people_or_programs_send(settings: Settings) -> None:
    for path in ("/nothing/here/42", "/api/v1/jobs/42", "/sync/jobs/", "/"):
        Client().get(path)
        Client().generic("PROPFIND", path)
    before = {name for name in samples_of(text(settings)) if "http_request" in name[0]}
    for number in range(20):
        Client().get(f"/nothing/{number}")
        Client().generic(f"MADEUP{number}", f"/api/v1/{number}")
    after = {name for name in samples_of(text(settings)) if "http_request" in name[0]}
    assert after == before
    assert ("opsconsole_http_request_duration_seconds_count", "GET", "api", "4xx") in after


def test_counters_follow_jobs_and_never_fall(settings: Settings) -> None:
    job, _ = claim(make_job())
    Job.objects.filter(pk=job.pk).update(scanned=100, stale=3, published=3)
    Job.objects.filter(pk=job.pk).update(scanned=150, verified=2)
    assert (totals()["scanned"], totals()["stale"], totals()["verified"]) == (150, 3, 2)
    Job.objects.filter(pk=job.pk).update(scanned=0)
    Job.objects.filter(pk=job.pk).delete()
    found = samples_of(text(settings))
    assert found[("opsconsole_tasks_checked_total",)] == 150
    assert found["opsconsole_drift_found_total", "stale"] == 3
    assert found[("opsconsole_drift_repaired_total",)] == 2


def test_totals_of_connections_that_are_gone_are_kept_in_one_row() -> None:
    Tally.objects.bulk_create([Tally(backend=2_000_000_000 + number, scanned=10) for number in range(5)])
    job = make_job()
    Job.objects.filter(pk=job.pk).update(scanned=7)
    for _ in range(2):
        gather_tallies()
        assert totals()["scanned"] == 57
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    assert set(Tally.objects.values_list("pk", "scanned")) == {(0, 50), (own, 7)}


def test_it_is_made_once_in_some_seconds_and_by_bounded_queries(
    settings: Settings, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    text(settings)
    for _ in range(30):
        make_job()
    with django_assert_max_num_queries(60) as made:
        text(settings)
    assert all("LIMIT" in query["sql"] or "COUNT(" not in query["sql"] for query in made.captured_queries)
    with django_assert_max_num_queries(0):
        Client().get("/metrics")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on the path (Debian: prometheus)")
def test_promtool_finds_nothing_to_say(settings: Settings) -> None:
    run_failed()
    page = text(settings)
    assert PROMTOOL is not None
    judged = subprocess.run([PROMTOOL, "check", "metrics"], input=page.encode(), capture_output=True, check=False)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b"")


def test_rules_and_dashboard_ask_for_what_there_is_and_the_docs_have_all_of_it(settings: Settings) -> None:
    docs = Path(django_settings.BASE_DIR) / "docs"
    Client().get("/livez")
    known = {sample[0] for sample in samples_of(text(settings))} | {
        family.name for family in text_string_to_metric_families(text(settings))
    }
    for name in ("alerts.yml", "grafana.json"):
        asked = set(re.findall(r"opsconsole_[a-z_]+", (docs / "prometheus" / name).read_text(encoding="utf-8")))
        assert asked
        assert asked - known == set(), name
    page = (docs / "observability.md").read_text(encoding="utf-8")
    families = {family.name for family in text_string_to_metric_families(text(settings))}
    assert [name for name in families if f"`{name}" not in page] == []


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on the path (Debian: prometheus)")
def test_promtool_takes_the_example_rules() -> None:
    assert PROMTOOL is not None
    rules = Path(django_settings.BASE_DIR) / "docs" / "prometheus" / "alerts.yml"
    judged = subprocess.run([PROMTOOL, "check", "rules", str(rules)], capture_output=True, check=False)
    assert judged.returncode == 0, judged.stderr.decode()


def test_names_follow_the_conventions(settings: Settings) -> None:
    families = list(text_string_to_metric_families(text(settings)))
    assert len(families) > 20
    assert all(one.documentation.endswith(".") for one in families)
    assert all(one.name.startswith("opsconsole_") for one in families)
    for one in families:
        assert one.type in ("counter", "gauge", "histogram"), one.name
        assert ("seconds" in one.name) or not one.name.endswith(("_ms", "_minutes")), one.name
