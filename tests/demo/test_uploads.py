"""The demonstration's uploads: made once, made anew when they are old, and moved on but for what is held up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg
import pytest

from opsconsole.demo import uploads
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.uploads import POPULATION, ensure_uploads, organizations, step
from tests.company import Company, create_company_databases, drop_company_databases

_numbers = itertools.count(1)
COUNTS = "SELECT status, count(*) FROM uploaded_files GROUP BY 1"


@pytest.fixture
def source(servers: ServerAddresses) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    company: Company = create_company_databases(servers, f"uploads{next(_numbers)}")
    with psycopg.connect(company.source_owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE organizations (id uuid)")
        connection.execute("INSERT INTO organizations SELECT gen_random_uuid() FROM generate_series(1, 3)")
        ensure_uploads(company.source_owner_url, seed=1)
        yield connection
    drop_company_databases(servers, company.name)


def counts(source: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    return {str(status).removeprefix(uploads.PREFIX): int(str(count)) for status, count in source.execute(COUNTS)}


def test_a_second_start_finds_them_and_one_much_later_makes_them_anew(
    source: psycopg.Connection[tuple[object, ...]], servers: ServerAddresses
) -> None:
    assert counts(source) == {share.status: share.count for share in POPULATION}
    url = source.info.dsn + f" password={source.info.password}"
    source.execute("UPDATE uploaded_files SET status = 'mine' WHERE id = 1")
    ensure_uploads(url, seed=1)
    assert counts(source)["mine"] == 1
    ensure_uploads(url, seed=1, now=datetime.now(UTC) + timedelta(hours=3))
    assert "mine" not in counts(source)
    row = source.execute("SELECT count(*) FROM uploaded_files WHERE updated_at < created_at").fetchone()
    assert row == (0,)


def test_the_backlog_is_worked_off_and_what_is_held_stays(source: psycopg.Connection[tuple[object, ...]]) -> None:
    before, rng = counts(source), Random(3)
    owners = organizations(source)  # type: ignore[arg-type]
    for _ in range(20):
        step(source, owners, rng, 10.0)  # type: ignore[arg-type]
    after = counts(source)
    assert after["processing"] < before["processing"]
    assert after["converting"] >= before["converting"] == 37
    assert after["manual_review"] == before["manual_review"]
    assert sum(after.values()) > sum(before.values())
