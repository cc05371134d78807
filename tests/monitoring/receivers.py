"""What messages are sent to in tests: a mail server and a webhook's receiver on loopback, each with moods."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from opsconsole.demo.ports import free_port


class Mood(Enum):
    TAKES = "takes"
    REFUSES = "refuses"  # for now
    BOUNCES = "bounces"  # for good
    SLOW = "slow"
    DIES = "dies"  # takes the message and breaks the connection before it says so


@dataclass
class MailServer:
    """Every mail that arrived, those whose sender never heard of it, too."""

    port: int = 0
    mood: Mood = Mood.TAKES
    mails: list[Message] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def keys(self) -> list[str]:
        return [mail["Idempotency-Key"] for mail in self.mails]

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mood is Mood.BOUNCES:
            return "550 5.1.1 no such mailbox"
        if self.mood is Mood.REFUSES:
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.mood is Mood.SLOW:
            self.released.wait(20)
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        if self.mood is Mood.DIES:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer(port=free_port(0))
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        server.released.set()
        controller.stop()


@dataclass
class Receiver:
    """A webhook's. `posts` are headers and body of each request that arrived."""

    address: str = ""
    mood: Mood = Mood.TAKES
    status: int = 503
    posts: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for headers, _ in self.posts]


@contextmanager
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if state.mood is Mood.SLOW:
                state.released.wait(20)
            state.posts.append((dict(self.headers), json.loads(body)))
            if state.mood is Mood.DIES:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(state.status if state.mood is Mood.REFUSES else 200)
            if state.status == 302:
                self.send_header("Location", f"{state.address}elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError, ValueError):  # the sender gave up, or this test broke the connection
                super().handle()

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
