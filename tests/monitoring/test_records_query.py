"""What is asked of a record table: over odd names, an empty table, a missing column, a denied role, a slow query."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from monitoring.records.ages import Ages
from monitoring.records.guide import Guide
from monitoring.records.problems import problem_of
from monitoring.records.query import RecordTable
from monitoring.records.standing import Standing, Threshold, Why, thresholds_of
from monitoring.records.stuck import StuckQuestion, StuckRecords
from monitoring.records.stuckpage import read_page
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.errors import ConsoleError, OutsideDataError, UnavailableError, UsageError
from opsconsole.estate.model import RecordSource, RecordStatus
from opsconsole.keys import KeyKind
from opsconsole.times import Window
from tests.monitoring.files import NOW, PREFIX, Files, minutes
from tests.sync.stores import key_of, temporary_store

pytest_plugins = ["tests.fixtures_records"]

WINDOW = Ages(15 * 60, 5 * 3600).window(NOW)


def standing(source: RecordSource) -> Standing:
    guide = Guide(source)
    return Standing(source, guide, Ages(900, 18_000), thresholds_of(source, guide, None, {}), None)


def counted(source: RecordSource, window: Window = WINDOW, hidden: tuple[str, ...] = ()) -> dict[str, int]:
    with RecordTable(source) as table:
        return {one.status: one.count for one in table.breakdown(window, hidden).counts}


def test_counts_by_status_within_the_window(files: Files) -> None:
    files.add("processing", 60, count=3)
    files.add("ok", 60, count=2)
    files.add("odd % 'status'", 60)
    files.add(None, 60)
    files.add("uploaded", 60, kind="import")  # left out by `where`
    assert counted(files.source()) == {
        f"{PREFIX}processing": 3,
        f"{PREFIX}ok": 2,
        f"{PREFIX}odd % 'status'": 1,
        "": 1,
    }
    assert f"{PREFIX}ok" not in counted(files.source(), hidden=(f"{PREFIX}ok",))


def test_the_window_is_half_open(files: Files) -> None:
    for made in (14.99, 15, 299.99, 300, 300.01):
        files.add("processing", made)
    # [now - 5h, now - 15min): the record of exactly five hours is in it, that of exactly a quarter is not.
    assert counted(files.source()) == {f"{PREFIX}processing": 2}


def test_the_oldest_and_the_statement_as_it_was_run(files: Files) -> None:
    files.add("processing", 20)
    files.add("processing", 250)
    with RecordTable(files.source()) as table:
        found = table.breakdown(WINDOW, (f"{PREFIX}ok",))
    assert found.counts[0].oldest == NOW - minutes(250)
    assert found.seconds > 0
    with psycopg.connect(files.store.url) as connection:
        rows = connection.execute(found.statement.encode()).fetchall()
    assert rows == [(f"{PREFIX}processing", 2, NOW - minutes(250))]


def test_an_empty_table(files: Files) -> None:
    assert counted(files.source()) == {}
    with RecordTable(files.source()) as table:
        assert StuckRecords(table).page(standing(files.source()).stuck(NOW), None, 10) == []
        assert table.steps(NOW) == []


@pytest.mark.parametrize("kind", list(KeyKind))
def test_keys_of_every_kind_are_paged_forth_and_back(servers: ServerAddresses, kind: KeyKind) -> None:
    column = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "bigint", KeyKind.TEXT: "text"}[kind]
    with temporary_store(servers.admin_url) as store:
        store.run(f"CREATE TABLE records (id {column} PRIMARY KEY, status text, created_at timestamp)")
        keys = [key_of(kind, number) for number in range(1, 24)]
        for place, key in enumerate(keys):
            # Several share a moment of creation: the key decides between them.
            made = (NOW - minutes(100 + place // 5)).replace(tzinfo=None)
            store.insert("records", {"id": key, "status": "new", "created_at": made})
        source = RecordSource(
            "x",
            "X",
            store.url,
            store.table("records"),
            id_type=kind,
            statuses=(RecordStatus("new", "new", limit=60.0),),
        )
        question = standing(source).stuck(NOW)
        with RecordTable(source) as table:
            forth, cursor, pages = [], "", []
            while True:
                page = read_page(StuckRecords(table), question, cursor, 5)
                pages.append([row.key for row in page.rows])
                forth += pages[-1]
                if page.next is None:
                    break
                cursor = page.next
            assert sorted(map(str, forth)) == sorted(map(str, keys))
            assert len(pages) == 5
            for wanted in reversed(pages[:-1]):
                assert page.previous is not None
                page = read_page(StuckRecords(table), question, page.previous, 5)
                assert [row.key for row in page.rows] == wanted
            assert page.previous is None
            assert [row.key for row in StuckRecords(table).stream(question)] == forth


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJub3cifQ", "bnVsbA", "WyIyMDI2LTAzLTAxIiwiMSIsMF0", "a" * 3_000])
def test_a_strange_cursor_is_refused(files: Files, cursor: str) -> None:
    with RecordTable(files.source()) as table, pytest.raises(UsageError, match="start again at the first page"):
        read_page(StuckRecords(table), standing(files.source()).stuck(NOW), cursor, 10)


def test_stuck_is_longer_in_a_status_than_its_limit(files: Files) -> None:
    mine, other = uuid4(), uuid4()
    files.add("processing", 100, 31, organization=mine, title="late.pdf")  # limit 30 min
    files.add("processing", 100, 29, organization=mine)
    files.add("processing", 200, None, organization=other)  # never changed since it was made
    files.add("uploaded", 100, 31)  # limit an hour
    files.add("ok", 1_000, 900)
    files.add("error", 1_000, 900)  # no limit
    files.add("processing", 2_000, 1_900)  # made too long ago
    question = standing(files.source()).stuck(NOW)
    with RecordTable(files.source()) as table:
        found = StuckRecords(table).page(question, None, 10)
        counts = StuckRecords(table).counts(question)
        assert [(one.title, one.organization) for one in found] == [("", str(other)), ("late.pdf", str(mine))]
        assert found[1].since == NOW - minutes(31)
        assert [(one.start, one.count) for one in counts] == [
            (NOW - timedelta(hours=4), 1),
            (NOW - timedelta(hours=2), 1),
        ]
        assert StuckRecords(table).organizations(question, 10) == sorted([str(mine), str(other)])
        assert StuckRecords(table).organizations_of([found[1].key]) == [str(mine)]
        of_mine = StuckQuestion(question.made, question.since, mine)
        assert [one.organization for one in StuckRecords(table).page(of_mine, None, 10)] == [str(mine)]


def test_a_source_without_last_change_counts_from_creation(files: Files) -> None:
    files.add("processing", 40, 1)
    question = standing(files.source()).stuck(NOW)
    with RecordTable(files.source()) as kept, RecordTable(files.source(updated_at="")) as made:
        assert len(StuckRecords(kept).page(question, None, 10)) == 0
        assert len(StuckRecords(made).page(question, None, 10)) == 1


def test_steps_count_the_time_to_the_last_change(files: Files) -> None:
    files.add("ok", 100, 90, count=3)
    files.add("ok", 100, 99.99)
    files.add("processing", 100, None)
    with RecordTable(files.source()) as table:
        steps = {(step.status, step.step): step.count for step in table.steps(NOW)}
    assert steps == {(f"{PREFIX}ok", 63): 3, (f"{PREFIX}ok", 0): 1}  # e^6.3 = 545 s, and under a second


def test_thresholds_come_from_the_limit_else_from_the_usual_time() -> None:
    source = RecordSource("x", "X", "", "x", statuses=(RecordStatus("a", "a", limit=60.0), RecordStatus("b", "b")))
    found = thresholds_of(source, Guide(source), None, {"a": 5.0, "b": 7.0, "unknown": 1.0})
    assert found == {"a": Threshold(60.0, Why.LIMIT), "b": Threshold(7.0, Why.USUAL)}


def refused(source: RecordSource) -> ConsoleError:
    with RecordTable(source) as table, pytest.raises(ConsoleError) as caught:
        table.breakdown(WINDOW)
    return caught.value


def test_a_missing_column(files: Files) -> None:
    error = refused(files.source(status="Status"))
    assert isinstance(error, OutsideDataError)
    problem = problem_of(error, files.source())
    assert 'column "Status" does not exist' in problem.sentence
    assert '"odd-files" of [[records]] in the estate file' in problem.advice


def test_a_denied_role_and_what_its_owner_can_run(files: Files, servers: ServerAddresses) -> None:
    with psycopg.connect(files.store.url, autocommit=True) as admin:
        schema = sql.Identifier(files.store.schema)
        admin.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO source_reader").format(schema))
        database = admin.info.dbname
    source = files.source(url=f"{servers.source_url.rpartition('/')[0]}/{database}")
    problem = problem_of(refused(source), source)
    assert "permission denied for table" in problem.sentence
    assert problem.statement == f'GRANT SELECT ON "{files.store.schema}"."My.Files 100%" TO …;'


def test_a_query_that_takes_too_long(files: Files) -> None:
    files.add("processing", 60)
    source = files.source(statement_timeout=0.2, where="pg_sleep(5) IS NOT NULL")
    error = refused(source)
    assert isinstance(error, UnavailableError)
    problem = problem_of(error, source)
    assert "ended a query after the statement timeout of 0.2 s" in problem.sentence
    assert problem.statement.endswith('"My.Files 100%" ("Created""At");')


def test_a_database_that_is_away(files: Files) -> None:
    source = files.source(url="postgresql://nobody@127.0.0.1:1/none")
    problem = problem_of(refused(source), source)
    assert "nothing listens there" in problem.sentence
    assert "counted before" in problem.advice


def test_a_shorter_timeout_than_the_source_has(files: Files) -> None:
    source = files.source(where="pg_sleep(5) IS NOT NULL")
    files.add("processing", 60)
    with RecordTable(source, longest=0.2) as table, pytest.raises(UnavailableError, match=r"timeout of 0\.2 s"):
        table.counts(WINDOW)


def test_ids_of_organizations_are_uuids(files: Files) -> None:
    owner = uuid4()
    files.add("processing", 100, 90, organization=owner)
    with RecordTable(files.source()) as table:
        (record,) = StuckRecords(table).page(standing(files.source()).stuck(NOW), None, 5)
    assert UUID(record.organization) == owner
