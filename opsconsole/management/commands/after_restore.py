"""`manage.py after_restore`: after the console's database was restored, and before any process is started."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from opsconsole.commands import ConsoleCommand, add_reason
from opsconsole.errors import UsageError
from opsconsole.restoring import Release, after_restore, release
from opsconsole.times import parse_time


class Command(ConsoleCommand):
    help = (
        "Settles what a restored database says is under way, and holds messages and disablings until --release. "
        "Run it once, before any process of the console is started."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--lost-until",
            metavar="TIME",
            default="",
            help="When the processes ended that wrote what is lost: yyyy-mm-dd hh:mm:ss in UTC. Left out: now.",
        )
        parser.add_argument("--release", action="store_true", help="Somebody has looked: let go of what is held.")
        parser.add_argument(
            "--messages",
            choices=[one.value for one in Release],
            default=Release.NEW.value,
            help="--release: which waiting messages leave. new: those written since the restore.",
        )
        add_reason(parser, "Why, for the audit log.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        now, reason = timezone.now(), options["reason"].strip()
        if not reason:
            raise UsageError("Say why (--reason): it is kept on the audit log.")
        if options["release"]:
            said = release(self.actor(options), reason, Release(options["messages"]), now)
        else:
            text = options["lost_until"]
            until = parse_time(text, "--lost-until")[0] if text else None
            said = after_restore(self.actor(options), reason, now, until)
            said.append("Start the processes, look at the outbox and at the missed runs, then --release.")
        for sentence in said:
            self.say(sentence)
        return {"said": said}
