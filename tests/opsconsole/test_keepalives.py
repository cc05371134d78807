"""A server behind a cut cable says nothing at all: connections ask by themselves whether it is there."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from django.db import connection

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.env import KEEPALIVES
from opsconsole.postgres import connect

OPTIONS = {
    "keepalives_idle": socket.TCP_KEEPIDLE,
    "keepalives_interval": socket.TCP_KEEPINTVL,
    "keepalives_count": socket.TCP_KEEPCNT,
}


def keepalives_of(descriptor: int) -> dict[str, int]:
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as tcp:
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return {name: tcp.getsockopt(socket.IPPROTO_TCP, option) for name, option in OPTIONS.items()}


@pytest.mark.django_db
def test_the_consoles_own_connections_keep_watch() -> None:
    connection.ensure_connection()
    assert keepalives_of(connection.connection.fileno()) == KEEPALIVES


def test_connections_to_outside_databases_keep_watch(servers: ServerAddresses) -> None:
    with closing(connect(servers.source_url, "the source")) as outside:
        assert keepalives_of(outside.fileno()) == KEEPALIVES


def test_what_the_url_says_counts(servers: ServerAddresses) -> None:
    with closing(connect(f"{servers.source_url}?keepalives_idle=7", "the source")) as outside:
        assert keepalives_of(outside.fileno()) == KEEPALIVES | {"keepalives_idle": 7}
