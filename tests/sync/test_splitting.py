"""Where an organization is cut into ranges: always all of it, each key once, and in about equal pieces."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.keys import Key, KeyKind, restore_key
from sync.models import Job
from sync.splitting import even_cuts, find_cuts, ranges_between
from tests.sync.packed_stores import HERE, PLAIN, Stores, Task, open_stores

SPACE = UUID("a3bb189e-8bf9-3888-9912-ace4e6543002")
INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(keys=st.lists(INTEGERS, min_size=2, max_size=2), ranges=st.integers(2, 64))
def test_even_cuts_rise_between_the_first_key_and_the_last(keys: list[int], ranges: int) -> None:
    first, last = sorted(keys)
    cuts = even_cuts(first, last, ranges)
    assert all(int(str(low)) < int(str(high)) for low, high in pairwise(cuts))
    assert len(cuts) < ranges
    assert all(first <= int(str(cut)) < last for cut in cuts)
    as_uuids = even_cuts(UUID(int=first + 2**63), UUID(int=last + 2**63), ranges)
    assert [cut.int - 2**63 for cut in as_uuids if isinstance(cut, UUID)] == cuts


@given(cuts=st.lists(INTEGERS, unique=True, max_size=9).map(sorted), key=INTEGERS)
def test_every_key_is_in_one_range(cuts: list[int], key: int) -> None:
    parts = ranges_between(Job(), cuts)
    assert [part.number for part in parts] == list(range(1, len(cuts) + 2))
    holding = [
        part
        for part in parts
        if (part.lower is None or int(part.lower) < key) and (part.upper is None or key <= int(part.upper))
    ]
    assert len(holding) == 1


@pytest.fixture(scope="module", params=[KeyKind.UUID, KeyKind.INTEGER])
def stores(request: pytest.FixtureRequest, servers: ServerAddresses) -> Iterator[Stores]:
    with open_stores(servers.admin_url, request.param) as opened:
        yield opened


class TestFinding:
    @staticmethod
    def keys(stores: Stores, count: int) -> list[Key]:
        """Most of them close together, a few far away, as ids that rise with time may be."""
        numbers = [number**4 if number < count // 10 else count**5 + number for number in range(count)]
        return [UUID(int=number) if stores.kind is KeyKind.UUID else number for number in numbers]

    def test_a_sample_gives_pieces_of_about_one_size_whatever_the_keys(self, stores: Stores) -> None:
        keys = self.keys(stores, 800)
        stores.fill([Task(key, PLAIN) for key in keys], [])
        cuts, how = find_cuts(stores.source.tasks, HERE, 4)
        assert "sample" in how
        places = [0, *(keys.index(restore_key(stores.kind, str(cut))) for cut in cuts), len(keys)]
        sizes = [high - low for low, high in pairwise(places)]
        assert len(sizes) == 4
        assert max(sizes) <= 1.1 * 200

    def test_with_too_few_in_the_sample_keys_are_cut_evenly(self, stores: Stores) -> None:
        keys = self.keys(stores, 20)
        stores.fill([Task(key, PLAIN) for key in keys], [])
        cuts, how = find_cuts(stores.source.tasks, HERE, 4)
        assert "evenly" in how
        assert cuts == even_cuts(keys[0], keys[-1], 4)

    def test_what_cannot_be_sampled_is_cut_evenly(self, stores: Stores) -> None:
        """The estate may name a view."""
        keys = self.keys(stores, 800)
        stores.fill([Task(key, PLAIN) for key in keys], [])
        store = stores.stores[0]
        store.run("ALTER TABLE tasks RENAME TO kept")
        store.run("CREATE VIEW tasks AS SELECT * FROM kept")
        try:
            cuts, how = find_cuts(stores.source.tasks, HERE, 4)
        finally:
            store.run("DROP VIEW tasks")
            store.run("ALTER TABLE kept RENAME TO tasks")
        assert ("evenly" in how, cuts) == (True, even_cuts(keys[0], keys[-1], 4))

    def test_a_partitioned_table_is_sampled_too(self, stores: Stores) -> None:
        keys = self.keys(stores, 800)
        stores.fill([Task(key, PLAIN) for key in keys], [])
        store = stores.stores[0]
        store.run("ALTER TABLE tasks RENAME TO kept")
        store.run("CREATE TABLE tasks (LIKE kept) PARTITION BY HASH (id)")
        try:
            for part in (0, 1):
                store.run(f"CREATE TABLE p{part} PARTITION OF tasks FOR VALUES WITH (MODULUS 2, REMAINDER {part})")
            store.run("INSERT INTO tasks SELECT * FROM kept")
            cuts, how = find_cuts(stores.source.tasks, HERE, 4)
        finally:
            store.run("DROP TABLE tasks")
            store.run("ALTER TABLE kept RENAME TO tasks")
        assert ("sample" in how, len(cuts)) == (True, 3)

    def test_an_organization_without_tasks_is_not_cut(self, stores: Stores) -> None:
        stores.fill([], [])
        assert find_cuts(stores.source.tasks, HERE, 4)[0] == []


def test_random_uuids_are_cut_well_without_a_sample() -> None:
    keys = sorted(uuid5(SPACE, str(number)) for number in range(4_000))
    cuts = even_cuts(keys[0], keys[-1], 8)
    places = [bisect_right(keys, UUID(str(cut))) for cut in cuts]
    sizes = [high - low for low, high in pairwise([0, *places, len(keys)])]
    assert len(sizes) == 8
    assert max(sizes) < 1.3 * 500
