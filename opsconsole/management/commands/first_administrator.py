"""`manage.py first_administrator`: the person who lets in all others."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.db import transaction

from opsconsole import audit
from opsconsole.access import Role
from opsconsole.commands import ConsoleCommand
from opsconsole.errors import UsageError
from opsconsole.models import User


class Command(ConsoleCommand):
    help = "Make the first administrator. Refused where there is one: that person adds all others."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--email", default="")
        parser.add_argument("--password-stdin", action="store_true", help="Read the password from standard input.")

    def act(self, options: dict[str, Any]) -> dict[str, Any]:
        name = options["username"]
        user = User(username=name, email=options["email"], is_staff=True)
        password = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else _ask()
        try:
            user.full_clean(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise UsageError(" ".join(error.messages)) from error
        make_first(user, password)
        self.say(f"{name} is the first administrator, and can log in.")
        return {"username": name}


def _ask() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise UsageError("The two passwords differ.")
    return password


def make_first(user: User, password: str) -> None:
    """Save the person as administrator. Raises UsageError where somebody active is one already."""
    with transaction.atomic():
        group = Group.objects.select_for_update().get(name=Role.ADMINISTRATOR)  # two at once: one waits
        if group.user_set.filter(is_active=True).exists():
            raise UsageError("There is an administrator already; people are added in the administration.")
        user.set_password(password)
        user.save()
        user.groups.add(group)
        audit.record(audit.actor_of_command(), "person.first_administrator", f"user:{user.pk}", name=user.username)
