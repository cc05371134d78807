"""No list asks more than 12 queries, on its first page or its last, with 20,000 jobs and 100,000 drift rows.

The same with 100,000 jobs and 1,000,000 drift rows, which take half a minute to make, is asked by `make bench`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import connection
from pytest_django import DjangoDbBlocker

from benchmarks.large_console import Filled, Size, fill
from benchmarks.pages import pages, require_few_queries
from opsconsole.access import Role
from tests.web.sync_rows import client_of

SIZE = Size(jobs=20_000, drift=100_000, drift_of_one=20_000, batch_size=1_000, staged=5_000, skipped=5_000)

pytest_plugins = ["tests.fixtures_sync"]


@pytest.fixture(scope="module")
def filled(console_database: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Filled]:
    """A console in use for long. Its tables are cut short afterwards: deleted rows would leave their room behind."""
    with django_db_blocker.unblock():
        yield fill(SIZE)
        tables = [connection.ops.quote_name(model._meta.db_table) for model in apps.get_app_config("sync").get_models()]
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(tables)}")


@pytest.mark.django_db
def test_every_list_keeps_its_budget(filled: Filled) -> None:
    client = client_of(Role.OPERATOR)
    asked = {
        address: require_few_queries(client, address)
        for _, first, last in pages(filled)
        for address in dict.fromkeys((first, last))
    }
    assert len(asked) > 20
