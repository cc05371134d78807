"""Who comes in: tokens, sessions, limits; and what errors look like."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from opsconsole.access import Role
from opsconsole.api import tokens
from opsconsole.api.models import ApiToken
from opsconsole.audit import Actor, Door
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry
from sync.models import Job
from tests.api.callers import problem_of, program, token_of
from tests.sync.jobs import make_job
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db
ADA = Actor("ada", Door.PAGE)


def test_a_secret_is_shown_once_and_kept_as_a_digest() -> None:
    ada = program()
    row = ApiToken.objects.get()
    assert ada.secret.startswith(("ops_", row.hint))
    assert ada.secret not in str(ApiToken.objects.values_list().get())
    assert tokens.digest_of(ada.secret) == row.digest
    entry = AuditEntry.objects.get(action="token.made")
    assert ada.secret not in str(entry.details)


@pytest.mark.parametrize("secret", ["", "ops_unknown", "x" * 5_000, "\N{SNOWMAN}"])
def test_an_unknown_token_is_refused(secret: str) -> None:
    response = Client().get("/api/v1/jobs", headers={"authorization": f"Bearer {secret}".encode().decode("latin-1")})
    assert problem_of(response)["status"] == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_or_revoked_token_and_one_of_an_inactive_person_are_refused() -> None:
    ada = program()
    assert ada.get("jobs").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ada.get("jobs").status_code == 401
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    assert ada.token.user is not None
    type(ada.token.user).objects.update(is_active=False)
    assert ada.get("jobs").status_code == 401
    type(ada.token.user).objects.update(is_active=True)
    tokens.revoke(ada.token, ADA)
    assert ada.get("jobs").status_code == 401
    with pytest.raises(UsageError, match="revoked before"):
        tokens.revoke(ada.token, ADA)


def test_a_token_does_what_it_has_and_no_more_than_its_person() -> None:
    ada = person("ada", Role.OPERATOR)
    reading = token_of(ada, ("sync.view_job",))
    job = make_job()
    assert reading.get("jobs").status_code == 200
    refused = reading.post(f"jobs/{job.pk}/cancel", {"reason": "no longer needed"})
    assert "sync.cancel_job" in problem_of(refused)["detail"]
    acting = token_of(ada)
    ada.groups.clear()
    assert acting.get("jobs").status_code == 403
    assert Job.objects.get().state == "queued"


def test_nobody_gives_a_token_what_they_do_not_hold() -> None:
    with pytest.raises(UsageError, match=r"You do not hold sync\.run_checks"):
        token_of(person("vera", Role.VIEWER), ("sync.run_checks",))


def test_a_service_acts_in_its_own_name() -> None:
    service = token_of(person("ada", Role.ADMINISTRATOR), ("sync.view_job", "sync.cancel_job"), service="nightly")
    job = make_job()
    assert service.post(f"jobs/{job.pk}/cancel", {"reason": "no longer needed"}).status_code == 200
    entry = AuditEntry.objects.get(action="job.cancelled")
    assert (entry.actor, entry.actor_user_id, entry.door) == ("service:nightly", None, "api")
    assert entry.token_id == service.token.pk


def test_the_last_use_is_written_once_a_minute(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ada, now = program(), timezone.now()
    with django_assert_num_queries(2):
        assert tokens.find_token(ada.secret, now) is not None
    with django_assert_num_queries(1):
        assert tokens.find_token(ada.secret, now) is not None
    with django_assert_num_queries(2):
        assert tokens.find_token(ada.secret, now + timedelta(minutes=2)) is not None
    assert ApiToken.objects.get().last_used_at is not None


def test_a_session_reads_and_changes_nothing() -> None:
    client, job = Client(), make_job()
    client.force_login(person("ada", Role.OPERATOR))
    assert client.get("/api/v1/jobs").json()["items"][0]["number"] == job.pk
    refused = client.post(f"/api/v1/jobs/{job.pk}/cancel", {"reason": "x"}, content_type="application/json")
    assert "token" in problem_of(refused)["detail"]
    assert Job.objects.get().state == "queued"


def test_calls_are_limited_for_each_token(settings: Settings) -> None:
    settings.API_CALLS_PER_MINUTE = 3
    ada, bob = program(name="ada"), program(name="bob")
    answers = [ada.get("jobs") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one["RateLimit-Remaining"] for one in answers[:3]] == ["2", "1", "0"]
    assert 1 <= int(answers[3]["Retry-After"]) <= 60
    assert problem_of(answers[3])["type"] == "urn:opsconsole:too-many-requests"
    assert bob.get("jobs").status_code == 200


def test_strangers_are_limited_by_address(settings: Settings) -> None:
    settings.API_STRANGERS_PER_MINUTE = 2
    client = Client(REMOTE_ADDR="198.51.100.7")
    headers = {"authorization": "Bearer ops_guess"}
    assert [client.get("/api/v1/jobs", headers=headers).status_code for _ in range(3)] == [401, 401, 429]


def test_without_redis_each_process_counts_for_itself(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.API_CALLS_PER_MINUTE = 2
    ada = program()
    with monkeypatch.context() as away:
        away.setitem(settings.RQ_QUEUES["default"], "URL", "redis://127.0.0.1:1/0")
        assert [ada.get("jobs").status_code for _ in range(3)] == [200, 200, 429]
    assert ada.get("jobs")["RateLimit-Remaining"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "nothing", b"", 404, "nothing at this address"),
        ("GET", "jobs/999", b"", 404, "nothing at this address"),
        ("DELETE", "jobs", b"", 405, "allowed is GET"),
        ("GET", "jobs?size=0", b"", 422, "query.size"),
        ("GET", "jobs?cursor=nonsense", b"", 400, "start again at the first page"),
        ("GET", "jobs?state=%00", b"", 400, "characters that cannot be kept"),
        ("GET", "jobs?organization=not-an-id", b"", 422, "query.organization"),
        ("GET", "jobs/99999999999999999999999", b"", 422, "path.number"),
        ("GET", "jobs/abc", b"", 422, "path.number"),
        ("POST", "jobs/1/cancel", b"{", 400, "no JSON document"),
        ("POST", "jobs/1/cancel", b"[]", 400, "no JSON object"),
        ("POST", "jobs/1/cancel", b'{"reason": NaN}', 400, "no JSON document"),
        ("POST", "jobs/1/cancel", b'{"reason": "\\u0000"}', 400, "characters that cannot be kept"),
        ("POST", "jobs/1/cancel", b'{"reason": "\\ud800"}', 400, "characters that cannot be kept"),
        ("POST", "jobs/1/cancel", b"[" * 100_000, 400, "no JSON document"),
        ("POST", "jobs/1/cancel", b'{"reason": "' + b"x" * 9_000_000 + b'"}', 413, "larger than allowed"),
        ("POST", "jobs/1/cancel", b'{"reason": ""}', 422, "body.reason"),
        ("POST", "jobs/1/cancel", b'{"reason": "x", "more": 1}', 422, "body.more"),
    ],
)
def test_errors_are_problems(method: str, path: str, body: bytes, status: int, says: str) -> None:
    response = program().generic(method, path, body)
    content = problem_of(response)
    assert response.status_code == status, content
    assert says in content["detail"]
    assert content["instance"] == "/api/v1/" + path.partition("?")[0]


def test_a_mistake_of_ours_is_a_problem_without_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("sync.endpoints.jobs.listed_jobs", broken)
    response = program().get("jobs")
    assert problem_of(response)["type"] == "urn:opsconsole:internal-error"
    assert b"secret detail" not in response.content
    assert "secret detail" in caplog.text


def test_what_is_unchanged_is_not_sent_again() -> None:
    ada, job = program(), make_job()
    first = ada.get(f"jobs/{job.pk}")
    again = ada.get(f"jobs/{job.pk}", **{"if-none-match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    Job.objects.filter(pk=job.pk).update(scanned=5)
    changed = ada.get(f"jobs/{job.pk}", **{"if-none-match": first["ETag"]})
    assert (changed.status_code, changed.json()["scanned"]) == (200, 5)
