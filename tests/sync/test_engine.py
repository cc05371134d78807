"""The engine against an oracle: whatever the two sides and the chunk size, the drift found is the drift there."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import accumulate, pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.keys import KeyKind, restore_key
from sync.engine import packed_walk
from sync.engine.compare import Published, caught_up, judge
from sync.engine.packed import KeyCodec
from sync.engine.packed_walk import Digest, Pace, PackedWalk
from sync.engine.rows import DriftKind, Finding, Key, Row
from sync.engine.texts import WRITTEN_BY_SERVER, TextShape
from sync.engine.values import to_json
from sync.engine.walk import MOST_SUSPECTS, Look, OutOfOrderError, look_at_keys, looks_of, walk

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SETTLE = timedelta(seconds=10)
SETTLED, YOUNG = NOW - timedelta(hours=1), NOW - timedelta(seconds=3)
NAMES = ("status", "assignee")
HERE, THERE = 1, 2  # two organizations, between which tasks move

KEYS: dict[KeyKind, st.SearchStrategy[Key]] = {
    KeyKind.UUID: st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
    KeyKind.INTEGER: st.integers(-(2**63), 2**63 - 1),
    # Surrogates cannot be stored; anything else can, and must sort as its UTF-8 bytes do.
    KeyKind.TEXT: st.text(st.sampled_from("aBzZ09éÄßø中文😀\U0010ffff\u0301 -_%'"), min_size=1, max_size=4),
}


@dataclass(frozen=True)
class Sides:
    """Both sides as plain dictionaries: what a test makes up, and what the oracle reads."""

    kind: KeyKind
    source: dict[Key, Row]
    index: dict[Key, Row]
    way: str = "merged"


@st.composite
def sides(draw: st.DrawFn) -> Sides:
    kind = draw(st.sampled_from(list(KeyKind)))
    keys = draw(st.lists(KEYS[kind], unique=True, max_size=14))
    source: dict[Key, Row] = {}
    index: dict[Key, Row] = {}
    for key in keys:
        row = Row(
            key,
            organization=draw(st.sampled_from((HERE, THERE))),
            values=(draw(st.sampled_from(("waiting", "completed"))), draw(st.sampled_from((None, UUID(int=7))))),
            version=draw(st.integers(1, 3)),
            updated_at=draw(st.sampled_from((SETTLED, SETTLED, YOUNG, None))),
            deleted=draw(st.sampled_from((False, False, True))),
        )
        fate = draw(st.sampled_from(("same", "same", "stale", "moved", "missing", "gone")))
        if fate != "gone":
            source[key] = row
        if fate != "missing":
            index[key] = indexed(row, fate)
    ways = ("merged",) if kind is KeyKind.TEXT else ("merged", "packed")
    return Sides(kind, source, index, draw(st.sampled_from(ways)))


def indexed(row: Row, fate: str) -> Row:
    """The row as an index may have it: other types for the same meaning, no deletions, older content."""
    status, assignee = row.values
    if fate == "stale":
        status = "in_progress"
    organization = THERE + HERE - int(str(row.organization)) if fate == "moved" else row.organization
    return Row(row.key, organization, (status, None if assignee is None else str(assignee)), row.version)


class FakeSide:
    """A Side over a dictionary that keeps count of what it hands out."""

    def __init__(self, rows: Mapping[Key, Row]) -> None:
        self.rows = dict(rows)
        self.handed_out = 0
        self.largest_page = 0

    def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
        keys = sorted((key for key, row in self.rows.items() if row.organization == organization), key=storage_order)
        begin = 0 if after is None else bisect.bisect_right(keys, storage_order(after), key=storage_order)
        page = [self.rows[key] for key in keys[begin : begin + limit]]
        self.handed_out += len(page)
        self.largest_page = max(self.largest_page, len(page))
        return page

    def by_keys(self, keys: Sequence[Key]) -> dict[Key, Row]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def _alive(self, organization: Key, after: Key | None, upto: Key | None, limit: int | None) -> list[Row]:
        page = self.page(organization, after, len(self.rows))
        alive = [row for row in page if not row.deleted and (upto is None or row.key <= upto)]  # type: ignore[operator]
        return alive[:limit]

    def pack(self, organization: Key, after: Key | None, upto: Key | None, limit: int) -> bytes:
        return b"".join(cell(row) for row in self._alive(organization, after, upto, limit))

    def digest(self, organization: Key, after: Key | None, upto: Key | None, limit: int | None) -> Digest:
        rows = self._alive(organization, after, upto, limit)
        total = sum(int.from_bytes(blake2b(cell(row), digest_size=8).digest(), "big") for row in rows)
        return Digest(len(rows), total, rows[-1].key if rows else None)


def cell(row: Row) -> bytes:
    """A packed cell as a server makes it, with a hash of our own."""
    key = row.key.bytes if isinstance(row.key, UUID) else int(row.key).to_bytes(8, "big", signed=True)
    return key + blake2b(repr([to_json(value) for value in row.values]).encode(), digest_size=8).digest()


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Iterator[None]:
    """With a dozen rows the packed walk would never need a second piece or a second mode."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_walk, "FEWEST_ROWS", 1)
        patch.setattr(packed_walk, "CALM_CHUNKS", 1)
        yield


