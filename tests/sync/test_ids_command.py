"""`manage.py ids`: the list on standard output, what was wrong on standard error, and the exit status of each."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import call_command

from opsconsole import estate
from opsconsole.errors import UnavailableError
from sync.operations.ids import lookup as lookup_module
from sync.operations.ids import organization_rules, read_ids, task_rules
from sync.operations.ids.lookup import look_up
from tests.company import Company, EstateWriter

pytest_plugins = ["tests.fixtures_sync"]


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def run(*arguments: str) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("ids", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return Ran(int(str(end.code)), out.getvalue(), err.getvalue())
    return Ran(0, out.getvalue(), err.getvalue())


@pytest.fixture
def pasted(tmp_path: Path) -> Path:
    return tmp_path / "pasted.txt"


def test_all_fine(use_estate: EstateWriter, company: Company, pasted: Path) -> None:
    first, second = company.organizations()[:2]
    pasted.write_bytes(f"\ufefforganization_id;name\r\ns-{first};Acme\r\n{second.hex};B\r\n{first};A\r\n".encode())
    ran = run(str(pasted), "--to", "quoted")
    assert (ran.status, ran.out) == (0, f"'s-{first}','s-{second}'\n")
    assert ran.err == "2 valid; 1 duplicate removed. Read as CSV with a header, column 'organization_id'.\n"


def test_the_good_ones_are_printed_where_some_are_bad(use_estate: EstateWriter, company: Company, pasted: Path) -> None:
    known, unknown = company.organizations()[0], uuid4()
    pasted.write_text(f"nonsense\n{known}\n{unknown}\n")
    ran = run(str(pasted))
    assert (ran.status, ran.out) == (2, f"{known}\n")
    first, second, last = ran.err.splitlines()
    assert first.startswith("line 1: 'nonsense' is no UUID")
    assert second == f"line 3: s-{unknown} is not in the source"
    assert last == "1 valid; 1 unknown in the source; 1 malformed. Read as a list."


def test_tasks_from_standard_input(use_estate: EstateWriter, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    task = company.tasks(company.organizations()[0])[0]
    text = json.dumps([str(task), str(company.organizations()[0])])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    ran = run("-", "--of", "tasks", "--to", "sql")
    assert (ran.status, ran.out) == (2, f"('{task}')\n")
    assert "1 unknown in the source" in ran.err


def test_without_look_up_the_source_is_not_asked(
    use_estate: EstateWriter, pasted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    estate.reset()
    key = uuid4()
    pasted.write_text(f"{key}")
    ran = run(str(pasted), "--no-lookup", "--to", "prefixed")
    assert (ran.status, ran.out) == (0, f"s-{key}\n")
    assert "not looked up" in ran.err
    away = run(str(pasted))
    assert (away.status, away.out) == (1, "")
    assert "source" in away.err


def test_one_json_object_instead_of_the_list(use_estate: EstateWriter, company: Company, pasted: Path) -> None:
    known, unknown = company.organizations()[0], uuid4()
    pasted.write_text(f"{known} bad\n{unknown}")
    ran = run(str(pasted), "--json", "--to", "prefixed")
    assert ran.status == 2
    answer = json.loads(ran.out)
    assert answer["ids"] == [str(known)]
    assert answer["list"] == f"s-{known}"
    assert answer["unknown"] == [{"line": 2, "id": str(unknown)}]
    assert [(bad["line"], bad["text"]) for bad in answer["malformed"]] == [(1, "bad")]
    assert (answer["valid"], answer["malformed_total"], answer["read_as"]) == (1, 1, "list")


def test_a_request_that_cannot_be_carried_out_prints_nothing(use_estate: EstateWriter, pasted: Path) -> None:
    pasted.write_text(f"user,batch\n{uuid4()},{uuid4()}\n")
    ambiguous = run(str(pasted))
    assert (ambiguous.status, ambiguous.out) == (2, "")
    assert ambiguous.err.startswith("Which column has the ids of the organizations?")
    missing = run(str(pasted.with_name("nowhere.txt")))
    assert (missing.status, missing.out) == (2, "")
    assert "cannot be read" in missing.err
    error = json.loads(run(str(pasted), "--json").out)
    assert list(error) == ["error"]


def test_a_column_may_be_named(use_estate: EstateWriter, company: Company, pasted: Path) -> None:
    key = company.organizations()[0]
    pasted.write_text(f"user,batch\n{uuid4()},{key}\n")
    assert run(str(pasted), "--column", "batch").out == f"{key}\n"


def test_nothing_in_is_nothing_out(use_estate: EstateWriter, pasted: Path) -> None:
    pasted.write_text("\n\n")
    assert run(str(pasted)) == Ran(0, "", "0 valid. Read as nothing.\n")


def test_the_look_up_goes_in_chunks_and_keeps_the_order(
    use_estate: EstateWriter, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "KEYS_PER_QUERY", 2)
    source = estate.current().source
    organizations, unknown = company.organizations(), uuid4()
    report = read_ids(
        [*map(str, organizations[:3]), str(unknown), *map(str, organizations[3:])], organization_rules(source)
    )
    found = look_up(report)
    assert found.known == tuple(organizations)
    assert [(one.line, one.key) for one in found.unknown] == [(4, unknown)]
    assert set(found.names) == set(organizations)
    assert all(found.names.values())


def test_a_task_marked_deleted_is_known(use_estate: EstateWriter, company: Company) -> None:
    organization = company.organizations()[0]
    task = company.tasks(organization)[0]
    company.in_source("UPDATE tasks SET deleted_at = now() WHERE id = %s", task)
    report = read_ids([str(task)], task_rules(estate.current().source))
    assert look_up(report).known == (task,)


def test_a_source_that_is_away_is_told(use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    estate.reset()
    source = estate.current().source
    with pytest.raises(UnavailableError):
        look_up(read_ids(str(uuid4()), organization_rules(source)), source)
