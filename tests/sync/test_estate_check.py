"""`manage.py estate check`: what it says of an estate that fits, and of one that does not."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.processes import wait_until
from opsconsole.estate.model import Estate, Index, IndexAdapter, Kafka, OrganizationTable, ScheduledJob, TaskTable
from opsconsole.estate.model import Source as SourceSettings
from opsconsole.keys import KeyKind
from sync.estate_check.catalog import IndexFacts, TableFacts, Visibility, last_updates, scans
from sync.estate_check.judge import judge_visibility, judge_walk_index, judge_window_index
from sync.estate_check.result import Result, Status
from sync.estate_check.stores import check_source
from sync.estate_check.systems import check_estate, judge_clocks, judge_retention
from sync.source import Source
from tests.sync.stores import Store, estate_of, temporary_store

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """kafka-python leaves sockets of refused connections to the garbage collector: here, not in another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def store(servers: ServerAddresses) -> Iterator[Store]:
    with temporary_store(servers.admin_url) as created:
        created.run("CREATE TABLE organizations (id uuid PRIMARY KEY, name text)")
        created.run(
            "CREATE TABLE tasks (id uuid PRIMARY KEY, organization_id uuid,"
            " status text, title text, updated_at timestamptz)"
        )
        created.run("CREATE INDEX ON tasks (organization_id, id) INCLUDE (status, title, updated_at)")
        created.run("CREATE INDEX ON tasks (updated_at, organization_id)")
        created.run('CREATE TABLE "Indexed" ("taskId" text PRIMARY KEY, "orgId" uuid, status text, title text)')
        yield created


@pytest.fixture
def estate(store: Store, servers: ServerAddresses) -> Estate:
    tasks = TaskTable(
        store.table("tasks"), organization="organization_id", compare=("status", "title"), deleted="status = 'x%'"
    )
    source = SourceSettings(store.url, OrganizationTable(store.table("organizations")), tasks)
    index = Index(IndexAdapter.POSTGRES, store.url, store.table("Indexed"), id="taskId", organization="orgId")
    kafka = Kafka(tuple(servers.kafka_bootstrap.split(",")), "task-updates", "task-indexer", api_version=(2, 3))
    return estate_of(source, index, kafka)


def found(estate: Estate, servers: ServerAddresses) -> dict[str, Result]:
    return {result.name: result for result in check_estate(estate, servers.redis_url)}


def test_an_estate_that_fits(estate: Estate, servers: ServerAddresses) -> None:
    results = found(estate, servers)
    problems = [result for result in results.values() if result.status is Status.PROBLEM]
    assert problems == []
    assert "PostgreSQL 1" in results["source"].sentence
    assert "title text" in results["source tasks"].sentence
    assert results["source walk"].status is Status.OK
    assert results["source window"].status is Status.OK
    assert results["source tasks.deleted"].status is Status.OK
    assert results["source role"].status is Status.WARNING  # the test's role is a superuser
    assert results["index task key"].status is Status.WARNING  # UUIDs as text
    assert 'CREATE INDEX CONCURRENTLY ON "Test Store' in results["index walk"].sentence
    assert '("orgId", "taskId" COLLATE "C") INCLUDE (status, title);' in results["index walk"].sentence
    assert "4 partitions" in results["kafka topic"].sentence
    assert results["redis"].status is Status.OK
    assert results["console database"].status is Status.OK
    assert results["clocks"].status is Status.OK


def test_every_mistake_of_a_schema_is_told(estate: Estate, servers: ServerAddresses) -> None:
    tasks = replace(estate.source.tasks, compare=("statuss", "title", "Titel"), deleted="nonsense(")
    source = replace(estate.source, tasks=tasks, organizations=replace(estate.source.organizations, table="nowhere"))
    index = replace(estate.index, organization="status")
    results = found(replace(estate, source=source, index=index), servers)
    assert "'statuss' is not in it (nearest: 'status')" in results["source tasks"].sentence
    assert "'Titel' is not in it (nearest: 'title')" in results["source tasks"].sentence
    assert "no table nowhere" in results["source organizations"].sentence
    assert "statuss" in results["index tasks"].sentence


