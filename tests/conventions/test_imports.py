"""Imports run one way, `monitoring → sync → opsconsole`, and `sync.engine` stands on the standard library alone.

The apps of `monitoring` are slices: none imports another but `pipeline`, whose overview sums up all, `schedules`,
whose jobs do what the others offer, `alerts`, which watches them all, and `abandonment`, which opens alerts of its own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FORBIDDEN = {
    "opsconsole": ("sync", "monitoring"),
    "sync": ("monitoring",),
    "monitoring/pipeline": ("monitoring.alerts",),
    "monitoring/schedules": ("monitoring.alerts",),
    "monitoring/records": ("monitoring.pipeline", "monitoring.schedules", "monitoring.alerts"),
}


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of each import statement, wherever it stands; `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            prefix = "." * node.level + base
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def belongs(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def wrong_for_package(module: str, package: str) -> bool:
    return any(belongs(module, forbidden) for forbidden in FORBIDDEN[package])


def wrong_for_engine(module: str) -> bool:
    allowed = module.partition(".")[0] in sys.stdlib_module_names
    return not allowed and not belongs(module, "sync.engine")


def engine_files() -> list[Path]:
    return sorted((ROOT / "sync" / "engine").rglob("*.py"))


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_packages_import_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files
        for line, module in imported_modules(path.read_text(encoding="utf-8"))
        if wrong_for_package(module, package)
    ]
    assert wrong == []


def test_engine_imports_only_itself_and_the_standard_library() -> None:
    assert engine_files()
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in engine_files()
        for line, module in imported_modules(path.read_text(encoding="utf-8"))
        if wrong_for_engine(module)
    ]
    assert wrong == []


CALLS_OUT = {
    *("opsconsole/outgoing/urls.py", "opsconsole/outgoing/client.py", "opsconsole/outgoing/connection.py"),
    *("sync/index/http.py", "sync/index/retry.py"),  # the estate's own index, for which nobody types an address
    *("monitoring/alerts/sending/service.py",),  # services, under a guard of their own
    *("opsconsole/demo/uploads.py",),  # the demonstration's company, which pings the console
    *("opsconsole/probe.py",),  # a container asks its own process whether it lives
}
HTTP_CLIENTS = ("httpx", "httpcore", "requests", "urllib3", "urllib.request", "http.client", "aiohttp", "apprise")


def test_http_is_spoken_in_one_place() -> None:
    """What calls an address that somebody configured goes through `opsconsole.outgoing`, where it is looked at."""
    found = {
        str(path.relative_to(ROOT))
        for package in ("opsconsole", "sync", "monitoring")
        for path in (ROOT / package).rglob("*.py")
        for _, module in imported_modules(path.read_text(encoding="utf-8"))
        if any(belongs(module, client) for client in HTTP_CLIENTS)
    }
    assert found == CALLS_OUT


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import django.db", "django.db"),
        ("from sync import operations", "sync.operations"),
        ("from sync.models import Job", "sync.models.Job"),
        ("def later():\n    from opsconsole import audit", "opsconsole.audit"),
        ("from ..models import Job", "..models.Job"),
    ],
)
def test_what_the_engine_must_not_import_is_seen(source: str, module: str) -> None:
    found = [name for _, name in imported_modules(source)]
    assert found == [module]
    assert wrong_for_engine(module)


@pytest.mark.parametrize("module", ["dataclasses.dataclass", "sync.engine.rows.Row", "sync.engine"])
def test_what_the_engine_may_import_is_let_through(module: str) -> None:
    assert not wrong_for_engine(module)


def test_a_longer_name_is_another_package() -> None:
    assert not wrong_for_package("synchronous.thing", "opsconsole")
    assert wrong_for_package("sync.models", "opsconsole")
    assert wrong_for_package("monitoring", "sync")
