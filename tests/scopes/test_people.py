"""Whose scope holds: groups together, each permission by itself, tokens as their person, and what it costs to know."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from monitoring.records.models import Snapshot
from opsconsole import estate, scope
from opsconsole.access import Role
from opsconsole.api.tokens import make_token
from opsconsole.audit import Actor, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry, GroupScope, User
from opsconsole.scope import UNLIMITED, Scope
from opsconsole.scoping import is_limited_anywhere, scope_of
from sync.access import CANCEL, RUN, VIEW
from sync.models import Batch, BatchState, Job
from sync.operations import batches
from sync.operations.batches import BatchOptions
from sync.operations.bulk import retry_jobs
from tests.api.callers import problem_of, token_of
from tests.monitoring.files import Files
from tests.scopes.place import Place, limited_group, limited_person
from tests.sync.jobs import make_job
from tests.web.sync_rows import make_batch
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records"]
pytestmark = pytest.mark.django_db

ACTOR = Actor("lim", Door.PAGE)
SEEING = {"opsconsole.use_console", "sync.view_job"}


def fresh(user: User) -> User:
    """As the next request has them: what they hold is asked once for each."""
    return User.objects.get(pk=user.pk)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_groups_add_up_and_one_without_limits_lifts_them() -> None:
    user = limited_person(organizations=["a"], permissions=SEEING)
    user.groups.add(limited_group("second", ["b"], permissions=SEEING))
    assert scope_of(fresh(user), VIEW) == Scope(frozenset("ab"))
    user.groups.add(limited_group("third", permissions={"sync.stage_organizations"}))
    assert scope_of(fresh(user), VIEW) == Scope(frozenset("ab"))
    user.groups.add(Group.objects.get(name=Role.VIEWER.value))
    assert scope_of(fresh(user), VIEW) == UNLIMITED


def test_each_permission_has_the_limits_of_the_groups_that_give_it(place: Place) -> None:
    """Whoever sees everything and acts on some of it sees the job outside, and cannot cancel it."""
    user = person("ed", Role.VIEWER)
    user.groups.add(limited_group("acting", [place.inside.organization], permissions={"sync.cancel_job"}))
    assert (scope_of(fresh(user), VIEW).limited, scope_of(fresh(user), CANCEL).limited) == (False, True)
    client = client_of(user)
    job = make_job(organization_id=place.outside.organization)
    assert client.get(f"/sync/jobs/{job.pk}/").status_code == 200
    assert client.get(f"/sync/jobs/{job.pk}/cancel/").status_code == 404
    assert client.post(f"/sync/jobs/{job.pk}/cancel/", {"reason": "x"}).status_code == 404
    job.refresh_from_db()
    assert job.state == "queued"


def test_superusers_and_a_persons_own_permissions_have_no_limits() -> None:
    user = limited_person(organizations=["a"], permissions=SEEING)
    user.user_permissions.add(Permission.objects.get(codename="view_job"))
    assert scope_of(fresh(user), VIEW) == UNLIMITED
    assert is_limited_anywhere(fresh(user))
    root = person("root", None, is_superuser=True)
    root.groups.add(limited_group("of root", ["a"]))
    assert scope_of(fresh(root), RUN) == UNLIMITED
    assert not is_limited_anywhere(fresh(root))


def test_a_permission_that_nobody_gave_allows_nothing() -> None:
    assert scope_of(person("nobody", None), VIEW) == scope.NOTHING


def test_whoever_has_no_limits_pays_nothing_and_others_one_query(place: Place) -> None:
    """Beside a session of the same groups without limits: one query for the limits, and none for each of them."""

    def queries(user: User) -> int:
        client = client_of(user)
        with CaptureQueriesContext(
            connection,
        ) as counted:
            assert client.get("/sync/jobs/").status_code == 200
        return len(counted)

    Job.objects.all().delete()
    everything = person("all", None)
    everything.groups.add(limited_group("all"))
    several = limited_person("several", organizations=["a"], permissions=SEEING)
    for name in ("second", "third"):
        several.groups.add(limited_group(name, [name], permissions=SEEING))
    role = queries(person("vera", Role.VIEWER))
    assert queries(everything) == role
    assert queries(several) <= role + 1


def test_a_token_is_limited_as_its_person_is_from_the_next_call_on(place: Place) -> None:
    program = token_of(place.person)
    address = f"jobs/{place.outside.job}"
    assert problem_of(program.get(address))["status"] == 404
    GroupScope.objects.all().delete()
    assert program.get(address).status_code == 200


def test_a_services_token_is_made_only_of_what_is_held_without_limits() -> None:
    user = limited_person(organizations=["a"])
    with pytest.raises(UsageError, match=r"limit sync.view_job to some .* a service's token has no limits"):
        make_token(user, ACTOR, name="x", permissions=["sync.view_job"], days=1, service="nightly")
    user.groups.add(Group.objects.get(name=Role.VIEWER.value))
    token, _ = make_token(fresh(user), ACTOR, name="x", permissions=["sync.view_job"], days=1, service="nightly")
    assert token.acts_as == "service:nightly"


def test_tokens_of_others_are_seen_only_without_limits(place: Place) -> None:
    other = token_of(person("vera", Role.VIEWER)).token
    assert client_of(place.person).get(f"/tokens/{other.pk}/revoke/").status_code == 404
    assert b'name="service"' not in client_of(place.person).get("/tokens/new/").content


def test_home_and_sidebar_lead_to_what_is_open(place: Place) -> None:
    client = client_of(place.person)
    assert client.get("/").headers["Location"] == "/sync/affected/"
    page = client.get("/sync/jobs/").content.decode()
    assert 'href="/sync/staged/"' in page
    assert 'href="/pipeline/overview/"' not in page
    assert 'href="/alerts/"' not in page
    assert client_of(person("vera", Role.VIEWER)).get("/").headers["Location"] == "/pipeline/overview/"


@pytest.fixture
def root(place: Place) -> Client:
    return client_of(person("root", Role.ADMINISTRATOR, is_staff=True))


def test_an_administrator_limits_a_group_and_lifts_that_again(place: Place, root: Client) -> None:
    view = Permission.objects.get(codename="view_job")
    given = {"name": "night shift", "permissions": [view.pk]}
    ids = f"s-{place.inside.organization}\r\n\r\n {place.outside.organization.upper()} "
    made = root.post("/admin/auth/group/add/", given | {"organizations": ids, "record_sources": "uploads"})
    assert made.status_code == 302
    group = Group.objects.get(name="night shift")
    expected = sorted([place.inside.organization, place.outside.organization])
    assert (group.scope.organizations, group.scope.record_sources) == (expected, ["uploads"])
    entry = AuditEntry.objects.get(action="group.limited")
    assert (entry.actor, entry.subject) == ("root", f"group:{group.pk}")
    assert entry.before == {"organizations": [], "record_sources": []}
    assert entry.after == {"organizations": expected, "record_sources": ["uploads"]}
    address = f"/admin/auth/group/{group.pk}/change/"
    assert place.inside.organization in root.get(address).content.decode()
    assert root.post(address, given).status_code == 302
    assert not GroupScope.objects.filter(group=group).exists()
    assert root.post(address, given).status_code == 302
    assert AuditEntry.objects.filter(action="group.limited").count() == 2


def test_what_cannot_be_a_limit_is_said_and_nothing_is_saved(place: Place, root: Client) -> None:
    wrong = {"name": "x", "organizations": f"{place.inside.organization}\nacme", "record_sources": "mails"}
    page = root.post("/admin/auth/group/add/", wrong)
    text = page.content.decode().replace("&#x27;", "'")
    assert page.status_code == 200
    assert "Line 2: 'acme' is no UUID" in text
    assert "'mails' is no record source; allowed are uploads, exports." in text
    assert "acme</textarea>" in text
    assert not Group.objects.filter(name="x").exists()
    many = {"name": "x", "organizations": "\n".join(f"{number:032x}" for number in range(1_001))}
    assert (
        "1,001 organizations are too many; allowed are 1,000."
        in root.post("/admin/auth/group/add/", many).content.decode()
    )


def test_a_job_inside_runs_again_with_its_batch_that_has_jobs_outside(place: Place) -> None:
    """The batch is not theirs to see, and it is running again all the same."""
    batch = make_batch(state="done")
    mine = make_job(batch=batch, organization_id=place.inside.organization, state="failed")
    make_job(batch=batch, organization_id=place.outside.organization, state="done")
    Job.objects.filter(pk=place.inside.job).delete()
    with scope.within(Scope(frozenset({place.inside.organization}))):
        assert not Batch.objects.filter(pk=batch.pk).exists()
        assert retry_jobs([mine.pk], ACTOR).retried == 1
    batch.refresh_from_db()
    mine.refresh_from_db()
    assert (batch.state, mine.state) == (BatchState.RUNNING, "queued")


def test_a_batch_takes_what_is_seen_and_does_not_start_the_next_by_itself(place: Place) -> None:
    Job.objects.all().delete()
    held = scope.within(Scope(frozenset({place.inside.organization})))
    with held, pytest.raises(UsageError, match="is skipped"):  # both are, since they were staged
        batches.make_plan(BatchOptions(size=5), ACTOR)
    program = token_of(place.person)
    assert program.post("skip-list/remove", {"entries": [place.inside.skipped], "reason": "x"}).status_code == 200
    plan = program.post("batch-plans", {"size": 5}).json()
    assert plan["organizations"] == [place.inside.organization]
    refused = program.post("batches", {"size": 5, "auto_advance": True, "reason": "x"})
    assert "takes all that is staged" in problem_of(refused)["detail"]
    started = program.post(f"batch-plans/{plan['number']}/start", {"hash": plan["hash"], "reason": "x"})
    assert started.status_code == 201
    assert [job.organization_id for job in Job.objects.all()] == [place.inside.organization]
    Batch.objects.update(auto_advance=True)
    assert program.get(f"batches/{started.json()['number']}").status_code == 404


def test_a_batch_with_one_organization_outside_is_not_seen_and_nor_is_its_plan(place: Place) -> None:
    make_job(batch_id=place.inside.batch, organization_id=place.outside.organization, state="done")
    client = client_of(place.person)
    assert client.get(f"/sync/batches/{place.inside.batch}/").status_code == 404
    assert client.get(f"/sync/batches/{place.inside.batch}/batch.csv").status_code == 404
    assert client.get(f"/sync/jobs/{place.inside.job}/").status_code == 200


def test_record_sources_without_an_organization_are_not_seen_by_whoever_is_limited_to_some(place: Place) -> None:
    """Nobody can tell whose these records are; whoever is limited to record sources only sees them."""
    source = estate.current().records[0]
    object.__setattr__(source, "organization", "")
    assert client_of(place.person).get("/records/uploads/").status_code == 404
    by_source = limited_person("by source", record_sources=["uploads"])
    client = client_of(by_source)
    assert client.get("/records/uploads/").status_code == 200
    assert client.get("/records/exports/").status_code == 404
    assert client.get(f"/sync/jobs/{place.outside.job}/").status_code == 200


def test_counts_of_records_are_of_what_is_seen(place: Place, files: Files) -> None:
    def processing(user: User) -> int:
        rows = token_of(user).get("records/uploads").json()["statuses"]
        return sum(row["count"] for row in rows)

    files.add("processing", 120, 110, now=timezone.now(), organization=place.inside.organization)
    files.add("processing", 120, 110, now=timezone.now(), organization=place.outside.organization)
    assert processing(place.person) == 2
    assert processing(person("vera", Role.VIEWER)) == 4
    page = client_of(place.person).get("/records/uploads/")
    assert [row.stuck for row in page.context["rows"]] == [2]
    assert "Trends are of the records of all organizations" in page.content.decode()
    assert Snapshot.objects.count() == 2
    assert token_of(fresh(place.person)).get("records/uploads/snapshots").json()["items"] == []
