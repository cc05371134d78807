"""Keyset pages: every row once and in order, forward and back, with ties and empty values; odd cursors refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import QuerySet
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from opsconsole.errors import UsageError
from opsconsole.keyset import LARGEST_SIZE, KeysetPage, capped_count, keyset_page, page_of, page_size
from opsconsole.models import User

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ORDERINGS = (
    ("id",),
    ("-date_joined", "-id"),
    ("date_joined", "-id"),
    ("last_login", "id"),
    ("-last_login", "first_name", "-id"),
)


def people(seeds: Sequence[tuple[int, int | None, str]]) -> QuerySet[User]:
    User.objects.bulk_create(
        User(
            username=f"person-{place}",
            date_joined=DAY + timedelta(microseconds=joined),
            last_login=None if login is None else DAY + timedelta(hours=login),
            first_name=name,
        )
        for place, (joined, login, name) in enumerate(seeds)
    )
    return User.objects.filter(username__startswith="person-")


def walk(rows: QuerySet[User], ordering: Sequence[str], size: int, start: str = "") -> Iterator[KeysetPage[User]]:
    page = keyset_page(rows, ordering, cursor=start, size=size)
    yield page
    while page.next:
        page = keyset_page(rows, ordering, cursor=page.next, size=size)
        yield page


def walk_back(rows: QuerySet[User], ordering: Sequence[str], size: int, page: KeysetPage[User]) -> list[int]:
    found = [row.pk for row in page.rows]
    while page.previous:
        page = keyset_page(rows, ordering, cursor=page.previous, size=size)
        found = [row.pk for row in page.rows] + found
    return found


def expected(rows: QuerySet[User], ordering: Sequence[str]) -> list[int]:
    """The same order, made by Python's stable sort: empty values last either way."""
    everybody = list(rows)
    for name in reversed(ordering):
        bare, falling = name.removeprefix("-"), name.startswith("-")
        filled = [row for row in everybody if getattr(row, bare) is not None]
        empty = [row for row in everybody if getattr(row, bare) is None]
        everybody = sorted(filled, key=lambda row: getattr(row, bare), reverse=falling) + empty
    return [row.pk for row in everybody]


SEEDS = st.lists(
    st.tuples(st.integers(0, 3), st.none() | st.integers(0, 2), st.sampled_from(["", "a", "b"])), max_size=25
)


class WalkTest(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(SEEDS, st.sampled_from(ORDERINGS), st.integers(1, 9))
    def test_every_row_once_forward_and_back(
        self, seeds: list[tuple[int, int | None, str]], ordering: tuple[str, ...], size: int
    ) -> None:
        rows = people(seeds)
        pages = list(walk(rows, ordering, size))
        forward = [row.pk for page in pages for row in page.rows]
        assert forward == expected(rows, ordering)
        assert all(len(page.rows) == size for page in pages[:-1])
        assert pages[0].previous is None
        assert walk_back(rows, ordering, size, pages[-1]) == forward

    @settings(max_examples=150, deadline=None)
    @given(st.text(max_size=40) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
    def test_any_text_as_cursor_is_refused(self, cursor: str) -> None:
        if cursor:
            with pytest.raises(UsageError):
                keyset_page(User.objects.all(), ("-date_joined", "-id"), cursor=cursor)

    @settings(max_examples=150, deadline=None)
    @given(st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=9), st.lists, max_leaves=5))
    def test_well_formed_cursors_with_odd_values_never_fail_otherwise(self, value: object) -> None:
        content = json.dumps(["-id", 0, [value]])
        with suppress(UsageError):
            keyset_page(User.objects.all(), ("-id",), cursor=base64.urlsafe_b64encode(content.encode()).decode())


@pytest.mark.django_db
def test_rows_arriving_meanwhile_shift_nothing() -> None:
    rows = people([(place, None, "") for place in range(6)])
    first = keyset_page(rows, ("-date_joined", "-id"), size=3)
    User.objects.create(username="person-new", date_joined=DAY + timedelta(days=1))
    second = keyset_page(rows, ("-date_joined", "-id"), cursor=first.next or "", size=3)
    assert [row.username for row in second.rows] == ["person-2", "person-1", "person-0"]
    assert second.next is None


@pytest.mark.django_db
def test_cursor_of_another_ordering_is_refused() -> None:
    rows = people([(0, None, ""), (1, None, "")])
    page = keyset_page(rows, ("-date_joined", "-id"), size=1)
    with pytest.raises(UsageError, match="start again at the first page"):
        keyset_page(rows, ("id",), cursor=page.next or "")


@pytest.mark.parametrize("text", ["0", "-1", "abc", "201", "1e2", "٣", "9" * 50])
def test_page_size_is_bounded(text: str) -> None:
    with pytest.raises(UsageError, match=str(LARGEST_SIZE)):
        page_size(text)


@pytest.mark.django_db
def test_page_of_reads_the_address(rf: RequestFactory) -> None:
    rows = people([(place, None, "") for place in range(3)])
    page = page_of(rf.get("/", {"size": "2"}), rows, ("id",))
    assert (len(page.rows), page.size) == (2, 2)


@pytest.mark.django_db
@pytest.mark.parametrize(("cap", "said"), [(2, "2+"), (3, "3"), (1_000, "3")])
def test_counts_stop_at_their_cap(cap: int, said: str) -> None:
    rows = people([(0, None, "")] * 3)
    assert str(capped_count(rows, cap)) == said
