"""Auto-advance: the next batch starts by itself, exactly once, until there is a reason not to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from opsconsole.models import AuditEntry
from sync.models import Batch, BatchOrder, BatchRelation, BatchState, Job, JobState, Mode, StagedOrganization
from sync.operations import batches
from sync.operations.batches import BatchOptions
from sync.signals import batch_ended
from tests.sync.batches import PERSON, at_once, in_state, organizations_of, reload, run, run_all, stage, start

pytest_plugins = ["tests.fixtures_sync"]

CHAIN = BatchOptions(mode=Mode.SYNC, size=3, auto_advance=True)


def follower(batch: Batch) -> Batch | None:
    return Batch.objects.filter(previous=batch).first()


def why_it_ended(batch: Batch) -> str:
    return AuditEntry.objects.get(subject=f"batch:{batch.pk}", action="batch.chain_ended").reason


@pytest.mark.django_db
@pytest.mark.usefixtures("queue")
class TestChain:
    @pytest.mark.parametrize("mode", Mode)
    def test_goes_on_until_nothing_is_ready(self, mode: Mode) -> None:
        ids = stage(7)
        batch = start(replace(CHAIN, mode=mode, name="night", tags=("a",), most_at_once=2))
        seen = []
        while True:
            seen += organizations_of(batch)
            run_all(batch)
            assert reload(batch).state == BatchState.DONE
            following = follower(batch)
            if following is None:
                break
            assert (following.relation, following.created_by) == (BatchRelation.ADVANCED, "clock")
            assert (following.name, following.tags, following.most_at_once) == ("night", ["a"], 2)
            batch = following
        assert seen == ids
        assert not reload(batch).auto_advance
        assert why_it_ended(batch) == "No more staged organizations are ready."

    def test_an_ended_chain_does_not_wake_up(self) -> None:
        stage(2)
        batch = start(CHAIN)
        run_all(batch)
        stage(2)
        batches.keep_batches_moving()
        job = batch.jobs.get(pk=batch.jobs.order_by("pk").values_list("pk", flat=True)[0])
        Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
        batches.retry_failed(batch, PERSON)
        run_all(batch)
        assert reload(batch).state == BatchState.DONE
        assert Batch.objects.count() == 1

    def test_without_it_nothing_follows(self) -> None:
        stage(5)
        run_all(batch := start(replace(CHAIN, auto_advance=False)))
        assert (reload(batch).state, Batch.objects.count()) == (BatchState.DONE, 1)

    def test_a_batch_retried_after_the_next_started_has_no_second_one(self) -> None:
        stage(9)
        batch = start(CHAIN)
        run(in_state(batch, JobState.QUEUED)[0], JobState.FAILED)
        run_all(batch)
        assert Batch.objects.count() == 2
        batches.retry_failed(batch, PERSON)
        run_all(batch)
        assert reload(batch).state == BatchState.DONE
        assert Batch.objects.count() == 2

    def test_stops_where_too_many_failed(self) -> None:
        stage(5)
        batch = start(replace(CHAIN, stop_after_failures=2))
        run(in_state(batch, JobState.QUEUED)[0])
        first, second = in_state(batch, JobState.QUEUED)
        run(first, JobState.FAILED)
        run(second, JobState.FAILED)
        assert reload(batch).state == BatchState.DONE
        assert (follower(batch), why_it_ended(batch)) == (None, "2 jobs failed or looped; the chain was to stop at 2.")

    def test_stops_where_nothing_succeeded(self) -> None:
        stage(5)
        batch = start(CHAIN)
        run_all(batch, JobState.FAILED)
        assert (follower(batch), why_it_ended(batch)) == (None, "Not one job of the batch succeeded.")

    def test_stops_where_it_is_cancelled(self) -> None:
        stage(5)
        batch = start(CHAIN)
        batches.cancel_batch(batch, PERSON, "x")
        assert (follower(batch), why_it_ended(batch)) == (None, "The batch was cancelled.")

    def test_a_pause_pauses_the_chain_until_it_is_resumed(self) -> None:
        stage(5)
        batch = start(CHAIN)
        batches.pause(batch, PERSON, "wait")
        batch.jobs.update(state=JobState.DONE)
        batches.keep_batches_moving()
        assert (reload(batch).state, follower(batch)) == (BatchState.PAUSED, None)
        batches.resume(batch, PERSON)
        assert reload(batch).state == BatchState.DONE
        assert follower(batch) is not None

    def test_the_canary_was_let_through_once_for_all(self) -> None:
        stage(6)
        batch = start(replace(CHAIN, canary=1))
        run_all(batch)
        batches.go(batch, PERSON)
        run_all(batch)
        following = follower(batch)
        assert following is not None
        assert {job.state for job in following.jobs.all()} == {JobState.QUEUED}

    def test_keeps_the_order_by_size(self) -> None:
        ids = stage(6, tasks=lambda number: number)
        batch = start(replace(CHAIN, order=BatchOrder.LARGEST))
        run_all(batch)
        following = follower(batch)
        assert following is not None
        assert organizations_of(following) == ids[2::-1]


@pytest.mark.usefixtures("committed", "queue")
class TestRaces:
    def test_of_many_clocks_one_starts_the_next_and_the_end_is_announced_once(self) -> None:
        stage(40)
        batch = start(replace(CHAIN, size=4))
        announced: list[int] = []

        def hear(sender: object, *, batch_id: int, **_: Any) -> None:
            announced.append(batch_id)

        batch_ended.connect(hear)
        try:
            for round_number in range(5):
                batch.jobs.update(state=JobState.DONE)
                at_once([batches.keep_batches_moving] * 6)
                assert Batch.objects.count() == round_number + 2
                assert announced.count(batch.pk) == 1
                following = follower(batch)
                assert following is not None
                assert following.jobs.count() == 4
                batch = following
        finally:
            batch_ended.disconnect(hear)
        assert StagedOrganization.objects.count() == 40 - 6 * 4

    def test_a_retry_beside_the_end_leaves_no_ended_batch_with_a_job(self) -> None:
        for _ in range(5):
            stage(3)
            batch = start(replace(CHAIN, auto_advance=False))
            batch.jobs.update(state=JobState.FAILED)
            calls: list[Callable[[], object]] = [
                batches.keep_batches_moving,
                partial(batches.retry_failed, batch, PERSON),
            ]
            at_once(calls)
            assert reload(batch).state == BatchState.RUNNING
            assert {job.state for job in batch.jobs.all()} == {JobState.QUEUED}
            batch.jobs.update(state=JobState.DONE)
