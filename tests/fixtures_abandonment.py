"""Fixtures of tracked tasks: the plane, empty, and a console that looks at it.

A test module takes them with `pytest_plugins = ["tests.fixtures_abandonment"]`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opsconsole.demo.addresses import ServerAddresses
from tests.monitoring.abandonment.plane import Console, Plane, made_plane


@pytest.fixture(scope="session")
def plane_table(servers: ServerAddresses) -> Iterator[Plane]:
    with made_plane(servers.admin_url) as made:
        yield made


@pytest.fixture
def plane(plane_table: Plane) -> Plane:
    """The table without a row, at NOW."""
    plane_table.clear()
    return plane_table


@pytest.fixture
def console(plane: Plane, db: None, monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(plane, monkeypatch)
