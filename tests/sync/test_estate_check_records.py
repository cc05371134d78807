"""`manage.py estate check` of record sources: columns, rights, key, `where`, and the index on the creation time."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.errors import UnavailableError
from opsconsole.estate.model import RecordSource
from opsconsole.keys import KeyKind
from sync.estate_check.records import check_record_source
from sync.estate_check.result import Result, Status
from tests.monitoring.files import TABLE, Files, odd_files


@pytest.fixture(scope="module")
def files(servers: ServerAddresses) -> Iterator[Files]:
    with odd_files(servers.admin_url) as made:
        yield made


def found(source: RecordSource) -> dict[str, Result]:
    return {result.name.removeprefix("records odd-files").strip(): result for result in check_record_source(source)}


def test_a_source_that_fits(files: Files) -> None:
    results = found(files.source())
    assert {name for name, result in results.items() if result.status is Status.PROBLEM} == set()
    assert "St atus% text" in results[""].sentence
    assert results["window"].status is Status.OK
    assert results["where"].status is Status.OK
    assert "4 statuses in the guide" in results["guide"].sentence


def test_every_missing_column_is_named(files: Files) -> None:
    results = found(files.source(status="Status", title="filename"))
    assert list(results) == [""]
    assert results[""].status is Status.PROBLEM
    assert "'Status' is not in it (nearest: 'St atus%')" in results[""].sentence
    assert "'filename' is not in it (nearest: 'fileName')" in results[""].sentence


def test_a_table_that_is_not_there(files: Files) -> None:
    results = found(files.source(table="nowhere.files"))
    assert "There is no table nowhere.files" in results[""].sentence


def test_wrong_key_condition_index_and_guide(files: Files) -> None:
    source = files.source(
        id_type=KeyKind.UUID, where="nonsense > 1", created_at="updatedAt", updated_at="", statuses=()
    )
    results = found(source)
    assert "'integer' would fit" in results["key"].sentence
    assert results["where"].status is Status.PROBLEM
    assert f'."{TABLE}" ("updatedAt");' in results["window"].sentence
    assert results["guide"].status is Status.WARNING


def test_a_role_that_may_not_read(files: Files, servers: ServerAddresses) -> None:
    grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO source_reader").format(sql.Identifier(files.store.schema))
    with psycopg.connect(files.store.url, autocommit=True) as admin:
        admin.execute(grant)
        database = admin.info.dbname
    reader = f"{servers.source_url.rpartition('/')[0]}/{database}"
    results = found(files.source(url=reader))
    assert results[""].status is Status.PROBLEM
    assert "GRANT SELECT" in results[""].sentence


def test_a_database_that_does_not_answer(files: Files) -> None:
    with pytest.raises(UnavailableError, match="nothing listens there"):
        found(files.source(url="postgresql://reader@127.0.0.1:1/files"))
