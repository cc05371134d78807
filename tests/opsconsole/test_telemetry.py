"""Sentry is off without its setting; with it, a real receiver gets what failed, and nothing about customers.

OpenTelemetry is not loaded without its setting either; `tests/api/test_spans.py` has it with one.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

PROGRAM = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
print("sentry_sdk" in sys.modules)
# redis loads the parts for metrics by itself where they are installed.
ours = ("opsconsole.opentelemetry", "opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto")
assert not any(name.startswith(ours) for name in sys.modules)
if "sentry_sdk" in sys.modules:
    import logging, sentry_sdk
    def fail(customer):
        logging.getLogger("sync").warning("about customer %s", customer)
        raise RuntimeError("cannot reach postgresql://app:hunter2@db/x")
    try:
        fail("Acme Secret Name")
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    sentry_sdk.flush(10)
"""


@contextmanager
def receiver() -> Iterator[tuple[int, list[bytes]]]:
    """A server that takes what Sentry's client sends."""
    received: list[bytes] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(**environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | {"PATH": ""}, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode()


def test_without_their_settings_neither_is_even_loaded() -> None:
    assert run().strip() == "False"


def test_an_error_is_reported_without_secrets_or_variables() -> None:
    with receiver() as (port, received):
        assert run(SENTRY_DSN=f"http://key@127.0.0.1:{port}/1").strip() == "True"
        sent = b"\n".join(received).decode()
    events = [json.loads(line) for line in sent.splitlines() if '"exception"' in line]
    assert events[0]["exception"]["values"][0]["value"] == "cannot reach postgresql://…@db/x"
    assert "trace_id" in events[0]["tags"]
    assert "hunter2" not in sent
    assert "Acme" not in sent
