"""Real servers for every test that asks for them: started once, on the first request, and gone at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from opsconsole import env, estate
from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.estate_file import write_estate
from opsconsole.demo.servers import EmbeddedServers

# As Hypothesis chose, but for what judges by time: on a busy machine it says nothing of the code.
hypothesis.settings.register_profile(
    "patient",
    hypothesis.settings(),
    deadline=None,
    suppress_health_check=[*hypothesis.settings().suppress_health_check, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")


class FileByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Which tests go to one process: those of a file, and all of the browser's, which share a console that takes long
    to start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    return FileByFile(config, log)


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
    # A test's own transaction may be idle for as long as whatever else the test does takes.
    patient = f"{addresses.database_url}?options=-c%20idle_in_transaction_session_timeout%3D0"
    settings.DATABASES["default"].update(env.postgres("DATABASE_URL", "", {"DATABASE_URL": patient}))
    settings.REDIS_URL = addresses.redis_url
    for queue in settings.RQ_QUEUES.values():
        queue["URL"] = addresses.redis_url
    settings.ESTATE = os.environ["OPSCONSOLE_ESTATE"]
    estate.reset()
    return addresses


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: ServerAddresses) -> None:
    """pytest-django's hook before the test database is made: every database test runs on the embedded PostgreSQL."""


def _confirm(request: HttpRequest, user: AbstractBaseUser, **kwargs: object) -> None:
    if not get_authentication_records(request, user):
        record_authentication(request, user, "password")


@pytest.fixture(autouse=True)
def elevated_sessions() -> Iterator[None]:
    """Whoever a test logs in, by whatever way, has just confirmed who they are: elevation has tests of its own."""
    user_logged_in.connect(_confirm)
    yield
    user_logged_in.disconnect(_confirm)
