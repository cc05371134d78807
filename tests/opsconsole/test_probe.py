"""The probe of the image: one request to this machine's web process, under a name that it answers to."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from opsconsole.audit import actor_of_command
from opsconsole.demo.ports import free_port
from opsconsole.probe import what_is_wrong


class Web(BaseHTTPRequestHandler):
    """Answers as Django does: 400 to a host that is not its own."""

    def do_GET(self) -> None:
        asked = (self.path, self.headers["Host"])
        self.send_response(200 if asked == ("/livez", "console.example.com") else 400)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing is said."""


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("hosts", ["console.example.com", ".console.example.com, other"])
def test_it_asks_under_the_first_of_the_consoles_names(port: int, hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", hosts)
    assert what_is_wrong(port) == ""


def test_what_is_wrong_is_said(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "other.example.com")
    assert what_is_wrong(port) == f"/livez on port {port} answers 400."
    nobody = free_port()
    assert what_is_wrong(nobody).startswith(f"Port {nobody} does not answer: ")


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number which its files do not know."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert actor_of_command().name == "user 4000000001"
