"""`[[monitors]]`: what is expected of jobs elsewhere, and every mistake in it at once."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from opsconsole.estate.model import Monitor
from tests.estate.test_reader import EXAMPLE, mistakes, read, values

__all__ = ["values"]  # the fixture


def commented_example() -> dict[str, Any]:
    _, _, part = EXAMPLE.read_text(encoding="utf-8").partition("# --- Monitors")
    part, _, _ = part.partition("# --- Scheduled jobs")
    return tomllib.loads("\n".join(re.sub(r"^# ?", "", line) for line in part.splitlines()[1:]))


def test_the_example_reads(values: dict[str, Any]) -> None:
    (backup,) = read(values | commented_example()).monitors
    assert (backup.name, backup.cron, backup.zone, backup.period) == (
        "nightly-backup",
        "0 3 * * *",
        "Europe/Paris",
        None,
    )
    assert (backup.grace, backup.time_limit, backup.ping_key, backup.channels) == (
        1_800,
        7_200,
        "backups",
        ("operations",),
    )


def test_two_keys_are_enough(values: dict[str, Any]) -> None:
    found = read(values | {"monitors": [{"name": "sweep", "period": "1m"}]}).monitors
    assert found == (Monitor(name="sweep", period=60.0),)


@pytest.mark.parametrize(
    ("monitor", "path", "reason"),
    [
        ({"name": "sweep"}, "cron", "missing, and so is `period`"),
        ({"name": "sweep", "period": "1m", "cron": "* * * * *"}, "cron", "together with `period`"),
        ({"name": "sweep", "cron": "61 * * * *"}, "cron", "the minute is not valid"),
        ({"name": "A sweep", "period": "1m"}, "name", "small letters"),
        ({"name": "sweep", "period": "1m", "failures_to_open": 0}, "failures_to_open", "1 to 100"),
        ({"name": "sweep", "period": "1m", "every": "1m"}, "every", ""),
    ],
)
def test_a_mistake_is_named(values: dict[str, Any], monitor: dict[str, Any], path: str, reason: str) -> None:
    found = mistakes(values | {"monitors": [monitor]})
    assert any(one.startswith(f"monitors[1].{path} ") and reason in one for one in found), found


def test_a_name_is_used_once(values: dict[str, Any]) -> None:
    monitor = {"name": "sweep", "period": "1m"}
    assert any("used more than once" in one for one in mistakes(values | {"monitors": [monitor, monitor]}))
