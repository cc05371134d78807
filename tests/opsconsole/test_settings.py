"""What production refuses to start with, as a process meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[2]
SAFE = {
    "OPSCONSOLE_ENVIRONMENT": "production",
    "SECRET_KEY": "k" * 20 + "0123456789abcdef" * 3,
    "ALLOWED_HOSTS": "console.example.com",
}
# Ours alone: what a test run or a shell has set is no part of it.
OWN = ("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS", "OPSCONSOLE_", "DJANGO_", "DATABASE_", "SECURE_", "TRUST_", "CSRF_")


def load(names: str = "IN_PRODUCTION", **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that reads the settings and prints some of them."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    return subprocess.run(
        [sys.executable, "-c", f"from opsconsole.settings import *; print({names})"],
        check=False,
        capture_output=True,
        text=True,
        env=clean | environment,
        cwd=BASE,
    )


def test_safe_production_starts_with_everything_on() -> None:
    names = "SESSION_COOKIE_SECURE, CSRF_COOKIE_SECURE, SECURE_SSL_REDIRECT, SECURE_HSTS_SECONDS > 0, DEBUG"
    done = load(names, **SAFE)
    assert (done.stdout.strip(), done.returncode) == ("True True True True False", 0), done.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing or shorter than 32 characters"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is missing or shorter than 32 characters"),
        ({"DEBUG": "on"}, "DEBUG is on"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS has a wildcard"),
        ({"ALLOWED_HOSTS": "console.example.com,*.example.com"}, "ALLOWED_HOSTS has a wildcard"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is empty"),
    ],
)
def test_production_refuses_and_says_why(changes: dict[str, str], reason: str) -> None:
    done = load(**(SAFE | changes))
    assert done.returncode != 0
    assert f"Refusing to start in production: {reason}." in done.stderr


def test_all_reasons_are_named_at_once() -> None:
    done = load(OPSCONSOLE_ENVIRONMENT="production", DEBUG="1", ALLOWED_HOSTS="*")
    assert "SECRET_KEY is missing" in done.stderr
    assert "DEBUG is on; ALLOWED_HOSTS has a wildcard" in done.stderr


def test_production_is_what_an_empty_environment_means() -> None:
    assert "Refusing to start in production" in load().stderr


def test_a_secret_key_may_come_from_a_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(SAFE["SECRET_KEY"], encoding="utf-8")
    environment = {name: value for name, value in SAFE.items() if name != "SECRET_KEY"}
    assert load("len(SECRET_KEY)", **environment, SECRET_KEY_FILE=str(key)).stdout.strip() == "68"


def test_development_starts_with_nothing_set() -> None:
    assert load("IN_PRODUCTION, SECURE_SSL_REDIRECT", OPSCONSOLE_ENVIRONMENT="development").stdout == "False False\n"


def test_an_environment_of_another_name_is_refused() -> None:
    assert "allowed are 'production' (the default) and 'development'" in load(OPSCONSOLE_ENVIRONMENT="staging").stderr
