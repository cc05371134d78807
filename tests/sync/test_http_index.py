"""The http index when its endpoint misbehaves. What it does when all is well is in the contract suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import pytest

from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate.model import Estate, Index, IndexAdapter, OrganizationTable, Source, TaskTable
from opsconsole.keys import KeyKind
from sync.index.http import LONGEST_URL, HttpIndex
from sync.index.retry import LONGEST_PAUSE, TRIES
from tests.sync.index_server import Answer, IndexServer, answer_with
from tests.sync.stores import estate_of

ORGANIZATION = UUID(int=9)
OK = answer_with([])


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with IndexServer().running() as running:
        yield running


def estate_for(url: str, kind: KeyKind = KeyKind.UUID, timeout: float = 5.0) -> Estate:
    tasks = TaskTable("tasks", organization="organization_id", compare=("status",), id_type=kind)
    source = Source("", OrganizationTable("organizations", id_type=kind), tasks)
    index = Index(IndexAdapter.HTTP, url, version="version", updated_at="updated_at", token="s3cret", timeout=timeout)
    return estate_of(source, index)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def index(server: IndexServer, pauses: list[float]) -> Iterator[HttpIndex]:
    with HttpIndex(estate_for(server.url), pause=pauses.append) as opened:
        yield opened


def task(number: int, **changes: object) -> dict[str, object]:
    return {
        "id": str(UUID(int=number)),
        "organization_id": str(ORGANIZATION),
        "version": 1,
        "updated_at": "2026-01-01T00:00:00Z",
        "status": "waiting",
        **changes,
    }


def page(index: HttpIndex, after: UUID | None = None) -> list[UUID | int | str]:
    return [row.key for row in index.page(ORGANIZATION, after, 10)]


def test_it_waits_as_long_as_the_server_asks(server: IndexServer, index: HttpIndex, pauses: list[float]) -> None:
    server.script += [Answer(429, headers={"Retry-After": "7"}), answer_with([task(1)])]
    assert page(index) == [UUID(int=1)]
    assert pauses == [7]


def test_it_waits_no_longer_than_its_cap(server: IndexServer, index: HttpIndex, pauses: list[float]) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    server.script += [Answer(503, headers={"Retry-After": later}), Answer(429, headers={"Retry-After": "99999"}), OK]
    assert page(index) == []
    assert pauses == [LONGEST_PAUSE, LONGEST_PAUSE]


def test_it_backs_off_by_itself(server: IndexServer, index: HttpIndex, pauses: list[float]) -> None:
    server.script += [Answer(500), Answer(502, headers={"Retry-After": "soon"}), OK]
    assert page(index) == []
    assert pauses == [0.5, 1.0]


def test_it_gives_up_after_three_tries(server: IndexServer, index: HttpIndex) -> None:
    server.script += [Answer(500)] * TRIES + [OK]
    with pytest.raises(UnavailableError, match=r"failed \(500\) \(3 tries\)"):
        page(index)
    assert len(server.requests) == TRIES


@pytest.mark.parametrize(
    ("status", "part"),
    [(401, "token_env"), (403, "forbids"), (404, "url_env"), (302, "status 302"), (204, "status 204")],
)
def test_refusals_are_told_at_once(server: IndexServer, index: HttpIndex, status: int, part: str) -> None:
    server.script.append(Answer(status, body=b""))
    with pytest.raises(OutsideDataError, match=part) as caught:
        page(index)
    assert len(server.requests) == 1
    assert "s3cret" not in str(caught.value)


def test_the_token_is_sent(server: IndexServer, index: HttpIndex) -> None:
    page(index)
    assert server.headers[0]["Authorization"] == "Bearer s3cret"


BAD_ANSWERS: list[tuple[Answer, str]] = [
    (Answer(body=b"<html>"), "did not answer with JSON"),
    (Answer(body=b"[]"), 'no object with a list "tasks"'),
    (Answer(body=b'{"tasks": {}}'), 'no object with a list "tasks"'),
    (Answer(body=b'{"tasks": [1]}'), "no object"),
    (Answer(body=b"[" * 100_000), "did not answer with JSON"),
    (answer_with([task(2), task(1)]), "not ordered by id"),
    (answer_with([task(1), task(1)]), "not ordered by id"),
    (answer_with([task(number) for number in range(1, 12)]), "11 tasks when at most 10"),
    (answer_with([task(1, organization_id=str(UUID(int=5)))]), "when .* was asked"),
    (answer_with([task(1, id=7)]), "no key of the kind uuid"),
    (answer_with([task(1, id=None)]), "without 'id'"),
    (answer_with([task(1, version="new")]), "no whole number"),
    (answer_with([task(1, updated_at="yesterday")]), "no ISO 8601 time"),
    (answer_with([{key: value for key, value in task(1).items() if key != "status"}]), "left out field 'status'"),
    (Answer(body=b'{"tasks": []' + b" " * 2_000_000 + b"}"), "more than"),
]


@pytest.mark.parametrize(("answer", "part"), BAD_ANSWERS, ids=[part for _, part in BAD_ANSWERS])
def test_answers_that_cannot_be_right(server: IndexServer, index: HttpIndex, answer: Answer, part: str) -> None:
    server.script.append(answer)
    with pytest.raises(OutsideDataError, match=part):
        page(index)
    assert len(server.requests) == 1


def test_a_page_that_starts_again_is_no_next_page(server: IndexServer, index: HttpIndex) -> None:
    server.script.append(answer_with([task(3)]))
    with pytest.raises(OutsideDataError, match="not ordered by id"):
        page(index, after=UUID(int=3))


def test_a_task_that_was_not_asked(server: IndexServer, index: HttpIndex) -> None:
    server.script.append(answer_with([task(3)]))
    with pytest.raises(OutsideDataError, match="which was not asked"):
        index.by_keys([UUID(int=1)])


def test_a_server_that_does_not_answer(server: IndexServer) -> None:
    released = threading.Event()
    server.script += [Answer(hold=released)] * TRIES
    with HttpIndex(estate_for(server.url, timeout=0.2), pause=lambda _: None) as index:
        with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s \(3 tries\)"):
            page(index)
        released.set()


def test_a_server_that_is_not_there(server: IndexServer, pauses: list[float]) -> None:
    gone = estate_for("http://user:hunter2@127.0.0.1:1/tasks")
    with HttpIndex(gone, pause=pauses.append) as index, pytest.raises(UnavailableError) as caught:
        page(index)
    assert "http://127.0.0.1:1/tasks" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(pauses) == TRIES - 1


def test_addresses_stay_short(server: IndexServer) -> None:
    with HttpIndex(estate_for(server.url, KeyKind.TEXT)) as index:
        index.by_keys([f"{'Ä,%' * 30}{number}" for number in range(300)])
    assert len(server.requests) > 1
    assert max(len(server.url) + len(request) for request in server.requests) <= LONGEST_URL + len("/tasks")


def test_a_source_without_versions_takes_the_time_for_one(server: IndexServer) -> None:
    server.tasks = [task(1, version=None)]
    with HttpIndex(estate_for(server.url)) as index:
        (row,) = index.page(ORGANIZATION, None, 5)
    assert row.version == 1_767_225_600_000_000


def test_a_body_that_cannot_be_decoded(server: IndexServer, index: HttpIndex) -> None:
    server.script.append(replace(OK, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(OutsideDataError, match="cannot be decoded"):
        page(index)


def test_a_connection_cut_off(server: IndexServer, index: HttpIndex) -> None:
    server.script += [replace(OK, cut=True)] * TRIES
    with pytest.raises(UnavailableError, match="broke the connection off"):
        page(index)


def test_search_refuses_another_status_another_order_and_too_many(server: IndexServer, index: HttpIndex) -> None:
    for tasks, said in (
        ([task(1), task(2, status="completed")], "in status 'completed'"),
        ([task(2), task(1)], "not ordered by id"),
        ([task(1), task(2), task(3)], "at most 2"),
    ):
        server.script.append(answer_with(tasks))
        with pytest.raises(OutsideDataError, match=said):
            index.search("waiting", 2)
    server.script.append(answer_with([task(1)]))
    assert [row.key for row in index.search("waiting", 2)] == [UUID(int=1)]
    assert server.requests[-1] == "/tasks?status=waiting&limit=2"
