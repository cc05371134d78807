"""What another shell needs to reach the demonstration that runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from opsconsole.demo import environment


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
