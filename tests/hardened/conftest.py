"""One console full of hostile texts for all of these tests: none of them may change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from opsconsole import estate
from opsconsole.demo.addresses import ServerAddresses
from tests.company import write_test_estate
from tests.emptying import empty_tables
from tests.hardened.place import Place, fill
from tests.monitoring.abandonment.plane import Plane
from tests.monitoring.files import Files

if TYPE_CHECKING:
    from tests.fixtures_sync import CompanyKeeper  # a plugin: imported by itself


@pytest.fixture(scope="package")
def hostile(
    servers: ServerAddresses,
    console_database: None,
    django_db_blocker: DjangoDbBlocker,
    companies: CompanyKeeper,
    odd_table: Files,
    plane_table: Plane,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """Written with real commits, so that the threads of a web server see it."""
    company = companies.take()
    path: Path = tmp_path_factory.mktemp("estate") / "estate.toml"
    with pytest.MonkeyPatch.context() as patch, override_settings(ESTATE=str(path)), django_db_blocker.unblock():
        patch.setenv("SOURCE_DATABASE_URL", company.source_url)
        patch.setenv("INDEX_DATABASE_URL", company.index_url)
        write_test_estate(path, "task-updates", {})
        changed = replace(
            estate.load(str(path)),
            records=(odd_table.source(name="uploads"),),
            tracked_tasks=(plane_table.source(),),
        )
        patch.setattr(estate, "current", cache(lambda: changed))
        with redis.Redis.from_url(settings.REDIS_URL) as queue:
            queue.flushall()
        empty_tables()
        odd_table.clear()
        plane_table.clear()
        yield fill(company, odd_table, plane_table)
        empty_tables()
        connections.close_all()
