"""`manage.py demo` as a newcomer runs it, with a small company."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from opsconsole.demo import environment
from opsconsole.demo.processes import identity, wait_until
from opsconsole.demo.servers import GIVEN

BASE = Path(__file__).resolve().parents[2]
AS_A_SHELL_STARTS_JOBS = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
SMALL = ("--organizations", "12", "--tasks", "1200", "--largest", "400", "--gap", "60")

pytestmark = pytest.mark.timeout(400)  # a whole demonstration is started, some of them twice


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="opsconsole-demo-") as name:
        yield Path(name)


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE / "manage.py"), "demo", *arguments]


def clean_environment() -> dict[str, str]:
    """Without the servers that other tests run on: the command starts its own."""
    return {name: value for name, value in os.environ.items() if name not in GIVEN}


@contextmanager
def running(
    folder: Path, *arguments: str, by: tuple[str, ...] = (), ended_by: signal.Signals = signal.SIGTERM
) -> Iterator[dict[str, Any]]:
    """The command, from its `running.json` on; ended with a signal, which it must obey with exit status 0."""
    note = folder / "running.json"
    with (folder / "output").open("w") as output:
        demo = subprocess.Popen(
            [*by, *command("--folder", str(folder), "--port", "0", *arguments)], stdout=output, env=clean_environment()
        )
    try:
        assert wait_until(lambda: note.exists() or demo.poll() is not None, 150)
        assert demo.poll() is None, (folder / "output").read_text()
        yield json.loads(note.read_text())
    finally:
        demo.send_signal(ended_by)
        assert demo.wait(60) == 0


def test_it_stays_until_told_to_stop_and_finds_its_data_again(folder: Path) -> None:
    """First as a newcomer starts it, then as a script does: in the background, where the shell has SIGINT ignored."""
    with running(folder, *SMALL) as first:
        assert (folder / "running.json").stat().st_mode & 0o777 == 0o600
        assert {"web", "worker-1", "worker-2", "clock", "indexer", "postgres", "valkey", "broker"} < set(
            first["processes"]
        )
        assert httpx.get(first["address"], follow_redirects=True, timeout=30).status_code == 200
        killed = first["processes"]["worker-1"]
        os.kill(killed, signal.SIGKILL)
        assert wait_until(lambda: "worker-1 ended with -9" in (folder / "output").read_text(), 20)
        assert wait_until(lambda: processes(folder)["worker-1"] != killed, 10)
        left = processes(folder)
    assert alive(left) == []
    assert not (folder / "running.json").exists()

    with running(folder, by=AS_A_SHELL_STARTS_JOBS, ended_by=signal.SIGINT) as second:
        assert second["gap"] == first["gap"]
        assert second["logins"] == first["logins"]
        assert_commands_reach(second)
    assert alive(second["processes"]) == []


def alive(of: dict[str, int]) -> list[str]:
    return [name for name, pid in of.items() if identity(pid)]


def assert_commands_reach(demo: dict[str, Any]) -> None:
    checked = subprocess.run(
        [sys.executable, str(BASE / "manage.py"), "estate", "check"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment.variables(demo),
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def processes(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "running.json").read_text())["processes"]
    return found


def test_the_check_does_the_main_job_and_leaves_no_drift(folder: Path) -> None:
    done = subprocess.run(
        command("--check", "--folder", str(folder), *SMALL),
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["drift_found"] == outcome["published"] == outcome["verified"] == outcome["lost"] == 60
    assert outcome["drift_after"] == outcome["unresolved"] == 0
    assert outcome["organizations"] == 12


@pytest.mark.parametrize(
    "arguments", [("--organizations", "0"), ("--tasks", "5", "--largest", "6"), ("--gap", "-1")], ids=" ".join
)
def test_odd_sizes_are_refused_before_anything_starts(folder: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        command("--folder", str(folder), *arguments),
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 2
    assert "--largest between 1 and --tasks" in done.stderr
    assert list(folder.iterdir()) == []