def looks_by(
    way: str,
    source: FakeSide,
    index: FakeSide,
    organization: int,
    after: Key | None,
    limit: int,
    bound: Key | None = None,
) -> Iterator[Look]:
    if way == "merged":
        yield from walk(source, index, organization, after=after, limit=limit, bound=bound)
        return
    anything: Key = next(iter([*source.rows, *index.rows]), 0)
    codec = KeyCodec.UUID if isinstance(anything, UUID) else KeyCodec.INTEGER
    pace = Pace(limit, clock=lambda: 0.0)
    with ThreadPoolExecutor(1) as mine, ThreadPoolExecutor(1) as theirs:
        packed = PackedWalk(source, index, organization, codec, mine, theirs, pace=pace)
        yield from packed.looks(after, bound)


def storage_order(key: Key) -> bytes | int:
    """How a store orders: UUIDs and text by their bytes, integers by value."""
    match key:
        case UUID():
            return key.bytes
        case str():
            return key.encode()
        case _:
            return key


@dataclass
class Result:
    """What a whole check found."""

    drift: dict[Key, tuple[DriftKind, tuple[str, ...]]] = field(default_factory=dict)
    unsettled: int = 0
    scanned: int = 0
    looks: list[Look] = field(default_factory=list)

    def add(self, look: Look, findings: Sequence[Finding], unsettled: int) -> None:
        keys = {str(key): key for key in look.suspects}
        for finding in findings:
            key = keys[finding.task_id]
            assert key not in self.drift, "a task was found twice"
            self.drift[key] = (finding.kind, finding.fields)
        self.unsettled += unsettled
        self.scanned += look.scanned
        self.looks.append(look)


def check(
    source: FakeSide,
    index: FakeSide,
    limit: int,
    *,
    organization: int = HERE,
    after: Key | None = None,
    bound: Key | None = None,
    looks: int = -1,
    way: str = "merged",
) -> Result:
    """Look, look again, judge: as `sync.check` does, without its surroundings. Ends after `looks` chunks."""
    result = Result()
    for look in looks_by(way, source, index, organization, after, limit, bound):
        again = judge(
            look.suspects,
            source.by_keys(look.suspects),
            index.by_keys(look.suspects),
            names=NAMES,
            now=NOW,
            settle=SETTLE,
        )
        result.add(look, again.findings, again.unsettled)
        if len(result.looks) == looks:
            break
    return result


def drift_there(both: Sides, organization: int) -> tuple[dict[Key, DriftKind], int]:
    """The oracle: drift that the check of `organization` must find, and how many differences are too young.

    An organization answers for the living tasks that the source has in it and for whatever the index has in it.
    """
    drift: dict[Key, DriftKind] = {}
    young = 0
    for key in both.source.keys() | both.index.keys():
        row, shown = both.source.get(key), both.index.get(key)
        living = row if row is not None and not row.deleted else None
        if organization not in {getattr(living, "organization", None), getattr(shown, "organization", None)}:
            continue
        if living is None:
            kind = DriftKind.ORPHAN
        elif shown is None:
            kind = DriftKind.MISSING
        else:
            mine = (living.organization, *(None if value is None else str(value) for value in living.values))
            if mine == (shown.organization, *shown.values):
                continue
            kind = DriftKind.STALE
        if row is not None and row.updated_at == YOUNG:
            young += 1
        else:
            drift[key] = kind
    return drift, young


