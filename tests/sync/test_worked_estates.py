"""Each worked estate of the docs: its tables are made as they stand there, and all that its file names is connected."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from opsconsole import estate
from opsconsole.demo.addresses import ServerAddresses
from sync.estate_check.result import Status
from sync.estate_check.systems import check_estate
from tests.company import at_database, run_sql

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "worked-estates.md").read_text(encoding="utf-8")
EXAMPLES = dict(part.split("\n", 1) for part in TEXT.split("\n## ")[1:])
SQL = re.compile(r"```sql\n-- (?P<variable>\w+)\n(?P<statements>.*?)```", re.DOTALL)
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture
def databases(servers: ServerAddresses) -> Iterator[dict[str, str]]:
    """Name of a variable to the database that an example made for it."""
    made: dict[str, str] = {}
    yield made
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        for name in made.values():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    gc.collect()  # kafka-python leaves sockets of refused connections to it: here, not in another test


@pytest.mark.parametrize("title", EXAMPLES)
def test_everything_that_it_names_is_there(
    title: str, servers: ServerAddresses, databases: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(servers.admin_url, autocommit=True) as admin:
        for made in SQL.finditer(EXAMPLES[title]):
            name = databases[made["variable"]] = f"worked_{uuid4().hex[:8]}"
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            address = at_database(servers.admin_url, name)
            monkeypatch.setenv(made["variable"], address)
            run_sql(address, made["statements"])
    if "PLANES_DATABASE_URL" in databases:
        monkeypatch.setenv("PLANES_WRITER_URL", at_database(servers.admin_url, databases["PLANES_DATABASE_URL"]))
    path = tmp_path / "estate.toml"
    # The test's broker does not tell its version.
    path.write_text(TOML.findall(EXAMPLES[title])[0].replace("[kafka]", '[kafka]\napi_version = "2.3"'))
    results = list(check_estate(estate.load(str(path)), servers.redis_url))
    assert [result for result in results if result.status is Status.PROBLEM] == []
    warned = {result.name.split()[-1] for result in results if result.status is Status.WARNING}
    assert warned == {"role"}  # the test's may write everywhere
    assert {"source tasks", "source walk", "index walk", "kafka topic"} <= {result.name for result in results}
