"""What the docs say is there, is there; and what an operator has to know of is in the docs."""

from __future__ import annotations

import ast
import re
import shlex
import struct
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError

from opsconsole.demo import servers as demo_servers
from opsconsole.estate.model import (
    Check,
    DisableWay,
    Estate,
    HttpCall,
    HttpCalls,
    Index,
    Kafka,
    KafkaMessages,
    Monitor,
    OrganizationTable,
    Pipeline,
    QueueLimits,
    RecordSource,
    RecordStatus,
    ScheduledJob,
    Security,
    Source,
    SqlStatements,
    TaskTable,
    Throttle,
    TrackedSource,
)
from opsconsole.variables import declared
from opsconsole.variables.kinds import Variable
from opsconsole.variables.reference import reference

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
OWN_APPS = ("opsconsole", "sync", "monitoring")

CONSOLE_BLOCK = re.compile(r"^(?P<indent> *)```console\n(?P<lines>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
ROW_KEY = re.compile(r"^\| `(?P<key>[A-Za-z_]+)`", re.MULTILINE)
MOST_PICTURE_BYTES = 250_000

# The file has the name of a variable where the value itself is a secret.
WRITTEN_AS = {
    name: f"{name}_env" for name in ("url", "token", "bootstrap_servers", "username", "password", "key_password")
}
TABLES = {
    "[source]": Source,
    "[source.organizations]": OrganizationTable,
    "[source.tasks]": TaskTable,
    "[index]": Index,
    "[kafka]": Kafka,
    "[check]": Check,
    "[throttle]": Throttle,
    "[pipeline]": Pipeline,
    "[pipeline.high]": QueueLimits,
    "[[records]]": RecordSource,
    "[[records.statuses]]": RecordStatus,
    "[[monitors]]": Monitor,
    "[[scheduled_jobs]]": ScheduledJob,
    "[scheduled_jobs.http]": HttpCall,
    "[[tracked_tasks]]": TrackedSource,
    "[tracked_tasks.disable]": DisableWay,
    "[tracked_tasks.disable.sql]": SqlStatements,
    "[tracked_tasks.disable.http]": HttpCalls,
    "[tracked_tasks.disable.kafka]": KafkaMessages,
}
# Fields that are a value of their own, whose keys are in the same table of the file.
TAKEN_IN = {"security": Security}


def console_lines() -> Iterator[tuple[str, str]]:
    """Document and command, of each line with a prompt in a block marked `console`."""
    for path in DOCS:
        for block in CONSOLE_BLOCK.finditer(path.read_text(encoding="utf-8")):
            for line in block["lines"].splitlines():
                assert line.strip().startswith("$ "), (
                    f"{path.name}: {line!r} has no prompt; show output in another block"
                )
                yield path.name, line.strip()[2:]


def manage_calls() -> list[tuple[str, list[str]]]:
    """Document and arguments of each `manage.py`, pipes taken apart."""
    calls = []
    for name, line in console_lines():
        words = shlex.split(line)
        while "manage.py" in words:
            words = words[words.index("manage.py") + 1 :]
            end = words.index("|") if "|" in words else len(words)
            calls.append((name, words[:end]))
    return calls


@pytest.mark.parametrize(("name", "arguments"), manage_calls(), ids=lambda value: str(value)[:60])
def test_each_command_shown_is_one_with_these_options(name: str, arguments: list[str]) -> None:
    command_name, *rest = arguments
    command = load_command_class(get_commands()[command_name], command_name)
    parser = command.create_parser("manage.py", command_name)
    try:
        parser.parse_args(rest)
    except (CommandError, SystemExit) as error:
        pytest.fail(f"{name}: manage.py {shlex.join(arguments)}: {error}")


def test_each_make_target_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {word for _, line in console_lines() if line.startswith("make ") for word in line.split()[1:2]}
    assert shown
    assert shown <= targets


def test_each_command_of_the_console_is_in_operating() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    own = {name for name, app in get_commands().items() if app.partition(".")[0] in OWN_APPS}
    assert {name for name in own if f"manage.py {name}" not in text} == set()


def test_the_settings_reference_is_what_the_declarations_make() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == reference(), "docs/settings.md is stale: python manage.py settings_reference --write"
    assert set(ROW_KEY.findall(page)) == {variable.name for variable in declared_variables()}
    assert {name for name in demo_servers.GIVEN if f"`{name}`" not in page} == set()


def test_every_variable_says_what_it_is_for() -> None:
    names = [variable.name for variable in declared_variables()]
    assert len(names) == len(set(names)) > 40
    assert [variable.name for variable in declared_variables() if not (variable.meaning and variable.default)] == []
    assert [variable.name for variable in declared_variables() if variable.kind == "number" and not variable.unit] == []


def test_the_defaults_shown_are_those_that_are_read() -> None:
    shown = {variable.name: variable.default for variable in declared_variables() if variable.kind == "number"}
    assert shown == {v.name: str(v.read(environ={})) for v in declared_variables() if v.kind == "number"}
    for variable in declared_variables():
        variable.read(environ={})


def test_every_declared_variable_is_read_by_the_settings() -> None:
    tree = ast.parse((ROOT / "opsconsole" / "settings.py").read_text(encoding="utf-8"))
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    constants = {id(value): name for name, value in vars(declared).items()}
    assert {constants[id(variable)] for variable in declared_variables()} - read == set()


READERS_OF_THE_ENVIRONMENT = {
    "opsconsole/env.py": "the typed readers",
    "opsconsole/variables/kinds.py": "the declarations",
    "opsconsole/estate/__init__.py": "names that the estate file gives",
    "opsconsole/wsgi.py": "says which settings file there is",
    "opsconsole/processes.py": "a name that the worker gives its own child",
    "opsconsole/audit.py": "who typed a command",
}


def test_nothing_reads_the_environment_past_the_declarations() -> None:
    """What is read elsewhere would be in no reference."""
    found = set()
    for app in OWN_APPS:
        for path in (ROOT / app).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            reads = re.search(r"os\.environ|os\.getenv|\bgetenv\(", path.read_text(encoding="utf-8"))
            if reads and not name.startswith("opsconsole/demo/"):
                found.add(name)
    assert found - set(READERS_OF_THE_ENVIRONMENT) == set()


def declared_variables() -> list[Variable[Any]]:
    return [variable for section in declared.SECTIONS for variable in section.variables]


def estate_sections() -> dict[str, set[str]]:
    """The documented keys of each table of the estate file."""
    text = (ROOT / "docs" / "estate.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    named = {re.match(r"`([^`]+)`", section): section for section in sections}
    return {match[1]: set(ROW_KEY.findall(section)) for match, section in named.items() if match}


@pytest.mark.parametrize("table", TABLES)
def test_each_key_of_the_estate_is_documented(table: str) -> None:
    bare = [name.strip("[]") for name in TABLES]
    below = {name.rpartition(".")[2] for name in bare if name.startswith(f"{table.strip('[]')}.")}
    names = {field.name for field in fields(TABLES[table])} - below
    for name in names & TAKEN_IN.keys():
        names = names - {name} | {field.name for field in fields(TAKEN_IN[name])}
    written_as = {} if TABLES[table] is HttpCall else WRITTEN_AS  # its address is no secret
    assert estate_sections()[table] == {written_as.get(name, name) for name in names}


def test_each_table_of_the_estate_is_documented() -> None:
    assert {field.name for field in fields(Estate)} <= {name.strip("[]") for name in estate_sections()}
    assert set(estate_sections()) == set(TABLES)


def anchors(path: Path) -> set[str]:
    """The fragments that a page's headings can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", ANY_BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_and_pictures_resolve(path: Path) -> None:
    broken = []
    for match in LINK.finditer(ANY_BLOCK.sub("", path.read_text(encoding="utf-8"))):
        target, _, fragment = match["target"].partition("#")
        if target.startswith(("https://", "http://")):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.is_file() or (fragment and fragment not in anchors(file)):
            broken.append(match["target"])
    assert broken == []


def test_the_readme_names_every_page_of_the_docs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in DOCS[2:] if f"(docs/{path.name})" not in text] == []


def test_pictures_are_small_and_as_wide_as_a_desk() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert pictures
    for path in pictures:
        data = path.read_bytes()
        assert len(data) <= MOST_PICTURE_BYTES, path.name
        assert struct.unpack(">I", data[16:20])[0] >= 1280, path.name


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_promise_of_the_threat_model_names_what_holds_it() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("### The doors, and what holds each promise")[2].partition("###")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row.split(" | ")[-1]] == []