def kinds(result: Result) -> dict[Key, DriftKind]:
    return {key: kind for key, (kind, _) in result.drift.items()}


limits = st.integers(1, 16)


@given(both=sides(), limit=limits)
def test_drift_found_is_drift_there(both: Sides, limit: int) -> None:
    result = check(FakeSide(both.source), FakeSide(both.index), limit, way=both.way)
    assert (kinds(result), result.unsettled) == drift_there(both, HERE)


@given(both=sides(), limit=limits)
def test_checks_of_all_organizations_find_all_drift(both: Sides, limit: int) -> None:
    """A task that moved is found from either organization; nothing falls between them."""
    found: dict[Key, DriftKind] = {}
    for organization in (HERE, THERE):
        sides_now = FakeSide(both.source), FakeSide(both.index)
        found |= kinds(check(*sides_now, limit, organization=organization, way=both.way))
    there = drift_there(both, HERE)[0] | drift_there(both, THERE)[0]
    assert found == there


@given(both=sides(), limit=limits)
def test_every_task_of_the_source_is_scanned_once(both: Sides, limit: int) -> None:
    result = check(FakeSide(both.source), FakeSide(both.index), limit, way=both.way)
    assert result.scanned == sum(row.organization == HERE and not row.deleted for row in both.source.values())
    suspects = [key for look in result.looks for key in look.suspects]
    assert len(suspects) == len(set(suspects))


@given(both=sides(), limit=limits, data=st.data())
def test_resumed_at_any_chunk_gives_the_same_result(both: Sides, limit: int, data: st.DataObject) -> None:
    source, index = FakeSide(both.source), FakeSide(both.index)
    whole = check(source, index, limit, way=both.way)
    cut = data.draw(st.integers(1, len(whole.looks)), "chunks before the crash")
    first = check(source, index, limit, looks=cut, way=both.way)
    upto = first.looks[-1].upto
    if upto is None:  # the last chunk was done: nothing is left to resume
        assert first == whole
        return
    checkpoint = restore_key(both.kind, str(upto))  # as the checkpoint is kept
    rest = check(source, index, data.draw(limits, "chunk size after it"), after=checkpoint, way=both.way)
    assert first.drift | rest.drift == whole.drift
    assert not first.drift.keys() & rest.drift.keys()
    assert first.scanned + rest.scanned == whole.scanned
    assert first.unsettled + rest.unsettled == whole.unsettled


@given(both=sides(), limit=limits, data=st.data())
def test_in_ranges_gives_the_same_result(both: Sides, limit: int, data: st.DataObject) -> None:
    """Whatever the cuts: on keys of either side, between them, before the first, behind the last."""
    source, index = FakeSide(both.source), FakeSide(both.index)
    known = st.sampled_from([*both.source, *both.index]) if both.source or both.index else st.nothing()
    cuts = data.draw(st.lists(KEYS[both.kind] | known, unique=True, max_size=4), "cuts")
    ends = [None, *sorted(cuts, key=storage_order), None]
    whole = check(source, index, limit, way=both.way)
    parts = [check(source, index, limit, after=after, bound=bound, way=both.way) for after, bound in pairwise(ends)]
    assert dict(item for part in parts for item in part.drift.items()) == whole.drift
    assert sum(len(part.drift) for part in parts) == len(whole.drift)
    assert sum(part.scanned for part in parts) == whole.scanned
    assert sum(part.unsettled for part in parts) == whole.unsettled
    for part, bound in zip(parts, ends[1:], strict=True):
        assert [look.upto == bound for look in part.looks] == [False] * (len(part.looks) - 1) + [True]


