"""Plans: what a preview showed is what is queued, or nothing is; once; at a cost that does not grow with the number."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from opsconsole.errors import UnavailableError, UsageError
from opsconsole.times import Window
from sync.models import (
    Batch,
    BatchOrder,
    BatchPlan,
    BatchState,
    Job,
    JobKind,
    JobState,
    Mode,
    SkippedOrganization,
    SkipReason,
    StagedOrganization,
)
from sync.operations import batches
from sync.operations.batches import BatchOptions, BatchOptionsError, Origin, PlanChangedError, contents_of
from sync.operations.batches.plan import hash_of
from sync.queueing import rq_id
from tests.company import Company, EstateWriter
from tests.sync.batches import PERSON, acts, at_once, organizations_of, stage, start, states
from tests.sync.jobs import make_job

pytest_plugins = ["tests.fixtures_sync"]

SYNC = BatchOptions(mode=Mode.SYNC, size=5)
REPORT = BatchOptions(mode=Mode.REPORT, size=5)
ONE = str(UUID(int=1))
DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", 10_001),
        ("name", "x" * 121),
        ("name", "two\nlines"),
        ("tags", ("a", "a")),
        ("tags", ("",)),
        ("tags", ("a,b",)),
        ("tags", ("x" * 41,)),
        ("tags", tuple(map(str, range(21)))),
        ("most_at_once", 0),
        ("stop_after_failures", 0),
        ("canary", -1),
        ("canary", 10),
        ("window", Window(DAY.end, DAY.start)),
        ("window", Window(datetime(2026, 1, 1), datetime(2026, 1, 2))),  # noqa: DTZ001
    ],
)
def test_a_wrong_field_gets_a_sentence_of_its_own(field: str, value: Any) -> None:
    options = replace(BatchOptions(), **{field: value})
    assert list(options.problems()) == [field]
    with pytest.raises(BatchOptionsError) as raised:
        options.require_valid()
    assert raised.value.problems[field].endswith((".", ";"))


def test_all_wrong_fields_are_named_at_once() -> None:
    assert set(BatchOptions(size=0, most_at_once=-3, tags=("",)).problems()) >= {"size", "most_at_once", "tags"}


def test_options_come_back_from_json_and_from_a_batch() -> None:
    options = BatchOptions(
        mode=Mode.SYNC,
        size=7,
        name="n",
        tags=("a", "b"),
        order=BatchOrder.LARGEST,
        most_at_once=3,
        stop_after_failures=2,
        canary=1,
        keep_staged=False,
        auto_advance=True,
        window=DAY,
    )
    assert BatchOptions.from_json(options.to_json()) == options
    assert options.problems() == {}


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestPlan:
    def test_lists_the_oldest_first_with_the_sum_of_their_tasks(self) -> None:
        ids = stage(8, tasks=lambda number: number)
        plan = batches.make_plan(REPORT, PERSON)
        assert plan.organizations == ids[:5]
        assert plan.expected_tasks == sum(range(5))
        assert (plan.made_by, plan.batch, len(plan.hash)) == ("ada", None, 64)
        assert Job.objects.count() == 0

    @pytest.mark.parametrize(("order", "turned"), [(BatchOrder.SMALLEST, False), (BatchOrder.LARGEST, True)])
    def test_orders_by_size(self, order: BatchOrder, turned: bool) -> None:
        ids = stage(8, tasks=lambda number: number)
        ordered = ids[::-1] if turned else ids
        assert batches.make_plan(replace(REPORT, order=order), PERSON).organizations == ordered[:5]

    def test_same_choice_same_hash_and_another_option_another_hash(self) -> None:
        stage(5)
        hashes = [
            batches.make_plan(options, PERSON).hash for options in (REPORT, REPORT, SYNC, replace(REPORT, name="x"))
        ]
        assert hashes[0] == hashes[1]
        assert len(set(hashes)) == 3

    def test_the_hash_is_of_the_order_of_organizations_and_not_of_how_the_options_are_written(self) -> None:
        told = hash_of([ONE, "2"], {"options": {"size": 5, "mode": "sync"}, "origin": None})
        assert told == hash_of([ONE, "2"], {"origin": None, "options": {"mode": "sync", "size": 5}})
        assert told != hash_of(["2", ONE], {"options": {"size": 5, "mode": "sync"}, "origin": None})

    def test_leaves_out_what_is_active_reported_or_skipped_since(self) -> None:
        active, reported, skipped, forced, free = stage(5)
        make_job(organization_id=active)
        batch = Batch.objects.create(mode=Mode.REPORT, size=1, created_by="x", trace_id=make_job().trace_id)
        StagedOrganization.objects.filter(pk=reported).update(reported_in=batch)
        for organization, ago in ((skipped, 0), (forced, 5)):
            SkippedOrganization.objects.create(
                organization_id=organization,
                reason=SkipReason.LOOPED,
                skipped_by="x",
                skipped_at=timezone.now() - timedelta(hours=ago),
            )
        assert batches.make_plan(REPORT, PERSON).organizations == [forced, free]
        assert batches.make_plan(SYNC, PERSON).organizations == [reported, forced, free]

    def test_refuses_wrong_options_and_an_empty_set(self) -> None:
        with pytest.raises(BatchOptionsError, match="allowed are 1 to 10,000"):
            batches.make_plan(BatchOptions(size=0), PERSON)
        with pytest.raises(UsageError, match="stage some first"):
            batches.make_plan(REPORT, PERSON)
        make_job(organization_id=stage(1)[0])
        with pytest.raises(UsageError, match="has an active job"):
            batches.make_plan(REPORT, PERSON)

    def test_a_list_keeps_its_order_and_says_what_it_leaves_out(self) -> None:
        ids = [str(UUID(int=number)) for number in (9, 3, 7, 1)]
        nine, three, seven, one = ids
        names = {organization: f"Name {place}" for place, organization in enumerate(ids)}
        make_job(organization_id=three)
        SkippedOrganization.objects.create(organization_id=seven, reason=SkipReason.LOOPED, skipped_by="x")
        plan = batches.make_plan(SYNC, PERSON, Origin(names=names))
        contents = contents_of(BatchPlan.objects.get(pk=plan.pk))
        assert (plan.organizations, contents.active, contents.skipped) == ([nine, one], (three,), (seven,))
        assert list((contents.origin.names or {}).items()) == [(nine, "Name 0"), (one, "Name 3")]
        with_skipped = batches.make_plan(SYNC, PERSON, Origin(names=names, include_skipped=True))
        assert with_skipped.organizations == [nine, seven, one]
        batch = batches.start_plan(with_skipped.pk, with_skipped.hash, PERSON)
        assert list(batch.jobs.order_by("pk").values_list("organization_name", flat=True)) == [
            "Name 0",
            "Name 2",
            "Name 3",
        ]

    def test_a_list_cannot_auto_advance_and_may_be_all_busy(self) -> None:
        with pytest.raises(UsageError, match="nothing to advance to"):
            batches.make_plan(replace(SYNC, auto_advance=True), PERSON, Origin(names={ONE: ""}))
        make_job(organization_id=ONE)
        with pytest.raises(UsageError, match="1 have an active job"):
            batches.make_plan(SYNC, PERSON, Origin(names={ONE: ""}))


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestCounts:
    def test_are_asked_from_the_source_once(self, use_estate: EstateWriter, company: Company) -> None:
        sizes = batches.count_tasks([str(organization) for organization in company.organizations()])
        assert len(set(sizes.values())) == len(sizes) == 6
        for organization in sizes:
            StagedOrganization.objects.create(organization_id=organization, staged_by="x")
        plan = batches.make_plan(BatchOptions(size=3, order=BatchOrder.LARGEST), PERSON)
        assert plan.organizations == sorted(sizes, key=lambda each: -sizes[each])[:3]
        assert plan.expected_tasks == sum(sorted(sizes.values())[-3:])
        assert dict(StagedOrganization.objects.values_list("pk", "task_count")) == sizes

    def test_of_a_window_are_those_updated_in_it(self, use_estate: EstateWriter, company: Company) -> None:
        ids = [str(organization) for organization in company.organizations()]
        company.in_source("UPDATE tasks SET updated_at = %s WHERE organization_id = ANY(%s)", DAY.start, ids[:2])
        for organization in ids[:3]:
            StagedOrganization.objects.create(organization_id=organization, staged_by="x")
        inside = sum(batches.count_tasks(ids[:2]).values())
        for origin in (None, Origin(names=dict.fromkeys(ids[:3], ""))):
            plan = batches.make_plan(BatchOptions(size=3, window=DAY), PERSON, origin)
            assert (plan.expected_tasks, contents_of(plan).reach_tasks) == (inside, inside)
        assert not StagedOrganization.objects.exclude(task_count=None).exists()

    def test_a_source_away_matters_only_where_the_order_needs_it(
        self, use_estate: EstateWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage(3, tasks=lambda _: None)
        monkeypatch.setenv("SOURCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        use_estate()
        plan = batches.make_plan(BatchOptions(size=3), PERSON)
        assert (plan.expected_tasks, plan.seconds_low) == (None, None)
        with pytest.raises(UnavailableError):
            batches.make_plan(BatchOptions(size=3, order=BatchOrder.SMALLEST), PERSON)


@pytest.mark.django_db
class TestStart:
    def test_queues_exactly_what_the_plan_lists(
        self, queue: redis.Redis, django_capture_on_commit_callbacks: Any
    ) -> None:
        ids = stage(8)
        plan = batches.make_plan(SYNC, PERSON)
        stage(3)
        with django_capture_on_commit_callbacks(execute=True):
            batch = batches.start_plan(plan.pk, plan.hash, PERSON, reason="incident 7")
        assert organizations_of(batch) == ids[:5]
        assert (batch.plan_hash, batch.expected_tasks, batch.size) == (plan.hash, 50, 5)
        assert set(states(batch)) == {JobState.QUEUED}
        assert not StagedOrganization.objects.filter(pk__in=ids[:5]).exists()
        pushed = set(queue.lrange("rq:queue:default", 0, -1))
        assert pushed == {rq_id(job.pk).encode() for job in batch.jobs.all()}
        assert acts(batch) == ["batch.started"]

    @pytest.mark.usefixtures("queue")
    def test_jobs_differ_in_nothing_but_their_organization(self) -> None:
        stage(4)
        batch = start(replace(SYNC, window=DAY))
        own = {"id", "organization_id", "organization_name"}
        rows = list(batch.jobs.order_by("pk").values())
        common = [{name: value for name, value in row.items() if name not in own} for row in rows]
        assert common == [common[0]] * 4
        assert [row["organization_name"] for row in rows] == [f"Organization {number}" for number in range(4)]
        assert [job.events.count() for job in batch.jobs.all()] == [1] * 4

    @pytest.mark.usefixtures("queue")
    @pytest.mark.parametrize("keep", [True, False])
    def test_a_report_keeps_its_organizations_staged_unless_told_otherwise(self, keep: bool) -> None:
        stage(5)
        batch = start(replace(REPORT, keep_staged=keep))
        assert StagedOrganization.objects.filter(reported_in=batch).count() == (5 if keep else 0)
        assert StagedOrganization.objects.count() == (5 if keep else 0)

    @pytest.mark.usefixtures("queue")
    def test_a_window_makes_jobs_of_that_window(self) -> None:
        stage(2)
        batch = start(replace(SYNC, window=DAY))
        jobs = list(batch.jobs.all())
        assert {(job.kind, job.window_from, job.window_to) for job in jobs} == {(JobKind.WINDOW, DAY.start, DAY.end)}

    @pytest.mark.usefixtures("queue")
    def test_twice_gives_the_same_batch(self) -> None:
        stage(5)
        plan = batches.make_plan(SYNC, PERSON)
        first = batches.start_plan(plan.pk, plan.hash, PERSON)
        assert batches.start_plan(plan.pk, plan.hash, PERSON) == first
        assert Job.objects.count() == 5

    @pytest.mark.usefixtures("queue")
    def test_a_changed_set_refuses_says_what_changed_and_gives_a_new_plan(self) -> None:
        ids = stage(6)
        plan = batches.make_plan(SYNC, PERSON)
        StagedOrganization.objects.filter(pk=ids[0]).delete()
        make_job(organization_id=ids[1])
        with pytest.raises(PlanChangedError, match=r"1 would come in .* 2 can no longer be taken") as raised:
            batches.start_plan(plan.pk, plan.hash, PERSON)
        assert (raised.value.added, raised.value.removed) == ((ids[5],), (ids[0], ids[1]))
        assert Batch.objects.count() == 0
        new = raised.value.plan
        assert new is not None
        assert organizations_of(batches.start_plan(new.pk, new.hash, PERSON)) == ids[2:]

    @pytest.mark.usefixtures("queue")
    def test_a_set_that_is_gone_refuses_without_a_new_plan(self) -> None:
        stage(2)
        plan = batches.make_plan(SYNC, PERSON)
        StagedOrganization.objects.all().delete()
        with pytest.raises(PlanChangedError, match="nothing left to start") as raised:
            batches.start_plan(plan.pk, plan.hash, PERSON)
        assert raised.value.plan is None

    @pytest.mark.usefixtures("queue")
    def test_another_hash_or_no_plan_is_refused(self) -> None:
        stage(1)
        plan = batches.make_plan(SYNC, PERSON)
        with pytest.raises(UsageError, match="not the one that was shown"):
            batches.start_plan(plan.pk, "0" * 64, PERSON)
        with pytest.raises(UsageError, match="gone"):
            batches.start_plan(plan.pk + 1, plan.hash, PERSON)

    @pytest.mark.usefixtures("queue")
    def test_old_plans_are_dropped_but_not_started_ones(self) -> None:
        stage(3)
        started = batches.make_plan(REPORT, PERSON)
        batches.start_plan(started.pk, started.hash, PERSON)
        fresh, old = (batches.make_plan(SYNC, PERSON, Origin(names={str(uuid4()): ""})) for _ in "ab")
        BatchPlan.objects.exclude(pk=fresh.pk).update(made_at=timezone.now() - timedelta(days=2))
        assert batches.drop_old_plans() == 1
        assert set(BatchPlan.objects.values_list("pk", flat=True)) == {started.pk, fresh.pk}
        assert not BatchPlan.objects.filter(pk=old.pk).exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestConfirmation:
    @pytest.mark.parametrize(
        ("organizations", "each", "needed"), [(1_000, 1, ""), (1_001, 1, "1001"), (2, 500_001, "2")]
    )
    def test_is_typed_above_a_thousand_organizations_or_a_million_tasks(
        self, organizations: int, each: int, needed: str
    ) -> None:
        stage(organizations, tasks=lambda _: each)
        plan = batches.make_plan(BatchOptions(mode=Mode.SYNC, size=10_000), PERSON)
        assert contents_of(plan).confirmation == needed
        if not needed:
            batches.start_plan(plan.pk, plan.hash, PERSON)
            return
        for wrong in ("", "yes", "1000"):
            with pytest.raises(UsageError, match="type that number"):
                batches.start_plan(plan.pk, plan.hash, PERSON, confirmation=wrong)
        assert Batch.objects.count() == 0
        batch = batches.start_plan(plan.pk, plan.hash, PERSON, confirmation=f" {int(needed):,} ")
        assert batch.jobs.count() == organizations

    def test_counts_what_auto_advance_sets_off(self) -> None:
        stage(1_200)
        plan = batches.make_plan(BatchOptions(mode=Mode.SYNC, size=10, auto_advance=True), PERSON)
        contents = contents_of(plan)
        assert (contents.confirmation, contents.reach_tasks, plan.expected_tasks) == ("1200", 12_000, 100)


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
def test_starting_takes_as_many_statements_for_many_organizations_as_for_few() -> None:
    used = []
    for count in (1_000, 3_000):
        stage(count)
        plan = batches.make_plan(BatchOptions(mode=Mode.SYNC, size=count, canary=10), PERSON)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            batches.start_plan(plan.pk, plan.hash, PERSON, confirmation=str(count))
        used.append(len(captured))
    assert used[0] == used[1] <= 20


@pytest.mark.usefixtures("committed", "queue")
class TestRaces:
    def test_one_plan_started_by_many_is_one_batch(self) -> None:
        stage(20)
        plan = batches.make_plan(replace(SYNC, size=20), PERSON)
        started = at_once([lambda: batches.start_plan(plan.pk, plan.hash, PERSON)] * 6)
        assert len({batch.pk for batch in started if isinstance(batch, Batch)}) == 1
        assert all(isinstance(batch, Batch) for batch in started)
        assert Job.objects.count() == 20

    def test_of_plans_for_the_same_organizations_one_starts(self) -> None:
        stage(20)
        plans = [batches.make_plan(replace(SYNC, size=20, name=str(number)), PERSON) for number in range(4)]
        started = at_once([partial(batches.start_plan, plan.pk, plan.hash, PERSON) for plan in plans])
        assert sum(isinstance(batch, Batch) for batch in started) == 1
        assert sum(isinstance(error, PlanChangedError) for error in started) == 3
        assert Job.objects.count() == 20

    def test_of_lists_with_the_same_organizations_one_starts(self) -> None:
        names = {str(UUID(int=number)): "" for number in range(20)}
        plans = [batches.make_plan(replace(SYNC, size=20), PERSON, Origin(names=names)) for _ in range(4)]
        started = at_once([partial(batches.start_plan, plan.pk, plan.hash, PERSON) for plan in plans])
        assert sum(isinstance(batch, Batch) for batch in started) == 1
        assert sum(isinstance(error, PlanChangedError) for error in started) == 3

    def test_commands_take_different_organizations(self) -> None:
        stage(20)
        started = at_once([lambda: batches.start_batch(5, Mode.SYNC, PERSON)] * 3)
        assert all(isinstance(batch, Batch) for batch in started), started
        assert Batch.objects.filter(state=BatchState.RUNNING).count() == 3
        assert Job.objects.values("organization_id").distinct().count() == 15
