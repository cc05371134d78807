"""Whatever leaves as a file, or as a stream, is on the audit log: such an answer is made in one place, which writes it
down. That each address does so is seen by `tests/hardened/test_hostile_files.py`, which asks them all."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKES_FILES = "opsconsole/downloads.py"
FILE_ANSWERS = {"StreamingHttpResponse", "FileResponse"}
STREAMS_OF_THE_API = {"sync/endpoints/affected.py"}


def files() -> list[Path]:
    return [path for package in ("opsconsole", "sync", "monitoring") for path in (ROOT / package).rglob("*.py")]


def makes_a_file(tree: ast.AST) -> bool:
    """Whether it calls a class of answers that are files, or names the header of one."""
    return any(
        (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FILE_ANSWERS)
        or (isinstance(node, ast.Constant) and node.value == "Content-Disposition")
        for node in ast.walk(tree)
    )


def streams(tree: ast.AST) -> bool:
    """Whether it has to do with the API's streams."""
    return any(isinstance(node, ast.ImportFrom) and node.module == "ninja.streaming" for node in ast.walk(tree))


def found_by(judge: object) -> set[str]:
    assert callable(judge)
    return {str(path.relative_to(ROOT)) for path in files() if judge(ast.parse(path.read_text(encoding="utf-8")))}


def test_files_are_made_in_one_place() -> None:
    assert found_by(makes_a_file) == {MAKES_FILES}


def test_each_stream_of_the_api_is_recorded() -> None:
    assert found_by(streams) == STREAMS_OF_THE_API
    assert all("audit.exported(" in (ROOT / name).read_text(encoding="utf-8") for name in STREAMS_OF_THE_API)
