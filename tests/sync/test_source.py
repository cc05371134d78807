"""The source on a schema that nobody here designed, and its questions about organizations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate.model import OrganizationTable, TaskTable
from opsconsole.estate.model import Source as SourceSettings
from opsconsole.keys import KeyKind
from opsconsole.postgres import LATEST
from sync.engine.values import to_json
from sync.source import AffectedOrganization, Source
from tests.sync.stores import Store, temporary_store

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture(scope="module")
def store(servers: ServerAddresses) -> Iterator[Store]:
    with temporary_store(servers.admin_url) as created:
        created.run("CREATE TYPE state AS ENUM ('offen', 'fertig')")
        created.run('CREATE TABLE "Accounts" ("accountNo" bigint PRIMARY KEY, "Label" text, closed boolean)')
        created.run(
            'CREATE TABLE "To Do" ("taskNo" bigint PRIMARY KEY, "accountNo" bigint, "State" state, "due%" date,'
            ' "Changed At" timestamptz, gone boolean, kind text)'
        )
        for number, label, closed in [(1, "One", False), (2, None, False), (3, "Three", True), (-4, "Minus", None)]:
            created.insert("Accounts", {"accountNo": number, "Label": label, "closed": closed})
        tasks = [
            (10, 1, "offen", at(0), False, "task"),
            (9, 1, "fertig", at(5), None, "task"),
            (100, 1, "fertig", at(10), True, "task"),
            (11, 2, "fertig", at(7.5), False, "task"),
            (12, 3, "fertig", at(7.5), False, "task"),
            (13, -4, "offen", at(9), False, "50%;".rstrip(";")),
            (14, None, "offen", at(6), False, "task"),
            (15, 1, "offen", at(1), False, "note"),
        ]
        for key, account, state, changed, gone, kind in tasks:
            created.insert(
                "To Do",
                {
                    "taskNo": key,
                    "accountNo": account,
                    "State": state,
                    "Changed At": changed,
                    "gone": gone,
                    "kind": kind,
                },
            )
        yield created


@pytest.fixture(scope="module")
def settings(store: Store) -> SourceSettings:
    return SourceSettings(
        url=store.url,
        organizations=OrganizationTable(
            store.table("Accounts"), id="accountNo", name="Label", id_type=KeyKind.INTEGER, where="closed IS NOT TRUE"
        ),
        tasks=TaskTable(
            store.table("To Do"),
            organization="accountNo",
            compare=("State", "due%"),
            id="taskNo",
            id_type=KeyKind.INTEGER,
            updated_at="Changed At",
            status="State",
            deleted="gone",
            where="kind IN ('task', '50%')",
            completed=("fertig",),
        ),
    )


@pytest.fixture
def source(settings: SourceSettings) -> Iterator[Source]:
    with Source(settings) as opened:
        yield opened


def test_tasks_come_in_the_order_of_their_numbers(source: Source) -> None:
    assert [row.key for row in source.page(1, None, 10)] == [9, 10, 100]


def test_deleted_rows_are_marked_and_null_is_not_deleted(source: Source) -> None:
    assert {row.key: row.deleted for row in source.page(1, None, 10)} == {9: False, 10: False, 100: True}


def test_without_a_version_column_the_time_is_the_version(source: Source) -> None:
    row = source.by_keys([9])[9]
    assert row.version == round(at(5).timestamp()) * 1_000_000
    assert row.updated_at == at(5)


def test_the_where_clause_leaves_rows_out(source: Source) -> None:
    assert source.by_keys([15]) == {}


def test_existing_organizations_are_those_of_the_where_clause(source: Source) -> None:
    assert source.existing_organizations([1, 2, 3, 99]) == {1: "One", 2: ""}
    assert source.organization_names([1, 2, 3, 99]) == {1: "One", 2: "", 3: "Three"}
    assert source.existing_organizations([]) == {}


def test_task_counts_leave_out_what_is_marked_deleted(source: Source) -> None:
    assert source.task_counts([1, 2, 99]) == {1: 2, 2: 1, 99: 0}
    assert source.task_counts([]) == {}


def test_a_task_count_is_exact_up_to_a_bound_and_no_less_than_it_beyond(source: Source) -> None:
    assert source.task_count(1, 2) == (2, True)
    assert source.task_count(99, 2) == (0, True)
    count, exact = source.task_count(1, 1)
    assert (count >= 2, exact) == (True, False)


def test_affected_organizations_of_a_half_open_window(source: Source) -> None:
    assert list(source.affected_organizations(at(0), at(10))) == [
        AffectedOrganization(-4, "Minus", 1, 0, at(9), at(9)),
        AffectedOrganization(1, "One", 2, 1, at(0), at(5)),
        AffectedOrganization(2, "", 1, 1, at(7.5), at(7.5)),
    ]


def test_affected_organizations_of_some_statuses_without_others(source: Source) -> None:
    found = source.affected_organizations(at(0), at(11), statuses=["fertig"], exclude=[2, *range(1000, 21_000)])
    assert [(one.key, one.updated, one.completed) for one in found] == [(1, 2, 2)]


def test_an_abandoned_stream_leaves_nothing_open(source: Source) -> None:
    stream = source.affected_organizations(at(0), at(11))
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert source.task_counts([2]) == {2: 1}


def test_two_streams_and_other_reads_go_side_by_side(source: Source) -> None:
    """A stream takes the connection that is open; whoever reads meanwhile gets another one."""
    assert source.task_counts([2]) == {2: 1}
    one, other = (source.affected_organizations(at(0), at(11)) for _ in range(2))
    first = next(one)
    assert next(other) == first
    assert source.task_counts([2]) == {2: 1}
    assert list(one) == list(other) != []


def test_a_window_needs_a_zone(source: Source) -> None:
    with pytest.raises(ValueError, match="time zone"):
        next(source.affected_organizations(at(0).replace(tzinfo=None), at(1)))


def test_times_beyond_what_python_holds(store: Store, settings: SourceSettings) -> None:
    store.run('CREATE TABLE odd (id bigint, org bigint, at timestamptz, due date, "when" timestamp)')
    store.run("INSERT INTO odd VALUES (1, 1, 'infinity', '-infinity', '20000-01-01')")
    tasks = TaskTable(
        store.table("odd"), organization="org", compare=("due", "when"), id_type=KeyKind.INTEGER, updated_at="at"
    )
    with Source(replace(settings, tasks=tasks)) as source:
        (row,) = source.page(1, None, 5)
    assert row.updated_at == LATEST
    assert row.values == ("-infinity", "20000-01-01 00:00:00")
    assert [to_json(value) for value in row.values] == ["-infinity", "20000-01-01 00:00:00"]


def test_it_cannot_write(source: Source) -> None:
    with pytest.raises(OutsideDataError, match="read-only transaction"):
        source.database.rows(sql.SQL("CREATE TABLE nonsense (id int)"))


def test_a_dropped_connection_is_opened_anew(source: Source, store: Store) -> None:
    assert len(source.page(1, None, 10)) == 3
    pid = source.database.connection().info.backend_pid
    with psycopg.connect(store.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert len(source.page(1, None, 10)) == 3
    assert source.database.connection().info.backend_pid != pid


def test_a_slow_query_is_ended(settings: SourceSettings) -> None:
    with (
        Source(replace(settings, statement_timeout=0.1)) as source,
        pytest.raises(UnavailableError, match=r"statement timeout of 0\.1 s"),
    ):
        source.database.rows(sql.SQL("SELECT pg_sleep(30)"))


def test_a_missing_column_is_named(settings: SourceSettings) -> None:
    tasks = replace(settings.tasks, compare=("Status",))
    with (
        Source(replace(settings, tasks=tasks)) as source,
        pytest.raises(OutsideDataError, match='column "Status" does not exist'),
    ):
        source.page(1, None, 10)


def test_keys_of_another_type_are_told(settings: SourceSettings) -> None:
    tasks = replace(settings.tasks, id_type=KeyKind.UUID)
    with (
        Source(replace(settings, tasks=tasks)) as source,
        pytest.raises(OutsideDataError, match="taskNo is of another type"),
    ):
        source.page(1, None, 10)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:hunter2@127.0.0.1:1/nowhere",
        "postgresql://someone:hunter2@no-such-host.invalid/nowhere",
        "host=127.0.0.1 port=1 password=hunter2 dbname=nowhere",
    ],
)
def test_an_absent_source_is_one_sentence_without_the_password(settings: SourceSettings, url: str) -> None:
    with (
        Source(replace(settings, url=url)) as source,
        pytest.raises(
            UnavailableError, match=r"^The source \(database nowhere on .*cannot be reached: .*\.$"
        ) as caught,
    ):
        source.ping()
    assert "hunter2" not in str(caught.value)


def test_an_unknown_database_is_told(settings: SourceSettings, servers: ServerAddresses) -> None:
    url = psycopg.conninfo.make_conninfo(servers.admin_url, dbname="nowhere")
    with (
        Source(replace(settings, url=url)) as source,
        pytest.raises(OutsideDataError, match="does not know the database"),
    ):
        source.ping()
