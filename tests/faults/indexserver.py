"""The index over HTTP, as docs/http-index.md says, from the company's index database; it can be told to fail."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg.rows import dict_row

COLUMNS = "id, organization_id, version, updated_at, status, title, assignee_id, due_at"
PAGE = f"""
SELECT {COLUMNS} FROM tasks WHERE organization_id = %s AND (%s::uuid IS NULL OR id > %s::uuid) ORDER BY id LIMIT %s
"""  # noqa: S608
BY_ID = f"SELECT {COLUMNS} FROM tasks WHERE id = ANY(%s::uuid[])"  # noqa: S608


class Mood(Enum):
    WELL = "answers"
    FAILING = "answers 500"
    AWAY = "hangs up"


class IndexServer(ThreadingHTTPServer):
    """Serves on a free port of loopback from `start` to `stop`."""

    daemon_threads = True

    def __init__(self, index_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.index_url = index_url
        self.mood = Mood.WELL
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/tasks"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients are killed in the middle of their questions here: no news."""

    def tasks(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        with psycopg.connect(self.index_url, row_factory=dict_row) as index:
            if "ids" in query:
                return index.execute(BY_ID, [query["ids"][0].split(",")]).fetchall()
            after = query.get("after", [None])[0]
            return index.execute(PAGE, [query["organization"][0], after, after, query["limit"][0]]).fetchall()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: IndexServer

    def do_GET(self) -> None:
        mood = self.server.mood
        if mood is Mood.AWAY:
            self.close_connection = True
            return
        found = self.server.tasks(parse_qs(urlsplit(self.path).query)) if mood is Mood.WELL else []
        body = json.dumps({"tasks": found}, default=_written).encode()
        with suppress(ConnectionError):
            self.send_response(200 if mood is Mood.WELL else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Nothing on the test's output."""


def _written(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
