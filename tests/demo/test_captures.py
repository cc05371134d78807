"""The demonstration's captures: some hundreds on two planes, disabled only by the role for it, a plane switched off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.captures import PLANES, POPULATION, ensure_captures, switch_plane
from opsconsole.errors import UsageError
from tests.company import Company, create_company_databases, drop_company_databases

_numbers = itertools.count(1)
FAILING = "SELECT count(*) FROM capture_states WHERE data_plane = %s AND last_primary_at < now()"


@pytest.fixture
def company(servers: ServerAddresses) -> Iterator[Company]:
    made = create_company_databases(servers, f"captures{next(_numbers)}")
    ensure_captures(made.source_owner_url, seed=1)
    yield made
    drop_company_databases(servers, made.name)


def ask(company: Company, query: bytes, *values: object) -> int:
    with psycopg.connect(company.source_owner_url) as source:
        row = source.execute(query, values).fetchone()
    assert row is not None
    return int(row[0])


def test_a_few_hundred_on_two_planes_made_once(company: Company) -> None:
    ensure_captures(company.source_owner_url, seed=2)
    assert ask(company, b"SELECT count(*) FROM captures") == sum(share.count for share in POPULATION)
    assert ask(company, b"SELECT count(DISTINCT data_plane) FROM captures") == len(PLANES)
    assert ask(company, b"SELECT count(*) FROM capture_states WHERE restarts > 800") > 0


def test_a_plane_that_is_switched_off_fails_as_one_and_comes_back(company: Company) -> None:
    before = ask(company, FAILING.encode(), "eu-1")
    assert switch_plane(company.source_owner_url, "eu-1", on=False)
    assert not switch_plane(company.source_owner_url, "eu-1", on=False)
    assert ask(company, FAILING.encode(), "eu-1") == ask(
        company, b"SELECT count(*) FROM captures WHERE data_plane = %s", "eu-1"
    )
    assert ask(company, b"SELECT count(DISTINCT last_primary_at) FROM capture_states WHERE data_plane = 'us-1'") > 0
    assert switch_plane(company.source_owner_url, "eu-1", on=True)
    assert ask(company, FAILING.encode(), "eu-1") == before
    with pytest.raises(UsageError, match="there are eu-1, us-1"):
        switch_plane(company.source_owner_url, "mars", on=False)
