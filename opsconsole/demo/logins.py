"""One login per role: `python -m opsconsole.demo.logins` reads {role: password} as JSON from its input.

A process of its own, because the demo command itself must not touch the console's database before it exists.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

from opsconsole.demo.addresses import write_private

ROLES = ("viewer", "operator", "administrator")


def login_passwords(folder: Path) -> dict[str, str]:
    """The passwords of the logins, which are named like their roles; made on the first call, kept in `logins.json`."""
    path = folder / "logins.json"
    if not path.exists():
        write_private(path, json.dumps({role: secrets.token_urlsafe(12) for role in ROLES}))
    passwords: dict[str, str] = json.loads(path.read_text())
    return passwords


def make_logins(passwords: dict[str, str]) -> None:
    """Create what is missing; a login that is there keeps its password. Needs the roles' groups (after `migrate`)."""
    from django.contrib.auth.models import Group

    from opsconsole.models import User

    for role, password in passwords.items():
        if User.objects.filter(username=role).exists():
            continue
        user = User.objects.create_user(role, password=password, is_staff=role == "administrator")
        user.groups.add(Group.objects.get(name=role))


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    django.setup()
    make_logins(json.load(sys.stdin))


if __name__ == "__main__":
    main()
