"""reladiff on the same tables, from a virtual environment of its own: its dependencies are not the console's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import psycopg

from benchmarks.stage import COMPARED, Company

PINS = Path(__file__).with_name("reladiff.txt")
FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "reladiff"
AS_IT_COMES: tuple[str, ...] = ()
BEST = ("--bisection-factor", "64", "--bisection-threshold", "50000", "--threads", "2")
"""The best of the settings that were tried: README.md lists them."""

FAIR = "CREATE OR REPLACE VIEW living_tasks AS SELECT * FROM tasks"


def prepare(company: Company) -> None:
    """Install it where it is not, and give both sides a view: it takes one `where` for both, and only the source marks
    tasks as deleted."""
    _install()
    for url, condition in ((company.source_owner_url, " WHERE deleted_at IS NULL"), (company.index_owner_url, "")):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"{FAIR}{condition}".encode())


def run(company: Company, organization: UUID, settings: tuple[str, ...]) -> None:
    """Compare the organization's tasks; every difference is printed, to nowhere. Raises CalledProcessError."""
    columns = [argument for name in COMPARED for argument in ("-c", name)]
    sides = (company.source_url, "living_tasks", company.index_url, "living_tasks")
    where = ("-k", "id", *columns, "-w", f"organization_id = '{organization}'")
    program = str(FOLDER / "bin" / "reladiff")
    subprocess.run((program, *sides, *where, *settings), check=True, stdout=subprocess.DEVNULL)


def _install() -> None:
    done = FOLDER / "installed.txt"
    if done.exists() and done.read_text() == PINS.read_text():
        return
    subprocess.run((sys.executable, "-m", "venv", "--clear", str(FOLDER)), check=True)
    pip = (str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "--no-deps", "-r", str(PINS)), check=True)
    done.write_text(PINS.read_text())
