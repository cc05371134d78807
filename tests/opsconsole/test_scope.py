"""The pure scope: what groups allow together, what lies outside, and that a scope ends where it began."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole import scope
from opsconsole.scope import NOTHING, UNLIMITED, OutsideScopeError, Scope

names = st.sampled_from("abcdef")
some = st.none() | st.frozensets(names)
scopes = st.builds(Scope, some, some)


@given(scopes, scopes, names)
def test_two_groups_allow_what_either_allows_in_each_dimension(one: Scope, other: Scope, name: str) -> None:
    both = one | other
    assert both.allows_organization(name) == (one.allows_organization(name) or other.allows_organization(name))
    assert both.allows_source(name) == (one.allows_source(name) or other.allows_source(name))
    assert both.covers(one)
    assert both.covers(other)


@given(st.lists(scopes), st.lists(scopes))
def test_the_order_of_groups_does_not_matter(some: list[Scope], others: list[Scope]) -> None:
    def together(parts: list[Scope]) -> Scope:
        allowed = NOTHING
        for part in parts:
            allowed = allowed | part
        return allowed

    assert together(some + others) == together(others + some) == together(some) | together(others)


@given(scopes, scopes)
def test_a_scope_covers_another_where_it_allows_all_that_the_other_allows(one: Scope, other: Scope) -> None:
    if one.covers(other):
        assert all(one.allows_organization(name) for name in "abcdef" if other.allows_organization(name))
        assert all(one.allows_source(name) for name in "abcdef" if other.allows_source(name))
    assert UNLIMITED.covers(one)
    assert one.covers(NOTHING)


@given(scopes)
def test_limited_is_what_does_not_allow_everything(one: Scope) -> None:
    assert one.limited == (one.organizations is not None or one.record_sources is not None)
    assert not (one | UNLIMITED).limited


@given(scopes, st.lists(names, min_size=1))
def test_ids_are_refused_whole_where_one_lies_outside(one: Scope, asked: list[str]) -> None:
    outside = [name for name in asked if not one.allows_organization(name)]
    if not outside:
        one.require_organizations(asked)
        return
    with pytest.raises(OutsideScopeError, match=rf"{len(outside)} of {len(asked)} organization") as refused:
        one.require_organizations(asked)
    assert outside[0] in str(refused.value)
    assert str(refused.value).endswith("Nothing was done.")


def test_a_task_lies_outside_where_either_side_has_it_with_an_organization_that_does() -> None:
    held = Scope(frozenset({"a"}))
    held.require_tasks([(1, "a"), (1, "a"), (2, "a")])
    with pytest.raises(OutsideScopeError, match=r"1 of 2 tasks \(2\)"):
        held.require_tasks([(1, "a"), (2, "a"), (2, "b")])


def test_a_scope_holds_inside_and_is_lifted_for_what_follows() -> None:
    held = Scope(frozenset({"a"}))
    assert scope.current() is UNLIMITED
    with scope.within(held):
        assert scope.current() is held
        with scope.lifted():
            assert scope.current() is UNLIMITED
        assert scope.current() is held
    assert scope.current() is UNLIMITED


def test_each_part_of_a_stream_is_made_within_the_scope() -> None:
    held = Scope(frozenset({"a"}))

    def parts() -> Iterator[Scope]:
        for _ in range(3):
            yield scope.current()

    stream = scope.held(held, parts())
    assert next(stream) is held
    assert scope.current() is UNLIMITED
    assert list(stream) == [held, held]
