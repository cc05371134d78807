"""RQ's registries in the administration, on a real Redis: shown as they are, compared with the rows, repaired."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from rq.utils import as_text

from monitoring.schedules import carrying
from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync import queueing
from sync.models import Job, JobKind, JobState
from sync.operations import registries
from sync.registries.reading import function_of
from sync.registries.values import Difference, Place
from tests.sync.jobs import make_job
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db

PAGE = "/admin/sync/job/registries/"
WAITING = "rq:queue:default"


def staff(role: Role = Role.ADMINISTRATOR) -> Client:
    client = Client()
    client.force_login(person(role.value, role, is_staff=True))
    return client


def post(client: Client, act: str, reason: str = "tidying") -> HttpResponse:
    return client.post(PAGE, {"act": act, "reason": reason}, follow=True)  # type: ignore[return-value]


def pushed(**fields: Any) -> Job:
    job = make_job(**fields)
    queueing.push_now([(job.pk, JobKind.ORGANIZATION)])
    return job


def kinds() -> list[Difference]:
    return [found.kind for found in registries.look().comparison.differences]


def test_an_emptied_redis_is_seen_and_repaired(queue: redis.Redis) -> None:
    jobs = [pushed(), pushed()]
    assert kinds() == []
    queue.flushall()
    assert kinds() == [Difference.LOST] * 2
    client = staff()
    assert "Queued, and RQ does not have it" in client.get(PAGE).content.decode()
    assert "2 pushed again" in post(client, "repair").content.decode()
    assert queue.lrange(WAITING, 0, -1) == [queueing.rq_id(job.pk).encode() for job in jobs]
    assert kinds() == []
    audited = AuditEntry.objects.get()
    assert (audited.action, audited.reason, audited.details["pushed"]) == ("registries.repaired", "tidying", 2)


def test_entries_that_nobody_needs_are_removed_and_the_others_stay(queue: redis.Redis) -> None:
    stays, ended = pushed(), pushed(state=JobState.DONE)
    at_work = pushed(state=JobState.RUNNING)
    queueing.push_now([(2**40, JobKind.ORGANIZATION)])
    queueing.invite(ended.pk, ["a"])
    queueing.invite(at_work.pk, ["a"])
    carrying.push_now([carrying.Message(2**40, 60)])
    assert sorted(kinds()) == sorted(
        [Difference.AT_WORK, Difference.ENDED, Difference.ENDED, Difference.ORPHAN, Difference.ORPHAN]
    )
    assert "5 removed" in post(staff(), "repair").content.decode()
    left = {queueing.rq_id(stays.pk), queueing.help_id(at_work.pk, "a")}
    assert set(map(as_text, queue.lrange(WAITING, 0, -1))) == left
    assert set(map(as_text, queue.keys("rq:job:*"))) == {f"rq:job:{one}" for one in (*left, queueing.rq_id(at_work.pk))}


def test_what_is_started_without_a_worker_is_removed_and_a_workers_own_stays(queue: redis.Redis) -> None:
    stale, alive = make_job(), make_job(state=JobState.DONE)
    for job, execution in ((stale, "one"), (alive, "two")):
        member = f"{queueing.rq_id(job.pk)}:{execution}"
        queue.zadd("rq:wip:default", {member: 9e9})
        began = (timezone.now() - timedelta(hours=1)).timestamp()
        queue.hset(f"rq:execution:{member}", mapping={"created_at": began, "worker_name": f"w-{execution}"})
    queue.hset("rq:worker:w-two", mapping={"last_heartbeat": "x", "current_job": queueing.rq_id(alive.pk)})
    assert "1 removed" in post(staff(), "default:started").content.decode()
    assert queue.zrange("rq:wip:default", 0, -1) == [f"{queueing.rq_id(alive.pk)}:two".encode()]


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


def test_what_is_unreadable_is_shown_and_removed_and_never_unpickled(queue: redis.Redis) -> None:
    job = pushed()
    pickled = pickle.dumps(Trap())
    queue.hset(f"rq:job:{queueing.rq_id(job.pk)}", "data", pickled)
    queue.rpush(WAITING, b"foreign\xff")
    queue.hset(b"rq:job:foreign\xff", "data", pickled)
    queue.zadd("rq:failed:low", {"gone": 1})
    queue.set("rq:job:gone", "no hash")
    assert sorted(kinds()) == sorted([Difference.UNREADABLE, Difference.LOST, Difference.ORPHAN])
    client = staff()
    assert client.get(PAGE).content.decode().count("unreadable or gone") == 3
    assert "2 removed from RQ, 1 cleared away, 1 pushed again" in post(client, "repair").content.decode()
    assert queue.lrange(WAITING, 0, -1) == [queueing.rq_id(job.pk).encode()]
    assert function_of(queue.hget(f"rq:job:{queueing.rq_id(job.pk)}", "data")) == queueing.JOB_FUNCTION
    assert kinds() == []


@pytest.mark.parametrize("place", [Place.FAILED, Place.FINISHED, Place.SCHEDULED, Place.DEFERRED])
def test_a_registry_is_emptied_by_itself_and_listed_to_a_bound(queue: redis.Redis, place: Place) -> None:
    waits = pushed()
    members = {f"old-{number}": number for number in range(149)} | {queueing.rq_id(waits.pk): 200}
    for name in ("low", "high"):
        queue.zadd(f"rq:{place}:{name}", members)
    client = staff()
    assert "and 50 more." in client.get(PAGE).content.decode()
    assert "150 cleared away" in post(client, f"low:{place}").content.decode()
    assert (queue.zcard(f"rq:{place}:low"), queue.zcard(f"rq:{place}:high")) == (0, 150)
    assert queue.exists(f"rq:job:{queueing.rq_id(waits.pk)}")  # it still waits


def test_without_redis_the_page_says_so_and_stays(settings: Any, queue: redis.Redis) -> None:
    client = staff()
    for one in settings.RQ_QUEUES.values():
        one["URL"], one["was"] = "redis://127.0.0.1:1/0", one["URL"]
    try:
        seen = client.get(PAGE)
        assert (seen.status_code, "Redis cannot be reached" in seen.content.decode()) == (200, True)
        done = post(client, "repair")
        assert (done.status_code, "Redis went away" in done.content.decode()) == (400, True)
    finally:
        for one in settings.RQ_QUEUES.values():
            one["URL"] = one.pop("was")
    assert not AuditEntry.objects.exists()


def test_only_administrators_act_and_only_with_a_reason(queue: redis.Redis) -> None:
    make_job()
    viewer = staff(Role.VIEWER)
    assert "Repair</button>" not in viewer.get(PAGE).content.decode()
    assert post(viewer, "repair").status_code == 403
    administrator = staff()
    assert administrator.put(PAGE).status_code == 405
    assert post(administrator, "repair", reason=" ").status_code == 400
    assert post(administrator, "other:failed").status_code == 400
    assert Client().get(PAGE).status_code == 302
    assert kinds() == [Difference.LOST]
    assert "Queue registries" in administrator.get("/admin/sync/job/").content.decode()
