"""Fixtures of the record statuses: the odd table, empty, and estates that name record sources.

A test module takes them with `pytest_plugins = ["tests.fixtures_records"]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from django.conf import settings

from opsconsole import estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.estate.model import RecordSource
from tests.monitoring.files import Files, UseRecords, odd_files


@pytest.fixture(scope="session")
def odd_table(servers: ServerAddresses) -> Iterator[Files]:
    with odd_files(servers.admin_url) as made:
        yield made


@pytest.fixture
def files(odd_table: Files) -> Files:
    """The table without a row."""
    odd_table.clear()
    return odd_table


@pytest.fixture
def use_records(servers: ServerAddresses, monkeypatch: pytest.MonkeyPatch) -> UseRecords:
    """Call it with record sources: the present estate then has these and no others."""

    def with_sources(*sources: RecordSource) -> None:
        changed = replace(estate.load(settings.ESTATE), records=sources)
        monkeypatch.setattr(estate, "current", cache(lambda: changed))  # with the `cache_clear` of the real one

    return with_sources
