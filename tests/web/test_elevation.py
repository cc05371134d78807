"""Elevation: an act asks for a password or second factor that is not older than 15 minutes, and loses nothing typed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.cache import cache
from django.test import Client, RequestFactory

from opsconsole.access import Role
from opsconsole.audit import Actor, Door
from opsconsole.models import AuditEntry, User
from sync.models import Job, JobState, Mode
from sync.operations.batches import BatchOptions, make_plan
from tests.sync.jobs import make_job
from tests.web.sync_rows import client_of, stage_rows
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
MINUTES = 60
TYPED = {"reason": 'wrong <window> & "more"', "ticket": "OPS-41"}


@pytest.fixture(autouse=True)
def no_attempts_counted(db: None) -> None:
    cache.clear()


def aged(client: Client, minutes: float) -> Client:
    """As if the person had confirmed that long ago."""
    session = client.session
    for one in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        one["at"] = time.time() - minutes * MINUTES
    session.save()
    return client


def cancel(client: Client, job: Job, **more: str) -> Any:
    return client.post(f"/sync/jobs/{job.pk}/cancel/", TYPED | more)


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


@pytest.fixture
def operator() -> Client:
    return aged(client_of(Role.OPERATOR), 16)


def current_code(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


class TestAsking:
    def test_an_act_is_not_done_and_what_was_typed_is_kept(self, operator: Client) -> None:
        job = make_job(state=JobState.QUEUED)
        page = cancel(operator, job)
        text = page.content.decode()
        assert (page.status_code, state_of(job)) == (403, JobState.QUEUED)
        assert 'name="reason" value="wrong &lt;window&gt; &amp; &quot;more&quot;"' in text
        assert 'name="ticket" value="OPS-41"' in text
        assert not AuditEntry.objects.filter(action__startswith="job.").exists()

    def test_the_password_lets_it_go_on_and_the_record_says_so(self, operator: Client) -> None:
        job = make_job(state=JobState.QUEUED)
        wrong = cancel(operator, job, **{"confirm-password": "wrong"})
        assert (wrong.status_code, state_of(job)) == (403, JobState.QUEUED)
        assert "OPS-41" in wrong.content.decode()
        assert 'wrong"' not in wrong.content.decode().replace("&quot;", "")
        right = cancel(operator, job, **{"confirm-password": PASSWORD})
        assert (right.status_code, state_of(job)) == (302, JobState.CANCELLED)
        entry = AuditEntry.objects.get(subject=f"job:{job.pk}")
        assert (entry.elevation, entry.ticket, entry.reason) == ("password", "OPS-41", TYPED["reason"])
        assert cancel(operator, make_job(state=JobState.QUEUED)).status_code == 302  # for fifteen minutes

    @pytest.mark.parametrize(("minutes", "status"), [(14.9, 302), (15.1, 403)])
    def test_fifteen_minutes(self, minutes: float, status: int) -> None:
        client = aged(client_of(Role.OPERATOR), minutes)
        assert cancel(client, make_job(state=JobState.QUEUED)).status_code == status

    def test_looking_is_not_asked_about(self, operator: Client) -> None:
        job = make_job(state=JobState.QUEUED)
        assert operator.get(f"/sync/jobs/{job.pk}/cancel/").status_code == 200

    def test_who_may_not_is_told_that_and_not_asked(self) -> None:
        viewer = aged(client_of(Role.VIEWER), 16)
        text = cancel(viewer, make_job(state=JobState.QUEUED)).content.decode()
        assert "You may not do this" in text
        assert "confirm-password" not in text

    def test_guessing_is_stopped(self, operator: Client) -> None:
        job = make_job(state=JobState.QUEUED)
        said = [cancel(operator, job, **{"confirm-password": "wrong"}).content.decode() for _ in range(11)]
        assert "Too many" in said[-1]
        assert "Too many" in cancel(operator, job, **{"confirm-password": PASSWORD}).content.decode()
        assert state_of(job) == JobState.QUEUED

    def test_a_confirmation_of_somebody_else_counts_for_nobody(self, operator: Client) -> None:
        """One browser, one session: what another person confirmed in it before does not count."""
        session = operator.session
        session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(person("other", Role.OPERATOR).pk)
        session.save()
        assert cancel(operator, make_job(state=JobState.QUEUED)).status_code == 403


class TestSecondFactors:
    @pytest.fixture
    def secret(self, operator: Client, rf: RequestFactory) -> str:
        secret: str = generate_totp_secret()
        user = User.objects.get(username="a-operator")
        TOTP.activate(user, secret)
        RecoveryCodes.activate(user)
        return secret

    def test_a_code_of_the_app(self, operator: Client, secret: str) -> None:
        job = make_job(state=JobState.QUEUED)
        assert 'name="confirm-code"' in cancel(operator, job).content.decode()
        assert cancel(operator, job, **{"confirm-code": "000000"}).status_code == 403
        assert cancel(operator, job, **{"confirm-code": current_code(secret)}).status_code == 302
        assert AuditEntry.objects.get(subject=f"job:{job.pk}").elevation == "totp"
        again = aged(operator, 16)
        other = make_job(state=JobState.QUEUED)
        assert cancel(again, other, **{"confirm-code": current_code(secret)}).status_code == 403  # each code once

    def test_a_recovery_code_once(self, operator: Client, secret: str) -> None:
        row = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES)
        code = row.wrap().get_unused_codes()[0]
        job, other = (make_job(state=JobState.QUEUED) for _ in range(2))
        assert cancel(operator, job, **{"confirm-code": code}).status_code == 302
        assert cancel(aged(operator, 16), other, **{"confirm-code": code}).status_code == 403

    def test_the_secret_is_not_in_the_database_as_it_is(self, secret: str) -> None:
        row = Authenticator.objects.get(type=Authenticator.Type.TOTP)
        assert secret not in str(row.data)


class TestWhere:
    @pytest.mark.parametrize(("mode", "status"), [("report", {302, 400}), ("sync", {403})])
    def test_a_plan_is_asked_about_only_where_it_publishes(self, operator: Client, mode: str, status: set[int]) -> None:
        stage_rows(2)
        plan = make_plan(BatchOptions(mode=Mode(mode), size=2), Actor("ada", Door.PAGE))
        answer = operator.post(f"/sync/batches/plans/{plan.pk}/", {"hash": "another", "reason": "why"})
        assert answer.status_code in status

    def test_the_administration_asks_for_each_change(self) -> None:
        client = Client()
        client.force_login(person("root", Role.ADMINISTRATOR, is_staff=True))
        address = "/admin/opsconsole/user/add/"
        assert aged(client, 16).get(address).status_code == 200
        typed = {"username": "new", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        page = client.post(address, typed)
        assert (page.status_code, User.objects.filter(username="new").exists()) == (403, False)
        assert 'value="new"' in page.content.decode()
        assert client.post(address, typed | {"confirm-password": PASSWORD}).status_code == 302
        entry = AuditEntry.objects.get(action="person.added")
        assert (entry.actor, entry.details["name"]) == ("root", "new")

    def test_ones_own_secrets_are_shown_only_then(self, operator: Client) -> None:
        page = operator.get("/account/app/")
        assert page.status_code == 403
        assert "secret" not in page.content.decode().lower()
        back = operator.post("/account/app/", {"confirm-password": PASSWORD, "confirm-shown": "1"})
        assert back.headers["Location"] == "/account/app/"
        assert "Secret:" in operator.get("/account/app/").content.decode()
