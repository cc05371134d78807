"""The lease: one clock leads, another takes over when it is gone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from opsconsole.clock.lease import LEASE_SECONDS, RENEW_SECONDS, LeaseKeeper
from opsconsole.models import Lease

pytest_plugins = ["tests.fixtures_sync"]


def let_expire() -> None:
    Lease.objects.update(expires_at=Now() - timedelta(milliseconds=1))


@pytest.mark.django_db
class TestLease:
    def test_of_two_one_leads(self) -> None:
        first, second = LeaseKeeper("one"), LeaseKeeper("two")
        assert (first.hold(), second.hold(), second.hold()) == (True, False, False)
        assert Lease.objects.get().holder == "one"

    def test_renewed_it_keeps_its_fence_and_lasts_longer(self) -> None:
        keeper = LeaseKeeper("one")
        assert keeper.hold()
        fence, before = keeper.fence, Lease.objects.get()
        assert keeper.hold()
        after = Lease.objects.get()
        assert (keeper.fence, after.fence) == (fence, fence)
        assert after.expires_at > before.expires_at
        assert after.beat_at > before.beat_at

    def test_lasts_fifteen_seconds_by_the_databases_clock(self) -> None:
        LeaseKeeper("one").hold()
        lease = Lease.objects.get()
        assert lease.expires_at - lease.beat_at == timedelta(seconds=LEASE_SECONDS)
        assert 3 * RENEW_SECONDS <= LEASE_SECONDS  # two renewals may fail

    def test_an_expired_one_is_taken_over_with_a_higher_fence(self) -> None:
        first, second = LeaseKeeper("one"), LeaseKeeper("two")
        first.hold()
        old = first.fence
        let_expire()
        assert second.hold()
        assert second.fence == old + 1
        assert not first.hold()
        assert first.fence == 0

    def test_its_old_holder_comes_back_as_a_new_one(self) -> None:
        """Somebody else may have led meanwhile: the fence must tell."""
        keeper = LeaseKeeper("one")
        keeper.hold()
        old = keeper.fence
        let_expire()
        assert keeper.hold()
        assert keeper.fence == old + 1

    def test_given_back_it_is_free_at_once(self) -> None:
        first, second = LeaseKeeper("one"), LeaseKeeper("two")
        first.hold()
        first.give_back()
        assert first.fence == 0
        assert second.hold()

    def test_only_the_holder_can_give_it_back(self) -> None:
        first, second = LeaseKeeper("one"), LeaseKeeper("two")
        first.hold()
        second.give_back()
        let_expire()
        second.hold()
        first.give_back()  # a fence that is gone
        assert Lease.objects.get().holder == "two"
        assert second.hold()

    def test_leases_of_other_names_are_apart(self) -> None:
        assert LeaseKeeper("one").hold()
        assert LeaseKeeper("two", name="other").hold()


@pytest.mark.usefixtures("committed")
def test_of_many_at_once_one_leads() -> None:
    start = threading.Barrier(6)
    led: list[str] = []

    def race(keeper: LeaseKeeper) -> None:
        try:
            start.wait(10)
            if keeper.hold():
                led.append(keeper.holder)
        finally:
            connection.close()

    racers = [threading.Thread(target=race, args=(LeaseKeeper(f"clock-{number}"),)) for number in range(6)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert led == [Lease.objects.get().holder]
    assert Lease.objects.get().fence == 1
