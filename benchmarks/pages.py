"""Every list of sync with 100,000 jobs and 1,000,000 drift rows: the last page against the first one. A tenth of the
jobs where it must be quick.

No page may ask more than 12 queries: one that does ends the benchmark.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import django

from benchmarks.measurement import Goal, Measurement, is_quick, seconds
from opsconsole.demo.estate_file import write_estate
from opsconsole.demo.servers import EmbeddedServers

if TYPE_CHECKING:
    from django.test import Client

    from benchmarks.large_console import Filled

MOST_QUERIES = 12
ROUNDS = 2 if is_quick() else 7
GOAL = Goal(1.5)
PAGE = 50


def measure() -> list[Measurement]:
    with _console() as (client, filled):
        return [_compare(client, name, first, last) for name, first, last in pages(filled)]


def pages(filled: Filled) -> Iterator[tuple[str, str, str]]:
    """Name, address of the first page, address of the last page, for each list."""
    from sync.models import AffectedRow, Batch, Drift, Job, QueryRun, SkippedOrganization, StagedOrganization

    jobs = Job.objects.all()
    listed = {
        "jobs": ("/sync/jobs/", {}, jobs),
        "jobs, failed": ("/sync/jobs/", {"state": "failed"}, jobs.filter(state="failed")),
        "jobs of one worker": ("/sync/jobs/", {"worker": filled.worker}, jobs.filter(worker=filled.worker)),
        "jobs with one error": (
            "/sync/jobs/",
            {"error": filled.fingerprint},
            jobs.filter(error_fingerprint=filled.fingerprint),
        ),
        "jobs of one batch": (f"/sync/batches/{filled.batch}/", {}, jobs.filter(batch=filled.batch)),
        "batches": ("/sync/batches/", {}, Batch.objects.all()),
        "drift of one job": (f"/sync/jobs/{filled.job}/drift/", {}, Drift.objects.filter(job=filled.job)),
        "drift of one job, orphans": (
            f"/sync/jobs/{filled.job}/drift/",
            {"kind": "orphan"},
            Drift.objects.filter(job=filled.job, kind="orphan"),
        ),
        "runs of queries": ("/sync/affected/runs/", {}, QueryRun.objects.all()),
    }
    for name, (path, asked, rows) in listed.items():
        before_last = rows.order_by("pk").values_list("pk", flat=True)[PAGE]
        yield name, _address(path, asked), _address(path, asked | {"cursor": _cursor("-id", str(before_last))})
    staged = StagedOrganization.objects.order_by("-staged_at", "-pk")[PAGE]
    cursor = _cursor("staged_at,organization_id", staged.staged_at.isoformat(), staged.pk)
    yield "staged organizations", "/sync/staged/", _address("/sync/staged/", {"cursor": cursor})
    skipped = SkippedOrganization.objects.order_by("skipped_at", "pk")[PAGE]
    cursor = _cursor("closed,-skipped_at,-id", "0", skipped.skipped_at.isoformat(), str(skipped.pk))
    yield "skip list", "/sync/skipped/", _address("/sync/skipped/", {"cursor": cursor})
    run = f"/sync/affected/runs/{filled.run}/"
    row = AffectedRow.objects.filter(run=filled.run).order_by("updated", "pk")[PAGE]
    cursor = _cursor("-updated,-id", str(row.updated), str(row.pk))
    yield "result of a query", run, _address(run, {"cursor": cursor})
    organization = {"organization": filled.organization}
    yield "one customer, and all jobs", "/sync/jobs/", _address("/sync/jobs/", organization)
    yield "same errors, and all jobs", "/sync/jobs/", "/sync/jobs/errors/"
    yield "job with most drift, and all jobs", "/sync/jobs/", f"/sync/jobs/{filled.job}/"


def _address(path: str, asked: dict[str, str]) -> str:
    return f"{path}?{urlencode(asked)}" if asked else path


def _cursor(ordering: str, *values: str) -> str:
    """As `opsconsole.keyset` writes it: the ordering, forward, and the row that the page begins after."""
    content = json.dumps([ordering, 0, list(values)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _compare(client: Client, name: str, first: str, last: str) -> Measurement:
    """In turns, the fastest of each: what a busy machine does to a page only ever makes it slower."""
    for address in (first, last):
        require_few_queries(client, address)
    rounds = [(seconds(lambda: client.get(last)), seconds(lambda: client.get(first))) for _ in range(ROUNDS)]
    ours, bound = map(min, zip(*rounds, strict=True))
    return Measurement(f"pages: {name}: last, first", ours, bound, GOAL)


def require_few_queries(client: Client, address: str) -> int:
    """How many queries a page asks. It must answer, and ask no more than 12."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        response = client.get(address)
    assert response.status_code == 200, f"{address} answered {response.status_code}"
    assert len(asked) <= MOST_QUERIES, f"{address} asked {len(asked)} queries; allowed are {MOST_QUERIES}"
    return len(asked)


@contextmanager
def _console() -> Iterator[tuple[Client, Filled]]:
    """A large console on embedded servers, and somebody logged in who may do everything an operator may."""
    with (
        tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder,
        EmbeddedServers(Path(folder), fsync=False) as servers,
    ):
        os.environ.update(servers.addresses.environment())
        os.environ["OPSCONSOLE_ESTATE"] = str(write_estate(servers.folder, servers.addresses.kafka_api_version))
        os.environ.setdefault("OPSCONSOLE_ENVIRONMENT", "development")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
        django.setup()
        yield _filled()
        from django.db import connections

        connections.close_all()


def _filled() -> tuple[Client, Filled]:
    from django.contrib.auth.models import Group
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import setup_test_environment

    from benchmarks.large_console import QUICK, Size, fill
    from opsconsole.models import User

    setup_test_environment()
    call_command("migrate", verbosity=0)
    filled = fill(QUICK if is_quick() else Size())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    person = User.objects.create_user("ada", "", "a long pass phrase")
    person.groups.add(Group.objects.get(name="operator"))
    client = Client()
    client.force_login(person)
    return client, filled