@given(both=sides(), limit=limits)
def test_a_look_holds_two_pages_at_most(both: Sides, limit: int) -> None:
    source, index = FakeSide(both.source), FakeSide(both.index)
    before = 0
    for look in walk(source, index, HERE, after=None, limit=limit):
        handed_out = source.handed_out + index.handed_out
        assert handed_out - before <= 2 * limit
        assert len(look.suspects) <= 2 * limit
        before = handed_out
    assert max(source.largest_page, index.largest_page) <= limit


@given(both=sides(), limit=limits)
def test_every_look_but_the_last_moves_on_by_a_page(both: Sides, limit: int) -> None:
    """No organization, however different its sides, takes more looks than both sides have pages."""
    looks = check(FakeSide(both.source), FakeSide(both.index), limit).looks
    rows = sum(row.organization == HERE for side in (both.source, both.index) for row in side.values())
    assert len(looks) <= rows // limit + 1
    assert [look.upto is None for look in looks] == [False] * (len(looks) - 1) + [True]


@given(both=sides(), limit=limits)
def test_what_is_younger_than_the_settle_time_is_counted_and_never_found(both: Sides, limit: int) -> None:
    young = {key: replace(row, updated_at=YOUNG) for key, row in both.source.items()}
    result = check(FakeSide(young), FakeSide(both.index), limit)
    assert not result.drift.keys() & young.keys()
    old = {key: replace(row, updated_at=SETTLED) for key, row in both.source.items()}
    judged = check(FakeSide(old), FakeSide(both.index), limit)
    assert judged.unsettled == 0
    assert result.unsettled == len(judged.drift.keys() & young.keys())


@pytest.mark.parametrize(
    ("age", "judged"),
    [(timedelta(0), False), (SETTLE - timedelta(microseconds=1), False), (SETTLE, True), (SETTLE * 2, True)],
)
def test_settle_time_to_the_microsecond(age: timedelta, judged: bool) -> None:
    row = Row(1, HERE, ("completed", None), 2, NOW - age)
    verdict = judge([1], {1: row}, {}, names=NAMES, now=NOW, settle=SETTLE)
    assert (len(verdict.findings), verdict.unsettled) == ((1, 0) if judged else (0, 1))


class BrokenSide(FakeSide):
    """Hands out its pages in another order than it promised."""

    def __init__(self, rows: Mapping[Key, Row], order: Sequence[int]) -> None:
        super().__init__(rows)
        self._order = order

    def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
        page = super().page(organization, after, limit)
        return [page[position] for position in self._order if position < len(page)]


def rows_of(*keys: Key) -> dict[Key, Row]:
    return {key: Row(key, HERE, ("waiting", None), 1, SETTLED) for key in keys}


@given(
    order=st.permutations(range(6)).filter(lambda order: list(order) != list(range(6))),
    limit=st.integers(6, 9),
    broken=st.sampled_from(("source", "index")),
)
def test_a_page_out_of_order_is_refused_and_names_its_side(order: list[int], limit: int, broken: str) -> None:
    good, bad = FakeSide(rows_of(*range(6))), BrokenSide(rows_of(*range(6)), order)
    source, index = (bad, good) if broken == "source" else (good, bad)
    with pytest.raises(OutOfOrderError, match=broken):
        next(walk(source, index, HERE, after=None, limit=limit))


def test_a_key_twice_is_refused() -> None:
    twice = BrokenSide(rows_of("a", "b"), (0, 1, 1))
    with pytest.raises(OutOfOrderError, match="b after b"):
        next(walk(FakeSide({}), twice, HERE, after=None, limit=5))


def test_a_page_that_begins_before_the_checkpoint_is_refused() -> None:
    class Deaf(FakeSide):
        def page(self, organization: Key, after: Key | None, limit: int) -> Sequence[Row]:
            return super().page(organization, None, limit)

    with pytest.raises(OutOfOrderError, match="source gave key 1 after 3"):
        next(walk(Deaf(rows_of(1, 2, 3, 4)), FakeSide({}), HERE, after=3, limit=10))


