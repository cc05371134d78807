"""One field for everything: ids in any shape, numbers, names; only what the person may see."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from monitoring.alerts.models import Alert
from monitoring.schedules.models import ScheduledJob
from opsconsole.access import Role
from opsconsole.models import User
from opsconsole.search import LONGEST, numbered
from sync.models import SkippedOrganization, SkipReason, StagedOrganization
from tests.company import Company, EstateWriter
from tests.monitoring.alerting import run_failed
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of, make_batch, make_drift

pytestmark = pytest.mark.django_db
pytest_plugins = ["tests.fixtures_sync"]


def found(text: str, client: Client | None = None) -> str:
    """Where a search goes, or the page of what it found."""
    answer = (client or client_of(Role.VIEWER)).get("/search/", {"q": text})
    return answer.headers.get("Location") or answer.content.decode()


@given(
    number=st.integers(1, 2**63 - 1), shape=st.sampled_from(["{}", "#{}", "job {}", "Job #{}", "jobs/{}/", "JOB:{}"])
)
def test_a_number_in_any_shape(number: int, shape: str) -> None:
    assert numbered(shape.format(number), "job") == (number,)


@pytest.mark.parametrize("text", ["", "0", "-1", "job", "batch 1", "1 2", str(2**63), "9" * 30, "1.5", "job 1; DROP"])
def test_what_is_no_number_of_a_job(text: str) -> None:
    assert numbered(text, "job") == ()


def test_a_single_exact_hit_is_opened(use_estate: EstateWriter) -> None:
    job, batch = make_job(), make_batch()
    assert found(f"job {job.pk}") == f"/sync/jobs/{job.pk}/"
    assert found(f"batch #{batch.pk}") == f"/sync/batches/{batch.pk}/"
    ScheduledJob.objects.create(name="nightly-sync", action="none", interval="1 day")
    assert found("nightly-sync") == "/schedules/jobs/nightly-sync/"
    assert "/schedules/jobs/nightly-sync/" in found("night")


@pytest.mark.parametrize("shape", ["{}", "'{}'", "{{{}}}", "id IN ('{}');", '["{}"]', " {},"])
def test_an_organization_in_any_shape(use_estate: EstateWriter, shape: str) -> None:
    key = str(uuid4())
    make_job(organization_id=key, organization_name="Acme")
    assert found(shape.format(key)) == f"/sync/jobs/?organization={key}"


def test_a_task_and_every_job_that_found_it(use_estate: EstateWriter) -> None:
    task, first, second = str(uuid4()), make_job(), make_job()
    make_drift(first, task_id=task)
    assert found(task) == f"/sync/jobs/{first.pk}/drift/?task={task}"
    make_drift(second, task_id=task)
    page = found(task)
    assert page.index(f"/sync/jobs/{second.pk}/drift/") < page.index(f"/sync/jobs/{first.pk}/drift/")


def test_an_id_that_nobody_has_met_can_be_compared_by_hand(use_estate: EstateWriter) -> None:
    key = str(uuid4())
    page = found(key.upper())
    assert f"/sync/by-hand/?organization={key}" in page
    assert f"/sync/by-hand/?ids={key}" in page
    assert key in found_page(f"/sync/by-hand/?ids={key}")


def test_ids_inside_of_a_link_that_the_estate_does_not_name_or_of_a_line_of_a_log(use_estate: EstateWriter) -> None:
    organization, task = str(uuid4()), str(uuid4())
    page = found(f"https://app.example.com/o/{organization}/tasks/{task.upper()}?tab=1")
    assert f"/sync/by-hand/?organization={organization}" in page
    assert f"/sync/by-hand/?ids={task}" in page
    job = make_job()
    make_drift(job, task_id=task)
    assert found(f"03:10 ERROR task={task}: stale") == f"/sync/jobs/{job.pk}/drift/?task={task}"
    assert "Nothing was found" in found(" and ".join(f"{uuid4()}" for _ in range(4)))


def test_a_customer_whom_no_job_has_met_is_found_by_name_in_the_source(
    company: Company, use_estate: EstateWriter
) -> None:
    key = company.organizations()[0]
    company.in_source("UPDATE organizations SET name = %s WHERE id = %s", "100% Quayside_Logistics", key)
    page = found("quayside_l")
    assert f"/sync/by-hand/?organization={key}" in page
    assert "100% Quayside_Logistics" in page
    assert "Nothing was found" in found("quaysideXl")
    make_job(organization_id=str(key), organization_name="100% Quayside_Logistics")
    assert f"/sync/by-hand/?organization={key}" not in found("quayside_l")


def found_page(address: str) -> str:
    return client_of(Role.VIEWER).get(address).content.decode()


def test_names_staged_and_skipped(use_estate: EstateWriter) -> None:
    staged, skipped = str(uuid4()), str(uuid4())
    StagedOrganization.objects.create(organization_id=staged, name="Borealis Ltd", staged_by="ada")
    SkippedOrganization.objects.create(organization_id=skipped, reason=SkipReason.LOOPED, skipped_by="ada")
    make_job(organization_name=HOSTILE)
    assert staged in found("boreal")
    assert "Staged by ada" in found(staged)
    assert "On the skip list" in found(skipped)
    assert "&lt;script&gt;alert(" in found("<script>")


def test_a_trace_is_the_chain_behind_it(use_estate: EstateWriter) -> None:
    batch = make_batch()
    assert found(str(batch.trace_id)) == f"/trace/?id={batch.trace_id}"


def test_an_alert_by_number_and_by_what_it_says(use_estate: EstateWriter) -> None:
    run_failed(title="The export of invoices failed")
    alert = Alert.objects.get()
    assert found(f"alert {alert.pk}") == f"/alerts/{alert.pk}/"
    assert f"/alerts/{alert.pk}/" in found("invoices")


def test_a_page_by_its_name(use_estate: EstateWriter) -> None:
    assert "/pipeline/lag/" in found("lag")


def test_only_what_the_person_may_see(use_estate: EstateWriter) -> None:
    job = make_job(organization_name="Acme")
    group = Group.objects.create(name="alerts only")
    codenames = ("use_console", "view_alerts")
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    someone = User.objects.create_user("someone", "", "a long pass phrase")
    someone.groups.add(group)
    client = Client()
    client.force_login(someone)
    assert "Nothing was found" in found(f"job {job.pk}", client)
    assert "Nothing was found" in found("Acme", client)


def test_too_much_is_refused_in_a_sentence_and_nothing_asks_for_much(
    use_estate: EstateWriter, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    client = client_of(Role.VIEWER)
    answer = client.get("/search/", {"q": "x" * (LONGEST + 1)})
    assert answer.status_code == 400
    assert "2,000 are looked for" in answer.content.decode()
    key = str(uuid4())
    make_job(organization_id=key)
    for text in ("", "12", "acme", key):
        with django_assert_max_num_queries(MOST_QUERIES + 8):  # type: ignore[operator]
            client.get("/search/", {"q": text})
