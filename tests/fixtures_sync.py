"""Fixtures of the main job's tests: a small company of their own, a topic, a queue, and tables that commit.

A test module takes them with `pytest_plugins = ["tests.fixtures_sync"]`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from django.db import connection, connections
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker, Settings

from opsconsole import estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.company import create_schema, populate
from tests.company import (
    SMALL,
    Company,
    EstateWriter,
    IndexerThread,
    create_company_databases,
    drop_company_databases,
)
from tests.emptying import empty_tables

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def console_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database. pytest-django makes it only where some test in the run has its own fixture or mark."""
    if connection.settings_dict["NAME"].startswith("test_"):
        yield
        return
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={"default": None})
        yield
        teardown_databases(made, verbosity=0)


@pytest.fixture
def committed(console_database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The console's database with real commits: threads and child processes see what a test writes.

    Not pytest-django's own `transactional_db`: that empties tables in a way which the audit log refuses.
    """
    with django_db_blocker.unblock():
        yield
        empty_tables()
        connections.close_all()


@pytest.fixture
def queue(servers: ServerAddresses) -> Iterator[redis.Redis]:
    """The Redis of the settings, empty."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture(scope="session")
def company_template(servers: ServerAddresses) -> str:
    """The name of a small company without drift, to be copied."""
    name = f"template{next(_numbers)}"
    company = create_company_databases(servers, name)
    create_schema(company.source_owner_url, company.index_owner_url)
    populate(company.source_owner_url, company.index_owner_url, seed=5, size=SMALL)
    return name


class CompanyKeeper:
    """Hands a test the company that the one before it left untouched, or a fresh copy."""

    def __init__(self, servers: ServerAddresses, template: str) -> None:
        self._servers = servers
        self._template = template
        self._kept: Company | None = None

    def take(self) -> Company:
        if self._kept is None or self._kept.touched:
            self.drop()
            name = f"company{next(_numbers)}"
            self._kept = create_company_databases(self._servers, name, self._template)
        return self._kept

    def drop(self) -> None:
        if self._kept is not None:
            drop_company_databases(self._servers, self._kept.name)


@pytest.fixture(scope="session")
def companies(servers: ServerAddresses, company_template: str) -> Iterator[CompanyKeeper]:
    keeper = CompanyKeeper(servers, company_template)
    yield keeper
    keeper.drop()


@pytest.fixture
def company(companies: CompanyKeeper) -> Company:
    """Six organizations, 600 tasks, the index right, as nobody has changed it yet."""
    return companies.take()


@pytest.fixture
def topic() -> str:
    return f"task-updates-{uuid4().hex[:8]}"


@pytest.fixture
def use_estate(
    company: Company, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[EstateWriter]:
    """Call it with values of `[check]`; the estate then names the test's company and topic."""
    monkeypatch.setenv("SOURCE_DATABASE_URL", company.source_url)
    monkeypatch.setenv("INDEX_DATABASE_URL", company.index_url)
    write = EstateWriter(tmp_path / "estate.toml", topic, settings)
    write()
    yield write
    estate.reset()


@pytest.fixture
def indexer(servers: ServerAddresses, company: Company, topic: str) -> Iterator[IndexerThread]:
    """Keeps the company's index up with the topic during the test."""
    thread = IndexerThread(servers.kafka_bootstrap, topic, company.index_owner_url)
    thread.start()
    yield thread
    thread.stop()
    assert thread.failed is None
