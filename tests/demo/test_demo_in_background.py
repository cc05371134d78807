"""The demonstration as a script uses it: started in the background, worked with from another shell, ended by SIGINT."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.demo import environment
from opsconsole.demo.processes import identity, wait_until
from tests.demo.test_demo_command import BASE, SMALL, clean_environment, command, folder

__all__ = ["folder"]

AS_A_SHELL_STARTS_JOBS = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")

pytestmark = pytest.mark.timeout(400)  # a whole demonstration is started


def test_commands_reach_it_and_an_interrupt_ends_it_although_the_shell_had_it_ignored(folder: Path) -> None:
    note = folder / "running.json"
    arguments = command("--folder", str(folder), "--port", "0", *SMALL)
    demo = subprocess.Popen([*AS_A_SHELL_STARTS_JOBS, *arguments], stdout=subprocess.DEVNULL, env=clean_environment())
    try:
        assert wait_until(lambda: note.exists() or demo.poll() is not None, 150)
        running = json.loads(note.read_text())
        checked = subprocess.run(
            [sys.executable, str(BASE / "manage.py"), "estate", "check"],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | environment.variables(running),
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        demo.send_signal(signal.SIGINT)
        status = demo.wait(60)
    assert status == 0
    assert [name for name, pid in running["processes"].items() if identity(pid)] == []


def test_what_it_prints_is_for_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("console", "source", "index", "captures")
    databases = dict(zip(names, ("postgresql://a", "it's one", "postgresql://c", "postgresql://d"), strict=True))
    running = {"estate": "/folder/estate.toml", "databases": databases, "redis": "redis://d", "broker": "127.0.0.1:1"}
    (tmp_path / "running.json").write_text(json.dumps(running))
    environment.main([str(tmp_path / "running.json")])
    shown = capsys.readouterr().out
    shell = subprocess.run(["sh", "-c", f'{shown}printf %s "$SOURCE_DATABASE_URL"'], check=True, capture_output=True)
    assert shell.stdout.decode() == "it's one"


def test_without_a_demonstration_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make demo"):
        environment.main([str(tmp_path / "running.json")])