def test_the_second_look_decides() -> None:
    """What changed between the looks is judged as it is now."""
    source, index = FakeSide(rows_of(1, 2)), FakeSide({})
    (look,) = walk(source, index, HERE, after=None, limit=10)
    index.rows = rows_of(1)
    verdict = judge(look.suspects, source.by_keys([1, 2]), index.rows, names=NAMES, now=NOW, settle=SETTLE)
    assert [(finding.task_id, finding.kind) for finding in verdict.findings] == [("2", DriftKind.MISSING)]


def test_a_moved_task_is_stale_by_its_organization_and_no_orphan() -> None:
    row = Row(5, THERE, ("waiting", None), 3, SETTLED)
    both = Sides(KeyKind.INTEGER, {5: row}, {5: replace(row, organization=HERE)})
    for organization in (HERE, THERE):
        found = check(FakeSide(both.source), FakeSide(both.index), 3, organization=organization).drift
        assert found == {5: (DriftKind.STALE, ("organization",))}


@given(count=st.integers(0, 30), limit=limits, start=st.integers(0, 30))
def test_a_list_of_tasks_is_looked_at_in_chunks_from_any_position(count: int, limit: int, start: int) -> None:
    keys = list(range(count))
    looks = list(look_at_keys(keys, start=start, limit=limit))
    assert [key for _, look in looks for key in look.suspects] == keys[start:]
    assert [behind for behind, _ in looks] == [min(start + limit * n, count) for n in range(1, len(looks) + 1)]
    assert all(look.scanned == len(look.suspects) <= limit for _, look in looks)


@given(gaps=st.lists(st.integers(0, 3), max_size=3 * MOST_SUSPECTS), after_last=st.integers(0, 5))
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
def test_a_chunk_with_many_suspects_becomes_several_looks_that_add_up(gaps: list[int], after_last: int) -> None:
    scanned = list(accumulate(gaps))
    total = (scanned or [0])[-1] + after_last
    looks = list(looks_of(range(len(gaps)), scanned, total, upto=None))
    assert [key for look in looks for key in look.suspects] == list(range(len(gaps)))
    assert sum(look.scanned for look in looks) == total
    assert all(len(look.suspects) <= MOST_SUSPECTS for look in looks)
    assert [look.upto for look in looks] == [look.suspects[-1] for look in looks[:-1]] + [None]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(keys=st.lists(KEYS[KeyKind.TEXT], unique=True, min_size=1, max_size=40))
def test_text_keys_sort_in_python_as_their_bytes_do(keys: list[str]) -> None:
    assert sorted(keys) == sorted(keys, key=str.encode)


@pytest.mark.parametrize(
    ("source_version", "index_version", "published", "arrived"),
    [(9, 7, 7, True), (9, 8, 7, True), (9, 6, 7, False), (9, None, 7, False), (9, 7, None, False)],
)
def test_an_index_on_its_way_from_what_was_published_to_something_newer_has_caught_up(
    source_version: int, index_version: int | None, published: int | None, arrived: bool
) -> None:
    """By value and by text; a task that is deleted meanwhile, or is not indexed, has not."""
    task = Published(1, "5", published)
    source = Row(5, HERE, ("completed", None), source_version, SETTLED)
    index = Row(5, HERE, ("waiting", None), index_version, SETTLED)
    shape = TextShape((WRITTEN_BY_SERVER,) * 2, NAMES, int, (False, False))
    mine = ("5", str(HERE), str(source_version), None, False, ('"completed"', "null"))
    version = None if index_version is None else str(index_version)
    theirs = ("5", str(HERE), version, None, False, ('"waiting"', "null"))
    assert caught_up(task, source, index) == shape.caught_up(task, mine, theirs) == arrived
    gone, gone_text = replace(source, deleted=True), (*mine[:4], True, *mine[5:])
    for absent, absent_text in ((None, None), (gone, gone_text)):
        assert not caught_up(task, absent, index)
        assert not shape.caught_up(task, absent_text, theirs)
        assert caught_up(task, absent, None)
        assert shape.caught_up(task, absent_text, None)
    assert not caught_up(task, source, None)
    assert not shape.caught_up(task, mine, None)
