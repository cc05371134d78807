"""The company's mail server: takes every mail on loopback, sends none on, and prints what came to its log."""

from __future__ import annotations

import signal
import sys
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


class Printer:
    """Prints who it is for, the subject and the plain text of each mail."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        mail = message_from_bytes(content if isinstance(content, bytes) else content.encode(), policy=policy.default)
        body = mail.get_body(("plain",))
        print(f"To: {', '.join(envelope.rcpt_tos)}\nSubject: {mail['Subject']}\n", flush=True)
        print(body.get_content() if body else "", flush=True)
        return "250 OK"


def main() -> None:
    """Serve on the port of the first argument until SIGTERM or SIGINT."""
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    controller = Controller(Printer(), hostname=HOST, port=int(sys.argv[1]))
    controller.start()
    signal.sigwait(stops)
    controller.stop()


if __name__ == "__main__":
    main()
