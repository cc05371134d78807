"""Which way an organization is walked: packed where both sides can, merged row by row where not, or only a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from opsconsole.keys import Key, restore_key
from opsconsole.times import Window
from sync.check import window_of
from sync.engine.packed_walk import Pace, PackedWalk
from sync.engine.rows import Row
from sync.engine.walk import Look, Walk, walk, walk_pages
from sync.index.postgres import PostgresIndex
from sync.models import Job
from sync.packing import PackedPair
from sync.poison import KeysOf, walk_past_poison
from sync.secondlook import SecondLook
from sync.session import Session

SMALL_ORGANIZATION = 2_000
"""Tasks up to which preparing a packed walk costs more than it saves: a page of each side is all there is."""


@dataclass(frozen=True, slots=True)
class WayToWalk:
    """Chooses the walk for one job. `note` writes a line into its log; `stack` ends what the walk starts."""

    job: Job
    session: Session
    stack: ExitStack
    note: Callable[[str], None]

    def __call__(self, organization: Key, expected: int) -> Walk:
        """The walk, which goes on behind a row that cannot be read."""
        chosen = self._choose(organization, expected)
        return partial(walk_past_poison, chosen, self._keys_of(organization))

    def _keys_of(self, organization: Key) -> Sequence[KeysOf] | None:
        """How both sides list keys alone; of a window's tasks only the source's are looked at."""
        systems = self.session.systems
        if window := window_of(self.job):
            return [partial(systems.source.tasks.task_keys, organization, window=window)]
        if not isinstance(systems.index, PostgresIndex):
            return None
        return [partial(side.tasks.task_keys, organization) for side in (systems.source, systems.index)]

    def _choose(self, organization: Key, expected: int) -> Walk:
        if window := window_of(self.job):
            return self._window(organization, window)
        if expected <= SMALL_ORGANIZATION:
            return self._merged(organization)
        packed = self.session.packed
        self.note(packed if isinstance(packed, str) else packed.note)
        return self._merged(organization) if isinstance(packed, str) else self._packed(organization, packed)

    def second_look(self, expected: int) -> SecondLook:
        """By text where that pays for its preparation and both sides allow it."""
        by_text = self.session.second_look_by_text if expected > SMALL_ORGANIZATION else None
        if by_text is None:
            return self.session.second_look_by_value
        home = self.job.organization_id
        return by_text.within(restore_key(self.session.names.organization_key, home)) if home else by_text

    def _merged(self, organization: Key) -> Walk:
        systems, limit = self.session.systems, self.session.settings.check.chunk_rows

        def looks(after: Key | None, upto: Key | None) -> Iterator[Look]:
            return walk(systems.source, systems.index, organization, after=after, limit=limit, bound=upto)

        return looks

    def _window(self, organization: Key, window: Window) -> Walk:
        systems, limit = self.session.systems, self.session.settings.check.chunk_rows
        self.note(f"Only tasks updated in {window}.")

        def read(after: Key | None) -> Sequence[Row]:
            return systems.source.window_page(organization, window, after, limit)

        return lambda after, _: walk_pages(read, systems.index, after=after, limit=limit)

    def _packed(self, organization: Key, pair: PackedPair) -> Walk:
        threads = [self.stack.enter_context(ThreadPoolExecutor(1, name)) for name in ("source", "index")]
        pace = Pace(self.session.settings.check.chunk_rows)
        return PackedWalk(*pair.sides(), organization, pair.codec, *threads, pace=pace).looks
