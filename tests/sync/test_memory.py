"""A check under a hard limit of address space, just above what a small one needs, on an organization far beyond it.

The limit is what a check of a small organization takes, and a margin. The large organization, held the naive way (both
sides as dictionaries), would take forty times that margin, so memory can depend on nothing but the chunk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from django.db import connection
from pytest_django import Settings

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.sizes import Band, Layout, make_company
from opsconsole.demo.spread import spread_drift
from sync.source import open_source
from tests.company import Company, EstateWriter, at_database, create_company_databases, drop_company_databases

pytest_plugins = ["tests.fixtures_sync"]

BASE = Path(__file__).resolve().parents[2]
MIB = 2**20
MARGIN = 28 * MIB
TIMES = 40
SMALL, LARGE = 64_000, 680_000  # both walked in packed chunks
SAMPLE = 5_000
OUT_OF_MEMORY = 77
ARENA = {"MALLOC_ARENA_MAX": "1"}  # else each thread reserves address space that it never uses, and hides what is used

# Runs manage.py with the arguments that follow the limit in bytes (0: none), and tells the peak of its address space.
LIMITED = """
import resource, runpy, sys
sys.argv.pop(0)
limit = int(sys.argv.pop(0))
if limit:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print("VmPeak", int(status["VmPeak"].split()[0]) * 1024, file=sys.stderr)
"""
# What the console's forerunner did: all of both sides in dictionaries.
NAIVE = """
import os, resource, sys, psycopg
limit, organization = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sides = []
try:
    for name in ("SOURCE_DATABASE_URL", "INDEX_DATABASE_URL"):
        with psycopg.connect(os.environ[name]) as database, database.cursor(name="all") as cursor:
            cursor.execute(
                "SELECT id, status, title, assignee_id, due_at FROM tasks WHERE organization_id = %s", [organization]
            )
            sides.append({row[0]: row for row in cursor})
except (MemoryError, psycopg.Error) as error:
    sys.exit(77 if isinstance(error, MemoryError) or "memory" in str(error) else 1)
"""


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout((Band(1, LARGE), Band(1, SMALL)), compared=("status",), wide=10)


@pytest.fixture(scope="module")
def large_company(servers: ServerAddresses, layout: Layout) -> Iterator[Company]:
    company = create_company_databases(servers, "memory")
    make_company(company.source_owner_url, company.index_owner_url, layout)
    yield company
    drop_company_databases(servers, "memory")


@pytest.fixture
def company(large_company: Company) -> Company:
    """In the place of the small company that estates name otherwise."""
    return large_company


def run_limited(limit: int, *arguments: str) -> tuple[dict[str, object], int]:
    """The command's answer and the peak of its address space in bytes. It must succeed."""
    program = (sys.executable, "-c", LIMITED, str(limit), str(BASE / "manage.py"))
    done = subprocess.run(
        [*program, *arguments, "--json"], check=False, capture_output=True, text=True, cwd=BASE, env=os.environ | ARENA
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    peak = next(line for line in done.stderr.splitlines() if line.startswith("VmPeak"))
    return answer, int(peak.split()[1])


def naive_bytes_of_a_task(organization: UUID) -> float:
    """What one task takes where both sides are dictionaries of rows by key."""
    with open_source() as source:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            sides = [{row.key: row for row in source.page(organization, None, SAMPLE)} for _ in range(2)]
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return (after - before) / len(sides[0])


def living_tasks(company: Company, organization: UUID) -> int:
    query = "SELECT count(*) FROM tasks WHERE organization_id = %s AND deleted_at IS NULL"
    return int(company.in_source(query, organization)[0][0])


@pytest.fixture
def processes(use_estate: EstateWriter, committed: None, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Child processes find the test's estate and its console."""
    name = connection.settings_dict["NAME"]
    monkeypatch.setenv("OPSCONSOLE_ESTATE", settings.ESTATE)
    monkeypatch.setenv("DATABASE_URL", at_database(os.environ["DATABASE_URL"], name))


@pytest.mark.usefixtures("processes")
def test_a_check_fits_where_its_organization_would_not_forty_times_over(company: Company, layout: Layout) -> None:
    large, small = layout.organization(0), layout.organization(1)
    drift = spread_drift(company.source_owner_url, company.index_owner_url, large, 0.001)
    assert naive_bytes_of_a_task(small) * LARGE >= TIMES * MARGIN
    _, needed = run_limited(0, "check_org", str(small))
    limit = needed + MARGIN
    answer, _ = run_limited(limit, "check_org", str(large))
    assert (answer["state"], answer["scanned"]) == ("done", living_tasks(company, large))
    assert sum(int(str(answer[kind])) for kind in ("stale", "missing", "orphan")) == drift > 0
    naive = subprocess.run((sys.executable, "-c", NAIVE, str(limit), str(large)), check=False, env=os.environ | ARENA)
    assert naive.returncode == OUT_OF_MEMORY, "the limit limits nothing"
