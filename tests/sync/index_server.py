"""A small HTTP index: answers as docs/http-index.md says, from rows in memory, or with answers that a test scripts."""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Answer:
    """One scripted answer. `hold` keeps the client waiting until it is set; `cut` ends in the middle."""

    status: int = 200
    body: bytes = b'{"tasks": []}'
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    cut: bool = False


def answer_with(tasks: Iterable[object]) -> Answer:
    return Answer(body=json.dumps({"tasks": list(tasks)}).encode())


class QuietServer(ThreadingHTTPServer):
    """Clients that hang up are part of the tests, and no news."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class IndexServer:
    """`tasks` must be in the order of their ids. Scripted answers go first, one a request; `requests` are targets."""

    def __init__(self, tasks: Iterable[dict[str, object]] = (), token: str = "", status_field: str = "status") -> None:
        self.tasks = list(tasks)
        self.status_field = status_field
        self.token = token
        self.script: deque[Answer] = deque()
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._server = QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/tasks"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                index.requests.append(self.path)
                index.headers.append(dict(self.headers.items()))
                answer = index.script.popleft() if index.script else index.answer(self.path, dict(self.headers.items()))
                if answer.hold:
                    answer.hold.wait(20)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                with suppress(ConnectionError):  # the client may have given up
                    self.wfile.write(answer.body[:-1] if answer.cut else answer.body)
                self.close_connection = answer.cut or self.close_connection

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """Nothing on the test's output."""

        return Handler

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(status=401)
        query = parse_qs(urlsplit(path).query)
        if "ids" in query:
            wanted = {unquote(written) for written in query["ids"][0].split(",")}
            return answer_with(task for task in self.tasks if str(task["id"]) in wanted)
        if "status" in query:
            having = (task for task in self.tasks if task.get(self.status_field) == query["status"][0])
            return answer_with(list(having)[: int(query["limit"][0])])
        matching = [task for task in self.tasks if str(task["organization_id"]) == query["organization"][0]]
        if "after" in query:
            matching = [task for task in matching if _is_behind(task["id"], query["after"][0])]
        return answer_with(matching[: int(query["limit"][0])])

    @contextmanager
    def running(self) -> Iterator[IndexServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)


def _is_behind(key: object, after: str) -> bool:
    """Whether the key comes later than one that the server need not have: numbers by value, text by its bytes."""
    return key > int(after) if isinstance(key, int) else str(key) > after
