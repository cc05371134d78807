"""Real servers for every test that asks for them: started once, on the first request, and gone at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from opsconsole import env, estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.estate_file import write_estate
from opsconsole.demo.servers import EmbeddedServers


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """Not pytest's own temporary folder: as root, PostgreSQL runs as another user, who must get there."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def embedded_servers(servers_folder: Path) -> Iterator[EmbeddedServers]:
    """The servers themselves, for tests that stop and start them. Leave them running, on the same ports."""
    with EmbeddedServers(servers_folder, fsync=False) as started:
        yield started


@pytest.fixture(scope="session")
def servers(embedded_servers: EmbeddedServers) -> ServerAddresses:
    """Where the servers are. From here on the settings and the environment of child processes name them too."""
    addresses = embedded_servers.addresses
    os.environ.update(addresses.environment())
    os.environ["OPSCONSOLE_ESTATE"] = str(write_estate(embedded_servers.folder, addresses.kafka_api_version))
    # Django read its settings before any fixture: the entries are changed in place, where its connections look.
    settings.DATABASES["default"].update(env.postgres("DATABASE_URL", ""))
    settings.REDIS_URL = addresses.redis_url
    for queue in settings.RQ_QUEUES.values():
        queue["URL"] = addresses.redis_url
    settings.ESTATE = os.environ["OPSCONSOLE_ESTATE"]
    estate.reset()
    return addresses


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: ServerAddresses) -> None:
    """pytest-django's hook before the test database is made: every database test runs on the embedded PostgreSQL."""
