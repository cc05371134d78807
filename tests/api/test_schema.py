"""Schemathesis over every route, as each role: no mistake of ours, and no answer outside the document."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import count
from typing import Any, cast
from uuid import uuid4

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as bounded
from pytest_django import Settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from monitoring.pipeline.models import CanaryRound
from monitoring.schedules.models import Monitor, Run, RunEvent
from opsconsole.access import ROLE_ORDER, Role
from opsconsole.api import site
from opsconsole.api.routes import declared
from sync.models import SkippedOrganization, SkipReason
from tests.api.callers import program
from tests.company import EstateWriter
from tests.monitoring.alerting import run_failed
from tests.monitoring.scheduled import make_scheduled_job
from tests.sync.batches import stage
from tests.web.sync_rows import HOSTILE, make_batch, make_full_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

EXAMPLES = 5
"""For each route and role: some 1,200 calls, which take half of the minute that they may."""


def no_mistake_of_ours(context: object, response: Any, case: object) -> None:
    """A system outside may be away (502, 503); the console itself may not fail."""
    assert response.status_code != 500, response.text


CHECKS = [
    no_mistake_of_ours,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def numbers(use_estate: EstateWriter, queue: object, settings: Settings) -> dict[str, int]:
    """Rows of every kind, with the worst that people and machines write; their numbers by the word of the address."""
    settings.API_CALLS_PER_MINUTE = 1_000_000
    stage(3)
    SkippedOrganization.objects.put_on({str(uuid4()): HOSTILE}, SkipReason.OTHER, HOSTILE, HOSTILE)
    job = make_full_job(error="\x1b[31m \N{RIGHT-TO-LEFT OVERRIDE}" + HOSTILE)
    batch = make_batch(name=HOSTILE, tags=["=1+1"])
    scheduled = make_scheduled_job("nightly-check", description=HOSTILE)
    run = Run.objects.create(scheduled_job=scheduled, due_at=timezone.now(), trace_id=uuid4())
    RunEvent.objects.create(run=run, message=HOSTILE)
    monitor = Monitor.objects.create(name="backup", period=timedelta(days=1))
    monitor.pings.create(kind="success", method="POST", body=b"\x00\xff" + HOSTILE.encode())
    CanaryRound.objects.create(at=timezone.now(), seconds=0.1, compared=100, stale=7, tasks=[HOSTILE])
    alert = run_failed(title=HOSTILE, seen={"error": HOSTILE})
    return {
        "jobs": job.pk,
        "batches": batch.pk,
        "scheduled-runs": run.pk,
        "monitors": monitor.pk,
        "alerts": alert.pk,
    }


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Between requests Django closes a connection that is in a transaction; here that is the test's own."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def aim(case: Any, numbers: dict[str, int], turn: int) -> None:
    """Every second call is for a row that is there: a number made up hardly ever is one."""
    group = case.path.removeprefix(site.ROOT).partition("/")[0]
    if turn % 2 and case.path_parameters and "number" in case.path_parameters and group in numbers:
        case.path_parameters["number"] = numbers[group]


@pytest.mark.parametrize("role", ROLE_ORDER)
def test_no_answer_is_outside_the_document(role: Role, numbers: dict[str, int]) -> None:
    secret, turns = program(role).secret, count()
    schema = schemathesis.openapi.from_dict(deepcopy(site.document()))  # it writes into what it is given
    schema.app = get_wsgi_application()
    operations = [cast(Any, found).ok() for found in schema.get_all_operations()]
    assert len(operations) == sum(len(routes.routes) for routes in declared())
    for operation in operations:

        @seed(7)
        @bounded(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            aim(case, numbers, next(turns))
            case.call_and_validate(headers={"Authorization": f"Bearer {secret}"}, checks=CHECKS)

        call()
