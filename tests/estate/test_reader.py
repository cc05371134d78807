"""The estate file: typed, with every mistake named at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import Error, Info

from opsconsole import estate
from opsconsole.checks import check_estate
from opsconsole.estate import EstateError
from opsconsole.estate.model import Estate, IndexAdapter
from opsconsole.estate.reader import build
from opsconsole.keys import KeyKind

EXAMPLE = Path(__file__).parents[2] / "estate.example.toml"
ENVIRON = {
    "SOURCE_DATABASE_URL": "postgresql://reader:s3cret@db.example.com/company",
    "INDEX_DATABASE_URL": "postgresql://reader:s3cret@index.example.com/index",
    "KAFKA_BOOTSTRAP_SERVERS": "k1.example.com:9092, k2.example.com:9092",
    "INDEX_URL": "https://index.example.com/tasks",
    "INDEX_TOKEN": "t0ken",
}


@pytest.fixture
def values() -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    estate.reset()
    yield
    estate.reset()


def read(values: dict[str, Any], **environ: str) -> Estate:
    return build(values, "estate.toml", {**ENVIRON, **environ})


def mistakes(values: dict[str, Any], **environ: str) -> tuple[str, ...]:
    with pytest.raises(EstateError) as caught:
        read(values, **environ)
    return caught.value.mistakes


def test_the_example_loads() -> None:
    loaded = estate.load(EXAMPLE, ENVIRON)
    assert loaded.source.tasks.compare == ("status", "title", "assignee_id", "due_at")
    assert loaded.source.organizations.id_type is KeyKind.UUID
    assert loaded.source.statement_timeout == 30
    assert loaded.index.adapter is IndexAdapter.POSTGRES
    assert loaded.kafka.bootstrap_servers == ("k1.example.com:9092", "k2.example.com:9092")
    assert loaded.check.memory_limit == 512 * 1024**2


def test_secrets_are_not_in_its_text() -> None:
    assert "s3cret" not in repr(estate.load(EXAMPLE, ENVIRON))


def test_the_http_index_of_the_example(values: dict[str, Any]) -> None:
    values["index"] = {"adapter": "http", "url_env": "INDEX_URL", "token_env": "INDEX_TOKEN"}
    index = read(values).index
    assert (index.url, index.token) == ("https://index.example.com/tasks", "t0ken")
    assert (index.version, index.updated_at) == ("version", "updated_at")


def test_a_secret_may_come_from_a_file(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://x@elsewhere/y\n")
    environ = {name: value for name, value in ENVIRON.items() if name != "SOURCE_DATABASE_URL"}
    environ["SOURCE_DATABASE_URL_FILE"] = str(tmp_path / "url")
    assert build(values, "estate.toml", environ).source.url == "postgresql://x@elsewhere/y"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1h", 3600), (12, 12), (0.5, 0.5), ("1.5 m", 90)],
)
def test_durations(values: dict[str, Any], written: object, seconds: float) -> None:
    values["source"]["statement_timeout"] = written
    assert read(values).source.statement_timeout == seconds


@pytest.mark.parametrize("written", ["30", "soon", "-5s", "30 parsecs", True, "1h30m", ["30s"], -1, float("nan"), "0s"])
def test_what_is_no_duration(values: dict[str, Any], written: object) -> None:
    values["source"]["statement_timeout"] = written
    (mistake,) = mistakes(values)
    assert mistake.startswith("source.statement_timeout is ")
    assert "allowed is" in mistake


@pytest.mark.parametrize(("written", "size"), [("512MiB", 512 * 1024**2), ("1GB", 10**9), (100_000_000, 100_000_000)])
def test_sizes(values: dict[str, Any], written: object, size: int) -> None:
    values["check"]["memory_limit"] = written
    assert read(values).check.memory_limit == size


def test_odd_tables(values: dict[str, Any]) -> None:
    values["source"]["tasks"]["table"] = ["Odd.Schema", "My Table"]
    values["source"]["organizations"]["table"] = "crm.accounts"
    loaded = read(values).source
    assert loaded.tasks.table == ("Odd.Schema", "My Table")
    assert loaded.organizations.table == "crm.accounts"


def test_every_mistake_is_told_at_once(values: dict[str, Any]) -> None:
    values["sorce"] = {}
    values["source"]["tasks"]["statsu"] = "state"
    values["source"]["tasks"]["compare"] = []
    values["source"]["tasks"]["deleted"] = "true; DROP TABLE tasks"
    values["source"]["organizations"]["id_type"] = "uid"
    del values["source"]["organizations"]["table"]
    values["index"]["fields"] = {"titel": "task_title"}
    values["kafka"]["api_version"] = "two"
    values["check"]["chunk_rows"] = "many"
    found = mistakes(values, KAFKA_BOOTSTRAP_SERVERS="")
    expected = [
        ("source.organizations.table", "is missing"),
        ("source.organizations.id_type", "allowed are"),
        ("source.tasks.compare", "at least one"),
        ("source.tasks.deleted", "semicolon"),
        ("source.tasks.statsu", 'did you mean "status"'),
        ("kafka.bootstrap_servers_env", "KAFKA_BOOTSTRAP_SERVERS, which is not set"),
        ("kafka.api_version", '"2.3"'),
        ("check.chunk_rows", "a whole number"),
        ("sorce", 'did you mean "source"'),
    ]
    for path, part in expected:
        assert any(mistake.startswith(f"{path} ") and part in mistake for mistake in found), (path, found)
    assert len(found) == len(expected)


def test_a_field_of_the_index_that_is_not_compared(values: dict[str, Any]) -> None:
    values["index"]["fields"] = {"titel": "task_title"}
    (mistake,) = mistakes(values)
    assert mistake.startswith("index.fields.titel ")
    assert 'did you mean "title"' in mistake


@pytest.mark.parametrize("table", ["source", "index", "kafka"])
def test_a_missing_table_is_one_mistake(values: dict[str, Any], table: str) -> None:
    del values[table]
    assert mistakes(values) == (f"{table} is missing; a table is needed.",)


@pytest.mark.parametrize("link", ["javascript:alert({id})", "https://x/", "https://x/{id}/{name}", "/org/{id}"])
def test_links_must_be_safe_addresses(values: dict[str, Any], link: str) -> None:
    values["source"]["organizations"]["link"] = link
    (mistake,) = mistakes(values)
    assert mistake.startswith("source.organizations.link ")


def test_a_bad_url_is_not_repeated(values: dict[str, Any]) -> None:
    (mistake,) = mistakes(values, SOURCE_DATABASE_URL="mysql://root:hunter2@host/db")
    assert "source.url_env" in mistake
    assert "hunter2" not in mistake


@pytest.mark.parametrize("content", [b"[source", b"\xff\xfe", b'a = "unfinished'])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "estate.toml"
    path.write_bytes(content)
    with pytest.raises(EstateError, match=r"estate\.toml: The file is not"):
        estate.load(path, {})


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EstateError, match=r"There is no estate file at .*estate\.example\.toml.*OPSCONSOLE_ESTATE"):
        estate.load(tmp_path / "nowhere.toml", {})


def test_the_current_estate_is_read_once(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    settings.ESTATE = str(tmp_path / "estate.toml")
    with pytest.raises(EstateError):
        estate.current()
    (tmp_path / "estate.toml").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    first = estate.current()
    assert estate.current() is first
    estate.reset()
    assert estate.current() is not first


def test_the_system_check_has_one_error_for_each_mistake(settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "estate.toml"
    path.write_text("[check]\nchunk_rows = 0\n")
    settings.ESTATE = str(path)
    messages = check_estate(None)
    assert all(isinstance(message, Error) for message in messages)
    assert len(messages) == 4


def test_the_system_check_is_quiet_without_a_file(settings: Any, tmp_path: Path) -> None:
    settings.ESTATE = str(tmp_path / "nowhere.toml")
    (message,) = check_estate(None)
    assert isinstance(message, Info)
