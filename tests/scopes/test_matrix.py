"""Every address for somebody who is limited: what lies outside is not there, what concerns everything is refused.

The addresses come from the configuration. One that takes an object of a kind that nobody has named here, or a list of
ids that is tried nowhere, fails the build.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.schedules.models import Run
from opsconsole.access import Scoping
from opsconsole.models import GroupScope
from tests.api.callers import Program, token_of
from tests.hardened.doors import text_of
from tests.hardened.test_reading import fingerprints
from tests.monitoring.scheduled import make_scheduled_job
from tests.scopes.addresses import Address, addresses
from tests.scopes.place import INSIDE, OUTSIDE, Place, limited_group

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records"]
pytestmark = pytest.mark.django_db

NARROWED = [one for one in addresses() if one.scoping is Scoping.NARROWED]
OF_OBJECTS = [one for one in NARROWED if one.kinds]
LISTS = [one for one in NARROWED if not one.kinds and one.method == "GET"]
CLOSED = [one for one in addresses() if one.scoping is Scoping.CLOSED]
ALWAYS_THERE = {"trace"}
"""A trace id is no object: whoever asks for one sees what of its chain lies inside."""

SAY_THAT_IT_IS_GONE = {"api/v1/batch-plans/{number}/start", "api/v1/batch-plans/{number}/ask"}
"""What they answer of a plan that is not there: plans go after a day, and a program is to make a new one."""

STARTS_A_THREAD = {"sync/affected/runs/<int:number>/again/", "sync/affected/saved/<int:number>/run/"}
"""What they begin needs real commits; `test_affected.py` has them."""

# Addresses that take ids in a form or a body: each is tried with some that lie outside in `test_ids.py` or says why
# it takes none.
TAKE_IDS = {
    *("sync/staged/add/", "sync/staged/remove/", "sync/skipped/add/", "sync/skipped/off/", "sync/skipped/import/"),
    *("sync/skipped/import/apply/", "sync/by-hand/tasks/", "sync/by-hand/tasks/sync/", "sync/by-hand/window/sync/"),
    *("sync/by-hand/windows/", "sync/jobs/cancel/", "sync/jobs/stop/", "sync/jobs/kill/", "sync/jobs/retry/"),
    *("sync/jobs/skip/", "sync/jobs/delete/", "sync/ids/", "sync/ids/list/"),
    *("api/v1/staged-organizations", "api/v1/staged-organizations/remove", "api/v1/skip-list"),
    *("api/v1/skip-list/remove", "api/v1/by-hand/tasks/preview", "api/v1/by-hand/tasks", "api/v1/by-hand/windows"),
    *("api/v1/by-hand/organizations", "api/v1/ids/convert"),
}
TAKE_NONE = {
    "sync/staged/clear/": "takes out what is seen",
    "api/v1/staged-organizations/clear": "the same",
    "sync/batches/new/": "takes from the set what is seen",
    "api/v1/batch-plans": "the same",
    "api/v1/batches": "the same",
    "sync/affected/run/": "finds what is seen",
    "sync/affected/save/": "keeps a question",
}
LISTING = {
    # Where the organization inside is named, so that an empty page is no success.
    *("sync/jobs/", "sync/jobs/dead/", "sync/jobs/errors/", "sync/staged/", "sync/skipped/", "sync/batches/"),
    *("sync/skipped/skip-list.csv", "sync/affected/", "audit/csv/"),
    *("api/v1/jobs", "api/v1/batches", "api/v1/staged-organizations", "api/v1/skip-list", "api/v1/audit"),
}


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def page(place: Place) -> Client:
    return place.client()


@pytest.fixture
def program(place: Place) -> Program:
    return token_of(place.person)


def ask(address: Address, path: str, page: Client, program: Program, body: dict[str, Any] | None = None) -> Any:
    if address.of_api:
        caller, path = program, path.removeprefix("/api/v1/")
        return caller.get(path) if address.method == "GET" else caller.post(path, body or REASON)
    return page.get(path) if address.method == "GET" else page.post(path, body or REASON)


REASON = {"reason": "The customer asked."}


def test_every_address_says_what_it_takes() -> None:
    assert [str(one) for one in NARROWED if None in one.kinds] == []
    assert {one.scoping for one in addresses()} == set(Scoping)
    posts = {one.route for one in NARROWED if not one.kinds and one.method == "POST"}
    assert posts == TAKE_IDS | set(TAKE_NONE)
    assert {one.route for one in LISTS} >= LISTING
    assert {kind for one in OF_OBJECTS for kind in one.kinds} == {
        *("job", "batch", "plan", "run", "saved", "organization", "source", "entry", "trace")
    }


def test_what_lies_outside_is_not_there_and_stays_as_it_is(place: Place, page: Client, program: Program) -> None:
    program.get("jobs")  # its first use is written down
    before, wrong = fingerprints(), []
    asked = [one for one in OF_OBJECTS if not ALWAYS_THERE & set(one.kinds)]
    for one in asked:
        answer = ask(one, one.of(place.outside), page, program, BODIES.get(one.route))
        expected = 400 if one.route in SAY_THAT_IT_IS_GONE else 404
        if answer.status_code != expected or told(answer, place):
            wrong.append((str(one), answer.status_code))
    assert wrong == []
    assert len(asked) > 70
    after = fingerprints()
    assert {label for label in after if after[label] != before[label]} <= {
        *("sessions.Session", "usersessions.UserSession", "opsconsole.ApiToken")
    }


BODIES: dict[str, dict[str, Any]] = {
    "api/v1/jobs/{number}/skip": {"note": "too large"},
    "api/v1/batch-plans/{number}/start": {"reason": "x", "hash": "0" * 64},
    "api/v1/batch-plans/{number}/ask": {"reason": "x", "hash": "0" * 64},
    "api/v1/batches/{number}/plan": {"what": "clone"},
}


def told(answer: Any, place: Place) -> list[str]:
    """What of the outside the answer tells, beyond the address that was asked for."""
    text = text_of(answer).replace(answer.request["PATH_INFO"], "")
    return [word for word in place.telltale if word in text]


def test_what_lies_inside_is_there_and_tells_nothing_of_the_outside(
    place: Place, page: Client, program: Program
) -> None:
    wrong = []
    for one in (one for one in OF_OBJECTS if one.route not in STARTS_A_THREAD):
        with undone():
            answer = ask(one, one.of(place.inside), page, program, BODIES.get(one.route))
            status, found = answer.status_code, told(answer, place)
        if status in (401, 403, 404, 405, 429, 500) or found or (one.method == "GET" and status not in (200, 302)):
            wrong.append((str(one), status, found))
    assert wrong == []


def test_lists_and_files_leave_out_what_lies_outside(place: Place, page: Client, program: Program) -> None:
    wrong = []
    for one in LISTS:
        answer = ask(one, one.of(place.inside), page, program)
        text = text_of(answer)
        missing = one.route in LISTING and INSIDE not in text and place.inside.organization not in text
        if answer.status_code not in (200, 302, 422) or missing or any(word in text for word in place.telltale):
            wrong.append((str(one), answer.status_code, missing))
    assert wrong == []


def test_the_file_of_each_list_leaves_out_what_its_page_does(place: Place, page: Client) -> None:
    files, wrong = [], []
    for one in (one for one in (*LISTS, *OF_OBJECTS) if one.method == "GET" and not one.of_api):
        answer = page.get(one.of(place.inside), {"csv": "1"})
        text, is_file = text_of(answer), answer.headers["Content-Type"].startswith("text/csv")
        files += [one.route] if is_file else []
        if any(word in text for word in place.telltale) or (
            is_file and one.route in LISTING and INSIDE not in text and place.inside.organization not in text
        ):
            wrong.append(str(one))
    assert wrong == []
    assert {"sync/jobs/", "sync/staged/", "sync/batches/<int:number>/"} <= set(files)


def test_what_concerns_everything_is_refused_with_a_sentence(place: Place, page: Client, program: Program) -> None:
    wrong = []
    for one in CLOSED:
        answer = ask(one, one.of_anything(), page, program)
        if answer.status_code != 403 or "this concerns all of them" not in text_of(answer):
            wrong.append((str(one), answer.status_code))
    assert wrong == []
    assert {"pipeline/overview/", "alerts/", "api/v1/workers"} <= {one.route for one in CLOSED}
    assert (
        "this concerns all of them"
        in Client(headers={"authorization": f"Bearer {program.secret}"}).get("/metrics").json()["detail"]
    )


def test_to_be_limited_costs_one_query(place: Place, page: Client) -> None:
    """Of each page: beside the same person without limits, and however much is left out."""
    pages = [one for one in (*LISTS, *OF_OBJECTS) if one.method == "GET" and not one.of_api]
    limited = {one: _queries(page, one, place) for one in pages}
    GroupScope.objects.all().delete()
    everything = {one: _queries(page, one, place) for one in pages}
    assert [str(one) for one in pages if limited[one] > everything[one] + 1] == []


def _queries(page: Client, one: Address, place: Place) -> int:
    with CaptureQueriesContext(connection) as counted:
        text_of(page.get(one.of(place.inside)))
    return len(counted)


def test_the_administration_is_closed_to_whoever_is_limited(place: Place) -> None:
    place.person.is_staff = True
    place.person.save()
    for path in ("", "sync/job/", f"sync/job/{place.inside.job}/change/", "auth/group/", "opsconsole/user/add/"):
        answer = place.client().get(f"/admin/{path}")
        assert answer.status_code == 403, path
        assert "The administration shows everything" in answer.content.decode()


def test_a_trace_tells_only_what_lies_inside(place: Place, page: Client, program: Program) -> None:
    nightly = make_scheduled_job("nightly")
    Run.objects.create(scheduled_job=nightly, due_at=timezone.now(), state="done", trace_id=place.inside.trace)
    mine = page.get("/trace/", {"id": place.inside.trace}).content.decode()
    assert f"batch {place.inside.batch}" in mine
    assert "nightly" not in mine
    for text in (
        text_of(page.get("/trace/", {"id": place.outside.trace})),
        text_of(program.get(f"traces/{place.outside.trace}")),
    ):
        assert f"batch {place.outside.batch}" not in text
        assert not any(word in text for word in place.telltale)


def test_nobody_else_is_limited(place: Place) -> None:
    """The same addresses for whoever has one group more, without limits: the outside is there again."""
    place.person.groups.add(limited_group("everything"))
    page = place.client()
    for one in (one for one in OF_OBJECTS if one.method == "GET" and not one.of_api):
        assert page.get(one.of(place.outside)).status_code in (200, 302), str(one)


def test_the_search_finds_what_lies_inside(place: Place, page: Client) -> None:
    """Of what lies outside it says no more than of any text in the shape of an id."""
    outside, inside = place.outside, place.inside
    for text in (
        OUTSIDE,
        outside.organization,
        outside.task,
        str(outside.job),
        f"batch {outside.batch}",
        outside.trace,
    ):
        found = page.get("/search/", {"q": text})
        assert found.status_code == 200, text
        assert {hit.what for hit in found.context["hits"]} <= {"by hand"}, text
    assert page.get("/search/", {"q": f"job {inside.job}"}).headers["Location"] == f"/sync/jobs/{inside.job}/"
    assert INSIDE in page.get("/search/", {"q": INSIDE}).content.decode()
    assert [hit.name for hit in page.get("/search/", {"q": "alerts"}).context["hits"]] == []
