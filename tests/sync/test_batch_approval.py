"""Very large syncs wait for a second person; nobody approves their own; both are on the audit log."""

from __future__ import annotations

from functools import partial

import pytest
from pytest_django import Settings

from opsconsole import audit
from opsconsole.access import Role
from opsconsole.errors import UsageError
from opsconsole.models import AuditEntry, User
from sync.models import Approval, Batch, BatchPlan, Job, Mode, StagedOrganization
from sync.operations import batches
from sync.operations.batches import ApprovalNeededError, BatchOptions, PlanChangedError
from tests.api.callers import token_of
from tests.sync.batches import PERSON, at_once, stage
from tests.web.sync_rows import client_of
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync"]
BOB = audit.Actor("bob", audit.Door.PAGE)
LARGE = BatchOptions(mode=Mode.SYNC, size=10)


@pytest.fixture(autouse=True)
def low_limits(settings: Settings) -> None:
    settings.APPROVAL_ABOVE_ORGANIZATIONS, settings.APPROVAL_ABOVE_TASKS = 5, 1_000


def large_plan(options: BatchOptions = LARGE) -> BatchPlan:
    stage(10)
    return batches.make_plan(options, PERSON)


def ask(plan: BatchPlan, actor: audit.Actor = PERSON) -> BatchPlan:
    return batches.ask_approval(plan.pk, plan.hash, actor, "", "a large gap")


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestApproval:
    def test_nobody_starts_a_large_sync_alone(self) -> None:
        plan = large_plan()
        with pytest.raises(ApprovalNeededError, match="second person"):
            batches.start_plan(plan.pk, plan.hash, PERSON)
        ask(plan)
        with pytest.raises(ApprovalNeededError):
            batches.start_plan(plan.pk, plan.hash, PERSON)
        with pytest.raises(ApprovalNeededError):
            batches.start_batch(10, Mode.SYNC, PERSON)
        assert not Job.objects.exists()

    @pytest.mark.parametrize(
        ("count", "each", "mode", "needed"),
        [(5, 10, Mode.SYNC, False), (6, 10, Mode.SYNC, True), (2, 501, Mode.SYNC, True), (6, 10, Mode.REPORT, False)],
    )
    def test_which_are_large(self, count: int, each: int, mode: Mode, needed: bool) -> None:
        stage(count, tasks=lambda _: each)
        plan = batches.make_plan(BatchOptions(mode=mode, size=10), PERSON)
        assert batches.needs_approval(batches.contents_of(plan)) is needed
        if not needed:
            with pytest.raises(UsageError, match="nobody's approval"):
                ask(plan)
            assert batches.start_plan(plan.pk, plan.hash, PERSON).jobs.count() == count

    def test_what_auto_advance_sets_off_counts(self) -> None:
        plan = large_plan(BatchOptions(mode=Mode.SYNC, size=2, auto_advance=True))
        assert batches.needs_approval(batches.contents_of(plan))

    def test_a_second_person_starts_it_in_the_name_of_the_first(self) -> None:
        plan = ask(large_plan())
        batch = batches.approve(plan.pk, plan.hash, BOB, "looked at it")
        assert (batch.jobs.count(), batch.created_by) == (10, PERSON.name)
        plan.refresh_from_db()
        assert (plan.approval, plan.decided_by, plan.batch) == (Approval.APPROVED, "bob", batch)
        acts = AuditEntry.objects.filter(action__regex="^(plan|batch)").order_by("pk")
        assert [(act.actor, act.action, act.reason) for act in acts] == [
            (PERSON.name, "plan.approval_asked", "a large gap"),
            ("bob", "plan.approved", "looked at it"),
            (PERSON.name, "batch.started", "a large gap (approved by bob)"),
        ]

    def test_nobody_approves_their_own(self) -> None:
        plan = ask(large_plan())
        with pytest.raises(UsageError, match="themselves"):
            batches.approve(plan.pk, plan.hash, PERSON, "yes")
        assert not Batch.objects.exists()
        batches.refuse(plan.pk, plan.hash, PERSON, "a mistake")  # but takes it back
        with pytest.raises(UsageError, match="does not wait"):
            batches.approve(plan.pk, plan.hash, BOB, "yes")
        with pytest.raises(ApprovalNeededError):
            batches.start_plan(plan.pk, plan.hash, PERSON)

    def test_nor_under_another_name(self) -> None:
        user = User.objects.create_user("ada-two")
        plan = ask(large_plan(), audit.Actor("old name", audit.Door.PAGE, user.pk))
        with pytest.raises(UsageError, match="themselves"):
            batches.approve(plan.pk, plan.hash, audit.Actor("new name", audit.Door.PAGE, user.pk), "yes")

    def test_what_changed_meanwhile_is_asked_for_anew(self) -> None:
        plan = ask(large_plan())
        StagedOrganization.objects.filter(pk=plan.organizations[0]).delete()
        with pytest.raises(PlanChangedError) as changed:
            batches.approve(plan.pk, plan.hash, BOB, "yes")
        assert changed.value.plan is not None
        assert BatchPlan.objects.get(pk=changed.value.plan.pk).approval == Approval.NONE
        assert not Batch.objects.exists()


@pytest.mark.usefixtures("committed", "queue")
def test_approved_by_two_at_once_it_starts_once() -> None:
    plan = ask(large_plan())
    others = [audit.Actor(name, audit.Door.PAGE) for name in ("bob", "eve", "joe")]
    done = at_once([partial(batches.approve, plan.pk, plan.hash, other, "yes") for other in others])
    assert sum(isinstance(one, Batch) for one in done) == 1
    assert Job.objects.count() == 10


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestDoors:
    def test_the_page_asks_and_the_other_decides(self) -> None:
        plan = large_plan()
        first = client_of(Role.OPERATOR)
        assert (
            first.post(f"/sync/batches/plans/{plan.pk}/", {"hash": plan.hash, "reason": "a large gap"}).status_code
            == 302
        )
        assert "Waiting for approval" in first.get(f"/sync/batches/plans/{plan.pk}/").content.decode()
        address = f"/sync/batches/plans/{plan.pk}/decide/"
        typed = {"hash": plan.hash, "reason": "fine", "decision": "approve"}
        own = first.post(address, typed)
        assert (own.status_code, Batch.objects.count()) == (400, 0)
        assert "Nobody approves" in own.content.decode()
        second = client_of(Role.ADMINISTRATOR)
        assert "a large gap" in second.get("/sync/batches/approvals/").content.decode()
        assert second.post(address, typed).status_code == 302
        assert Batch.objects.get().jobs.count() == 10
        assert client_of(Role.VIEWER).post(address, typed).status_code == 403

    def test_a_program_asks_and_the_maker_of_its_token_cannot_approve(self) -> None:
        plan = large_plan()
        maker = person("maker", Role.ADMINISTRATOR)
        program = token_of(maker, service="nightly")
        body = {"hash": plan.hash, "reason": "a large gap"}
        assert program.post(f"batch-plans/{plan.pk}/start", body).status_code == 400
        assert program.post(f"batch-plans/{plan.pk}/ask", body).status_code == 200
        plan.refresh_from_db()
        assert (plan.approval, plan.asked_by_user) == (Approval.WAITING, None)
        with pytest.raises(UsageError, match="themselves"):
            batches.approve(plan.pk, plan.hash, audit.Actor("maker", audit.Door.PAGE, maker.pk), "yes")
        with pytest.raises(UsageError, match="themselves"):
            batches.approve(plan.pk, plan.hash, audit.Actor(plan.asked_by, audit.Door.API), "yes")