def test_a_condition_and_a_key_type_that_do_not_work(estate: Estate, servers: ServerAddresses) -> None:
    tasks = replace(estate.source.tasks, deleted="no_such_column", id_type=KeyKind.INTEGER)
    results = found(replace(estate, source=replace(estate.source, tasks=tasks)), servers)
    assert results["source tasks.deleted"].status is Status.PROBLEM
    assert "no_such_column" in results["source tasks.deleted"].sentence
    assert "is uuid, but id_type is 'integer'; 'uuid' would fit" in results["source task key"].sentence


def test_absent_systems_do_not_hide_each_other(estate: Estate) -> None:
    nowhere = "postgresql://someone:hunter2@127.0.0.1:1/nowhere"
    broken = Estate(
        replace(estate.source, url=nowhere),
        Index(IndexAdapter.HTTP, "http://127.0.0.1:1/tasks", timeout=0.5),
        replace(estate.kafka, bootstrap_servers=("127.0.0.1:1",)),
    )
    results = {result.name: result for result in check_estate(broken, "redis://:hunter2@127.0.0.1:1/0")}
    for name in ("source", "index", "kafka", "redis"):
        assert results[name].status is Status.PROBLEM, results[name]
        assert "hunter2" not in results[name].sentence
    assert results["console database"].status is Status.OK


def facts(*indexes: IndexFacts, type_name: str = "uuid") -> TableFacts:
    return TableFacts({"id": type_name, "org": "uuid", "at": "timestamptz"}, indexes, 1, True, False, False)


def test_an_index_of_another_collation_does_not_order_by_bytes() -> None:
    keys = ("org", "id")
    by_language = facts(IndexFacts(keys, ("", "default")), type_name="text")
    by_bytes = facts(IndexFacts(keys, ("", "C")), type_name="text")
    assert judge_walk_index("walk", "t", keys, (), by_language).status is Status.WARNING
    assert judge_walk_index("walk", "t", keys, (), by_bytes).status is Status.OK


AT_ONLY, WINDOW = IndexFacts(("at",), ("",)), ("at", "org")
SERVING, COVERING = IndexFacts(WINDOW, ("", "")), IndexFacts(WINDOW, ("", ""), ("state",))
STATEMENT = 'CREATE INDEX CONCURRENTLY ON crm."My Tasks" (at, org) INCLUDE (state);'


@pytest.mark.parametrize(
    ("index", "scans", "status", "sentence"),
    [
        (AT_ONLY, (), Status.WARNING, f"each window reads the whole table. Run: {STATEMENT}"),
        (AT_ONLY, ("Parallel Seq Scan",), Status.WARNING, f"(its plan: Parallel Seq Scan). Run: {STATEMENT}"),
        (AT_ONLY, ("Bitmap Heap Scan",), Status.OK, f"and from the table; several times faster with: {STATEMENT}"),
        (SERVING, ("Index Scan",), Status.OK, f"with state in it the table is not read: {STATEMENT}"),
        (COVERING, ("Index Only Scan",), Status.OK, "finds the organizations of a window by itself."),
        (SERVING, ("Seq Scan",), Status.WARNING, 'Run: ANALYZE crm."My Tasks";'),
    ],
)
def test_windows_by_index_and_plan(index: IndexFacts, scans: tuple[str, ...], status: Status, sentence: str) -> None:
    known = replace(facts(index), rows=1_000_000)
    result = judge_window_index("window", "crm.My Tasks", WINDOW, "state", known, scans)
    assert result.status is status
    assert result.sentence.endswith(sentence)


@pytest.mark.parametrize(
    ("pages", "visible", "changed", "status"),
    [
        (0, 0, 0, Status.OK),
        (999, 0, 0, Status.OK),
        (10_000, 9_500, 400, Status.OK),
        (10_000, 9_500, 600, Status.WARNING),
        (10_000, 2_000, 0, Status.WARNING),
    ],
)
def test_a_table_that_wants_a_vacuum(pages: int, visible: int, changed: int, status: Status) -> None:
    known = replace(facts(), visibility=Visibility(pages, visible, changed))
    result = judge_visibility("vacuum", "crm.My Tasks", known)
    assert result.status is status
    assert ('Run: VACUUM (ANALYZE) crm."My Tasks";' in result.sentence) == (status is Status.WARNING)


