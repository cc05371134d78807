"""`manage.py audit`: is the audit log whole, and cutting off its old end."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from opsconsole.auditing import chain, retention
from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.errors import UsageError
from opsconsole.words import counted

HASH_LENGTH = 64


class Command(ConsoleCommand):
    help = (
        "verify: check the whole audit log, and name the first entry that is wrong. "
        "cut: remove entries older than --keep-days, with an anchor that keeps the rest checkable."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["verify", "cut"])
        parser.add_argument("--expect", default="", metavar="HEAD", help="verify: a head that an earlier check said.")
        parser.add_argument("--keep-days", type=int, default=0, help="cut: how many days stay, 30 at least.")
        add_reason(parser, "cut: why, for the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        return self._verify(options["expect"]) if options["act"] == "verify" else self._cut(options)

    def _verify(self, expect: str) -> dict[str, Any]:
        verdict = chain.verify(read_head(expect) if expect else None)
        said = (
            verdict.broken
            or f"The audit log is whole: {counted(verdict.checked, 'entry', 'entries')}. Its head is {verdict.head}"
        )
        self.say(said)
        return {
            "failed": bool(verdict.broken),
            "checked": verdict.checked,
            "head": str(verdict.head),
            "broken": verdict.broken,
        }

    def _cut(self, options: dict[str, Any]) -> dict[str, Any]:
        done = retention.cut(options["keep_days"], self.actor(options), options["reason"], timezone.now())
        self.say(f"{counted(done.entries, 'entry', 'entries')} removed.")
        return {"removed": done.entries, "up_to": done.head.position if done.head else None}


def read_head(text: str) -> chain.Head:
    """`position:hash` as `verify` writes it. Raises UsageError."""
    position, _, digest = text.partition(":")
    if not (position.isascii() and position.isdigit() and len(digest) == HASH_LENGTH):
        raise UsageError(f"--expect {text[:80]!r} is no head; allowed is position:hash, as verify says it.")
    return chain.Head(int(position), digest)
