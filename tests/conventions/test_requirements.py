"""Every package is pinned exactly, says why it is there, and no package comes in unlisted."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "requirements-opentelemetry.txt", "requirements-dev.txt")
LINE = re.compile(r"^(?P<requirement>[^#]+?)\s+# (?P<reason>\S.{5,})$")
PIN = re.compile(r"^==[0-9][0-9A-Za-z.]*$")


def package_lines(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith(("#", "-r "))]


def listed(*names: str) -> dict[str, Requirement]:
    """Canonical name to requirement, of the lines that apply to this Python."""
    found: dict[str, Requirement] = {}
    for name in names:
        for line in package_lines(name):
            requirement = Requirement(line.split(" #")[0])
            if requirement.marker is None or requirement.marker.evaluate():
                found[canonicalize_name(requirement.name)] = requirement
    return found


def needed_by(requirement: Requirement) -> set[str]:
    """Canonical names of what the installed package asks for on this Python, with the extras of the line."""
    wanted: set[str] = set()
    for text in requires(requirement.name) or []:
        need = Requirement(text)
        environments = [{"extra": extra} for extra in ("", *requirement.extras)]
        if need.marker is None or any(need.marker.evaluate(environment) for environment in environments):
            wanted.add(canonicalize_name(need.name))
    return wanted


@pytest.mark.parametrize("name", FILES)
def test_each_line_is_pinned_and_has_a_reason(name: str) -> None:
    wrong = []
    for line in package_lines(name):
        match = LINE.match(line)
        if not match or not PIN.match(str(Requirement(match["requirement"]).specifier)):
            wrong.append(line)
    assert wrong == []


def test_no_package_is_listed_twice() -> None:
    names = [canonicalize_name(Requirement(line.split(" #")[0]).name) for file in FILES for line in package_lines(file)]
    assert sorted(names) == sorted(set(names))


def test_what_is_installed_is_what_is_pinned() -> None:
    wrong = []
    for name, requirement in listed(*FILES).items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "not installed"
        if installed not in str(requirement.specifier):
            wrong.append(f"{requirement}: {installed}")
    assert wrong == []


@pytest.mark.parametrize("files", [FILES[:1], FILES[:2], FILES], ids=["runtime", "opentelemetry", "development"])
def test_what_a_package_needs_is_listed_too(files: tuple[str, ...]) -> None:
    packages = listed(*files)
    missing = {
        f"{need} (needed by {requirement.name})"
        for requirement in packages.values()
        for need in needed_by(requirement)
        if need not in packages
    }
    assert missing == set()