def test_the_plan_of_a_window_before_and_after_its_index(servers: ServerAddresses) -> None:
    """Told by the planner, on a table with statistics."""
    with temporary_store(servers.admin_url) as made:
        made.run("CREATE TABLE organizations (id uuid PRIMARY KEY, name text)")
        made.run(
            "CREATE TABLE tasks AS SELECT gen_random_uuid() AS id, gen_random_uuid() AS organization_id,"
            " 'open' AS status, 'A title' AS title, '2026-01-01'::timestamptz + n * interval '1 min' AS updated_at"
            " FROM generate_series(1, 20000) n"
        )
        made.run("ANALYZE tasks")
        tasks = TaskTable(made.table("tasks"), organization="organization_id", compare=("status", "title"))
        source = SourceSettings(made.url, OrganizationTable(made.table("organizations")), tasks)
        index = Index(IndexAdapter.POSTGRES, made.url, made.table("tasks"))
        estate = estate_of(source, index, Kafka(("127.0.0.1:1",), "t", "g"))
        with Source(source) as opened:
            before = {result.name: result for result in check_source(estate, opened)}
        assert "whole table (its plan: Seq Scan). Run: CREATE INDEX" in before["source window"].sentence
        statement = before["source window"].sentence.rpartition("Run: ")[2]
        made.run(statement.replace(" CONCURRENTLY", ""))
        with Source(source) as opened:

            def read_by_index_alone() -> bool:
                made.run("VACUUM ANALYZE tasks")  # marks nothing visible while anybody has an older snapshot
                window = last_updates(opened.database, tasks.table, "updated_at")
                assert window is not None
                return list(scans(opened.affected_plan(window), tasks.table)) == ["Index Only Scan"]

            assert wait_until(read_by_index_alone, 20)
            after = {result.name: result for result in check_source(estate, opened)}
        assert after["source window"].status is Status.OK
        assert "rows changed since the last vacuum" in after["source vacuum"].sentence


def test_clocks_that_differ() -> None:
    result = judge_clocks({"source": timedelta(seconds=-3), "index": timedelta(seconds=1)})
    assert result.status is Status.WARNING
    assert "Index is 4.0 s ahead of source" in result.sentence


def run_command(*arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    status: Any = 0
    with redirect_stdout(output):
        try:
            call_command("estate", *arguments, stdout=output, stderr=io.StringIO())
        except SystemExit as end:
            status = end.code
    return status, output.getvalue()


def test_the_command_ends_with_2_for_a_bad_file(servers: ServerAddresses, settings: Any, tmp_path: Path) -> None:
    settings.ESTATE = str(tmp_path / "nowhere.toml")
    status, output = run_command("check", "--json")
    assert status == 2
    assert "There is no estate file" in json.loads(output)["error"]


def test_the_command_ends_with_1_for_a_problem(servers: ServerAddresses, settings: Any, tmp_path: Path) -> None:
    text = Path(settings.ESTATE).read_text(encoding="utf-8").replace('table = "organizations"', 'table = "nowhere"')
    (tmp_path / "estate.toml").write_text(text, encoding="utf-8")
    settings.ESTATE = str(tmp_path / "estate.toml")
    status, output = run_command("check", "--json")
    results = json.loads(output.splitlines()[-1])["results"]
    assert status == 1
    assert {"name": "source organizations", "status": "problem"}.items() <= next(
        one for one in results if one["name"] == "source organizations"
    ).items()


def test_an_estate_in_which_nothing_prunes_is_told_so(estate: Estate) -> None:
    pulse, nightly = ScheduledJob("pulse", operation="check_estate"), ScheduledJob("nightly", operation="prune")
    assert judge_retention(replace(estate, scheduled_jobs=(pulse,))).status is Status.WARNING
    found = judge_retention(replace(estate, scheduled_jobs=(pulse, nightly)))
    assert (found.status, found.sentence) == (Status.OK, "nightly clears away what is older than the settings keep.")
