"""Working ahead in a thread: order, bounds, errors, and ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sync.readahead import Ahead


def test_items_come_in_order_and_no_more_than_so_many_are_made_ahead() -> None:
    made: list[int] = []
    taken: list[int] = []
    most_ahead = 0

    def make(stopped: threading.Event) -> Iterator[int]:
        nonlocal most_ahead
        for number in range(50):
            most_ahead = max(most_ahead, number - len(taken))
            made.append(number)
            yield number

    with Ahead(make, most=2, name="numbers") as ahead:
        for number in ahead:
            taken += [number]
    assert taken == made == list(range(50))
    assert most_ahead <= 3  # two that wait, and one just taken


def test_an_error_is_raised_to_the_taker_behind_the_items_before_it() -> None:
    def make(stopped: threading.Event) -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with Ahead(make, most=5, name="numbers") as ahead:
        taking = iter(ahead)
        assert next(taking) == 1
        with pytest.raises(ValueError, match="no more"):
            next(taking)


def test_who_takes_no_more_ends_the_thread_and_what_it_opened() -> None:
    closed: list[str] = []

    def make(stopped: threading.Event) -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.append("generator")

    with Ahead(make, most=1, name="numbers") as ahead:
        assert next(iter(ahead)) == 0
    assert closed == ["generator"]
    assert "numbers" not in {thread.name for thread in threading.enumerate()}


def test_while_nothing_comes_the_taker_is_asked_and_may_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.readahead.IDLE_SECONDS", 0.01)

    def make(stopped: threading.Event) -> Iterator[int]:
        stopped.wait()
        yield from ()

    def give_up() -> None:
        raise TimeoutError

    with Ahead(make, most=1, name="numbers", idle=give_up) as ahead, pytest.raises(TimeoutError):
        next(iter(ahead))
