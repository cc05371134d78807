"""Every way in that takes ids: where one of them lies outside all are refused, in a sentence, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sync.models import Job, QueryRun, SkippedOrganization, StagedOrganization
from tests.api.callers import token_of
from tests.company import Company
from tests.hardened.doors import text_of
from tests.hardened.test_reading import fingerprints
from tests.scopes.place import Place
from tests.scopes.test_matrix import TAKE_IDS

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records"]
pytestmark = pytest.mark.django_db

REFUSED = "your groups are limited to"
WINDOW = {"from": "2026-01-01 00:00:00", "to": "2026-01-02 00:00:00"}
BETWEEN = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class Both:
    """An id of each side, in words of a form."""

    place: Place

    def of(self, name: str) -> list[str]:
        return [str(getattr(things, name)) for things in (self.place.inside, self.place.outside)]

    def lines(self, name: str) -> str:
        return "\n".join(self.of(name))


Body = Callable[[Both], dict[str, Any]]


def organizations(both: Both) -> str:
    return both.lines("organization")


def jobs(**more: str) -> Body:
    return lambda both: {"jobs": ",".join(both.of("job")), "reason": "x", "why": "other"} | more


def skip_file(both: Both) -> str:
    return "\n".join(["organization_id", *both.of("organization")])


PAGES: dict[str, Body] = {
    "sync/staged/add/": lambda both: {"ids": organizations(both)},
    "sync/staged/remove/": lambda both: {"selected": both.of("organization")},
    "sync/skipped/add/": lambda both: {"ids": organizations(both), "reason": "other", "note": "x"},
    "sync/skipped/off/": lambda both: {"selected": both.of("skipped"), "reason": "x"},
    "sync/skipped/import/": lambda both: {"text": skip_file(both)},
    "sync/skipped/import/apply/": lambda both: {"text": skip_file(both), "digest": "0" * 64, "reason": "x"},
    "sync/by-hand/tasks/": lambda both: {"ids": both.lines("task")},
    "sync/by-hand/tasks/sync/": lambda both: {"ids": both.lines("task"), "reason": "x"},
    "sync/by-hand/window/sync/": lambda both: (
        {"organization": both.place.outside.organization, "mode": "sync", "reason": "x"} | WINDOW
    ),
    "sync/by-hand/windows/": lambda both: {"which": "listed", "ids": organizations(both), "mode": "report"} | WINDOW,
    "sync/jobs/cancel/": jobs(),
    "sync/jobs/stop/": jobs(),
    "sync/jobs/kill/": jobs(),
    "sync/jobs/retry/": jobs(),
    "sync/jobs/skip/": jobs(),
    "sync/jobs/delete/": jobs(),
}
PROGRAMS: dict[str, Body] = {
    "staged-organizations": lambda both: {"organizations": both.of("organization")},
    "staged-organizations/remove": lambda both: {"organizations": both.of("organization")},
    "skip-list": lambda both: {"organizations": both.of("organization"), "note": "x"},
    "skip-list/remove": lambda both: {"entries": [int(text) for text in both.of("skipped")], "reason": "x"},
    "by-hand/tasks/preview": lambda both: {"tasks": both.of("task")},
    "by-hand/tasks": lambda both: {"tasks": both.of("task"), "reason": "x"},
    "by-hand/organizations": lambda both: {"organization": both.place.outside.organization},
    "by-hand/windows": lambda both: {
        "organization": both.place.outside.organization,
        "window": BETWEEN,
        "reason": "x",
    },
}
READ_ONLY = {"sync/ids/", "sync/ids/list/", "api/v1/ids/convert"}
MAY_CHANGE = {"sessions.Session", "usersessions.UserSession", "opsconsole.ApiToken"}


def test_every_way_in_is_tried() -> None:
    assert set(PAGES) | {f"api/v1/{path}" for path in PROGRAMS} | READ_ONLY == TAKE_IDS


def test_pages_refuse_all_where_one_lies_outside(place: Place) -> None:
    client, before = place.client(), fingerprints()
    for route, body in PAGES.items():
        answer = client.post(f"/{route}", body(Both(place)), follow=True)
        text = text_of(answer)
        assert REFUSED in text, (route, answer.status_code)
        assert "Outside Works" not in text, route
    changed = fingerprints()
    assert {label for label in changed if changed[label] != before[label]} <= MAY_CHANGE


def test_programs_are_refused_all_where_one_lies_outside(place: Place) -> None:
    program, before = token_of(place.person), None
    program.get("jobs")
    before = fingerprints()
    for path, body in PROGRAMS.items():
        answer = program.post(path, body(Both(place)))
        assert (answer.status_code, REFUSED in text_of(answer)) == (400, True), (path, answer.content)
    changed = fingerprints()
    assert {label for label in changed if changed[label] != before[label]} <= MAY_CHANGE


def test_ticked_rows_of_a_result_and_of_stuck_records_are_refused_all(place: Place) -> None:
    client, both = place.client(), Both(place)
    QueryRun.objects.update(within=[place.inside.organization])
    StagedOrganization.objects.all().delete()
    for address, ticked in (
        (f"/sync/affected/runs/{place.inside.run}/stage/", both.of("organization")),
        ("/sync/jobs/cancel/", both.of("job")),
    ):
        answer = client.post(address, {"selected": ticked}, follow=True)
        assert REFUSED in text_of(answer), address
    assert not StagedOrganization.objects.exists()


def test_ids_are_looked_up_as_far_as_they_are_seen(place: Place) -> None:
    both, program = Both(place), token_of(place.person)
    for of, name in (("organizations", "organization"), ("tasks", "task")):
        inside, outside = both.of(name)
        page = text_of(place.client().post("/sync/ids/", {"ids": both.lines(name), "of": of, "to": "bare"}))
        assert "Outside Works" not in page
        found = program.post("ids/convert", {"text": both.lines(name), "of": of}).json()
        assert (found["ids"], [one["id"] for one in found["unknown"]]) == ([inside], [outside])


def test_what_lies_inside_is_done(place: Place, company: Company) -> None:
    program, inside = token_of(place.person), place.inside
    key = inside.organization
    assert program.post("staged-organizations/remove", {"organizations": [key]}).json() == {"removed": 1}
    assert program.post("skip-list/remove", {"entries": [inside.skipped], "reason": "x"}).json() == {"taken_off": 1}
    assert program.post("staged-organizations", {"organizations": [key]}).json()["staged"] == 1
    assert program.post("staged-organizations/clear").json() == {"removed": 1}
    assert StagedOrganization.objects.get().organization_id == place.outside.organization
    assert SkippedOrganization.objects.open().get().organization_id == place.outside.organization
    job = program.post("by-hand/tasks", {"tasks": [inside.task], "mode": "sync", "reason": "x"}).json()
    assert (job["kind"], job["organization"]) == ("tasks", key)
    assert program.get(f"jobs/{job['number']}").status_code == 200
    assert program.post("by-hand/windows", {"organization": key, "window": BETWEEN, "reason": "x"}).status_code == 201


def test_tasks_by_hand_of_somebody_who_is_limited_are_of_one_organization(place: Place, company: Company) -> None:
    third = str(company.organizations()[2])
    place.person.groups.get().scope.__class__.objects.update(organizations=[place.inside.organization, third])
    tasks = [place.inside.task, str(company.tasks(company.organizations()[2])[0])]
    refused = token_of(place.person).post("by-hand/tasks", {"tasks": tasks, "reason": "x"})
    assert refused.status_code == 400
    assert "These tasks are of 2 organizations" in refused.json()["detail"]
    assert not Job.objects.filter(kind="tasks").exists()


def test_a_query_on_the_index_is_refused(place: Place) -> None:
    page = text_of(place.client().get("/sync/by-hand/", {"way": "query", "status": "waiting", "limit": "10"}))
    assert "A query on the index finds tasks of all organizations" in page
