"""Tasks that cannot be compared or published: found, set aside with their error, and gone on without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.errors import OutsideDataError
from opsconsole.keys import NO_KEY, Key, KeyKind
from sync import walking
from sync.engine.compare import Judgement, Step
from sync.jobs import run_as
from sync.models import EventLevel, Job, JobKind, JobState, Mode, SetAside, Verification
from sync.poison import MOST_SET_ASIDE, Careful
from tests.company import Company, EstateWriter, IndexerThread
from tests.sync.jobs import WORKER, make_job

pytest_plugins = ["tests.fixtures_sync"]

# A row whose title the server cannot give, as a corrupt value would be; all else of it can be read.
SPOIL = """
ALTER TABLE tasks RENAME TO whole_tasks;
CREATE VIEW tasks AS SELECT id, organization_id, status, assignee_id, due_at, version, created_at, updated_at,
    deleted_at, CASE WHEN id = ANY('{{{keys}}}'::uuid[]) THEN (1 / (version - version))::text ELSE title END AS title
FROM whole_tasks
"""


def spoil(company: Company, keys: Sequence[UUID]) -> None:
    company.in_source(SPOIL.format(keys=",".join(map(str, keys))))


def run(**fields: object) -> Job:
    job = make_job(**fields)
    try:
        run_as(job.pk, WORKER)
    finally:
        job.refresh_from_db()
    return job


@pytest.mark.usefixtures("committed", "queue")
class TestCheck:
    @pytest.fixture(params=["merged", "packed"], autouse=True)
    def _way(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, use_estate: EstateWriter) -> None:
        use_estate(chunk_rows=40)
        if request.param == "packed":
            monkeypatch.setattr(walking, "SMALL_ORGANIZATION", 10)

    def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_compared(self, company: Company) -> None:
        organization = company.organizations()[0]
        tasks = company.tasks(organization)
        stale = [tasks[0], tasks[60], tasks[61], tasks[-1]]
        company.in_source("UPDATE tasks SET assignee_id = id WHERE id = ANY(%s)", stale)
        spoil(company, [tasks[59], tasks[150]])
        job = run(organization_id=str(organization))
        assert (job.state, job.set_aside) == (JobState.DONE, 2)
        # Where a chunk was looked at by its keys, tasks marked deleted count as scanned.
        assert len(tasks) <= job.scanned <= len(tasks) + len(company.tasks(organization, deleted=True))
        assert {UUID(task) for task in job.drift.values_list("task_id", flat=True)} == set(stale)
        aside = list(SetAside.objects.filter(job=job).order_by("pk"))
        assert [(UUID(row.task_id), row.step) for row in aside] == [
            *((tasks[59], Step.COMPARE.value), (tasks[150], Step.COMPARE.value)),
        ]
        assert "division by zero" in aside[0].error
        last = job.events.order_by("-pk")[0]
        assert (last.level, "2 set aside" in last.message) == (EventLevel.WARNING, True)

    def test_in_a_list_and_in_a_window_too(self, company: Company) -> None:
        organization = company.organizations()[0]
        tasks = company.tasks(organization)
        spoil(company, [tasks[5]])
        listed = run(kind=JobKind.TASKS, organization_id="", task_ids=[str(task) for task in tasks[:10]])
        assert (listed.state, listed.set_aside, listed.scanned) == (JobState.DONE, 1, 10)
        window = {"window_from": datetime.fromisoformat("2000-01-01T00:00Z")}
        window["window_to"] = window["window_from"] + timedelta(days=20_000)
        job = run(kind=JobKind.WINDOW, organization_id=str(organization), **window)
        assert (job.state, job.set_aside) == (JobState.DONE, 1)

    def test_a_fault_of_all_rows_is_the_jobs(self, company: Company) -> None:
        organization = company.organizations()[0]
        company.in_source("REVOKE SELECT ON tasks FROM source_reader")
        with pytest.raises(OutsideDataError, match="permission denied"):
            run(organization_id=str(organization))
        assert (Job.objects.get().state, SetAside.objects.count()) == (JobState.FAILED, 0)


@pytest.mark.usefixtures("committed", "queue")
class TestPublishing:
    @pytest.mark.filterwarnings("ignore::ResourceWarning")  # kafka-python leaves sockets behind when it is closed
    def test_a_message_too_large_is_set_aside_and_the_rest_repaired(
        self, company: Company, indexer: IndexerThread, use_estate: EstateWriter
    ) -> None:
        use_estate(settle_time="0s", verify_timeout="20s")
        organization = company.organizations()[0]
        tasks = company.tasks(organization)
        company.in_source("UPDATE tasks SET title = title || '!', version = version + 1 WHERE id = ANY(%s)", tasks[:30])
        company.in_source("UPDATE tasks SET title = repeat('x', 3000000) WHERE id = %s", tasks[7])
        job = run(organization_id=str(organization), mode=Mode.SYNC)
        assert (job.state, job.drift_found, job.published, job.verified) == (JobState.DONE, 30, 29, 29)
        assert (job.set_aside, job.unresolved) == (1, 0)
        aside = SetAside.objects.get(job=job)
        assert (UUID(aside.task_id), aside.step) == (tasks[7], Step.PUBLISH.value)
        assert f"refuses the message of task {tasks[7]}" in aside.error
        assert job.drift.get(task_id=str(tasks[7])).verification == Verification.REFUSED
        assert company.drift() == 1


class Breaking:
    """A second look that fails on some keys, or on all."""

    def __init__(self, poison: set[Key], *, always: bool = False) -> None:
        self.poison = poison
        self.always = always
        self.looks = 0

    def __call__(self, suspects: Sequence[Key], now: Callable[[], datetime]) -> Judgement:
        self.looks += 1
        if self.always or self.poison & set(suspects):
            raise OutsideDataError("It is broken.")
        return Judgement((), len(suspects))


def now() -> datetime:
    raise NotImplementedError


@given(st.sets(st.integers(1, 500), max_size=200), st.data())
def test_exactly_the_poison_is_set_aside(suspects: set[int], data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.sampled_from(sorted(suspects)), max_size=20)) if suspects else set()
    look = Breaking(set(poison))
    found = Careful(look, KeyKind.INTEGER)(sorted(suspects), now)
    assert [error.key for error in found.failed] == sorted(poison)
    assert found.unsettled == len(suspects) - len(poison)
    # Each costs the halvings that lead to it and one question about nobody.
    assert look.looks <= 1 + len(poison) * (2 * max(len(suspects), 2).bit_length() + 1)


def test_where_nobody_can_be_asked_for_either_the_error_stands() -> None:
    look = Breaking(set(), always=True)
    with pytest.raises(OutsideDataError):
        Careful(look, KeyKind.INTEGER)(list(range(1, 1_000)), now)
    assert look.looks < 30


def test_too_many_are_no_matter_of_single_rows() -> None:
    many: set[Key] = set(range(1, MOST_SET_ASIDE + 50))
    with pytest.raises(OutsideDataError):
        Careful(Breaking(many), KeyKind.INTEGER)(list(many), now)


def test_nobody_is_nobody() -> None:
    assert set(NO_KEY) == set(KeyKind)
