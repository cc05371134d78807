"""`manage.py demo`: the whole console on one machine, with a made-up company whose messages were lost."""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from opsconsole.demo.captures import owner_url, switch_plane
from opsconsole.demo.check import do_main_job, fresh_folder
from opsconsole.demo.company import Size
from opsconsole.demo.founding import Plan
from opsconsole.demo.logins import login_passwords
from opsconsole.demo.stack import DEFAULT_PORT, Stack, Wish
from opsconsole.errors import ConsoleError

DEFAULTS = Plan()


class Command(BaseCommand):
    help = (
        "Start PostgreSQL, Valkey and a Kafka broker on loopback, a demonstration company with lost messages, and the "
        "console; stay until Ctrl-C. With --check: do the main job on a fresh company, print one JSON object, stop."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        size = DEFAULTS.size
        parser.add_argument(
            "--check", action="store_true", help="do the main job and exit: 0 when all drift was repaired"
        )
        parser.add_argument(
            "--folder", type=Path, default=Path(settings.BASE_DIR) / ".demo", help="where the data is kept"
        )
        parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of the pages; another when it is taken")
        parser.add_argument(
            "--organizations", type=int, default=size.organizations, help="of the company (first start)"
        )
        parser.add_argument("--tasks", type=int, default=size.tasks, help="of all organizations (first start)")
        parser.add_argument("--largest", type=int, default=size.largest, help="tasks of the largest one (first start)")
        parser.add_argument("--gap", type=int, default=DEFAULTS.gap, help="tasks whose message is lost (first start)")
        plane = parser.add_mutually_exclusive_group()
        plane.add_argument("--switch-off", metavar="PLANE", help="of the one that runs: a data plane goes down; stop")
        plane.add_argument("--switch-on", metavar="PLANE", help="of the one that runs: it comes back; stop")
        parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="of the company (first start)")

    def handle(self, *args: Any, **options: Any) -> None:
        # SIGINT too: a shell that starts it in the background has it ignored, and nothing would end it then.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        size = Size(options["organizations"], options["tasks"], options["largest"])
        self._refuse_odd(size, options["gap"])
        plan = Plan(size, options["gap"], options["seed"])
        try:
            if options["switch_off"] or options["switch_on"]:
                self._switch(options)
            elif options["check"]:
                self._check(Wish(fresh_folder(options["folder"]), plan, port=0))
            else:
                self._stay(Wish(options["folder"], plan, options["port"]))
        except ConsoleError as error:
            raise CommandError(str(error), returncode=error.exit_status) from error

    def _refuse_odd(self, size: Size, gap: int) -> None:
        if size.organizations < 1 or gap < 0 or not 0 < size.largest <= size.tasks:
            raise CommandError(
                "--organizations must be at least 1, --gap not negative, and --largest between 1 and --tasks.",
                returncode=2,
            )

    def _switch(self, options: dict[str, Any]) -> None:
        name, on = options["switch_on"] or options["switch_off"], bool(options["switch_on"])
        changed = switch_plane(owner_url(options["folder"]), name, on=on)
        word = "on" if on else "off"
        self._say(f"Data plane {name} is switched {word}." if changed else f"Data plane {name} was {word} already.")

    def _stay(self, wish: Wish) -> None:
        stack = Stack(wish, self._say)
        try:
            stack.start()
            self._introduce(stack)
            stack.watch()
        except KeyboardInterrupt:
            self._say("Stopping ...")
        finally:
            self._stop(stack)
        self._say("Stopped.")

    def _check(self, wish: Wish) -> None:
        stack = Stack(wish, self._say)
        try:
            stack.start()
            outcome = do_main_job(stack, self._say)
        except KeyboardInterrupt:
            raise CommandError("Interrupted; everything was stopped.") from None
        finally:
            self._stop(stack)
        self.stdout.write(outcome.as_json())
        if not outcome.good:
            raise SystemExit(1)

    def _stop(self, stack: Stack) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C would leave half of it running
            signal.signal(number, signal.SIG_IGN)
        stack.stop()

    def _introduce(self, stack: Stack) -> None:
        self._say(f"\nOpsconsole is at {stack.address}")
        for role, password in login_passwords(stack.folder).items():
            self._say(f"  {role:<14} password {password}")
        if stack.gap:
            begin, end = stack.gap.window_from, stack.gap.window_to + timedelta(seconds=1)  # what is cut off below
            self._say(
                f"{stack.gap.lost:,} tasks lost their message from {begin:%Y-%m-%d %H:%M:%S} "
                f"to {end:%Y-%m-%d %H:%M:%S} UTC."
            )
        self._say(f"Everything a script needs is in {stack.folder / 'running.json'}. Ctrl-C stops it all.\n")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
