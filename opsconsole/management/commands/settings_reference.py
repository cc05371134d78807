"""`manage.py settings_reference`: the page of the docs that lists every environment variable."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from opsconsole.commands import ConsoleCommand
from opsconsole.errors import UsageError
from opsconsole.variables.reference import reference

PAGE = settings.BASE_DIR / "docs" / "settings.md"


class Command(ConsoleCommand):
    help = "Prints every environment variable with its meaning, as docs/settings.md has it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Write docs/settings.md anew.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["write"]:
            self.say(reference().rstrip("\n"))
            return {"written": None}
        try:
            PAGE.write_text(reference(), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{PAGE} cannot be written: {error}.") from error
        self.say(f"{PAGE} is written.")
        return {"written": str(PAGE)}
