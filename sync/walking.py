"""Which way an organization is walked: packed where both sides can, merged row by row where not, or only a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from opsconsole.estate.model import Estate
from opsconsole.keys import Key
from opsconsole.times import Window
from sync.check import Systems, Walk, window_of
from sync.engine.packed_walk import Pace, PackedWalk
from sync.engine.rows import Row
from sync.engine.walk import walk, walk_pages
from sync.index.postgres import PostgresIndex
from sync.models import Job
from sync.packing import pack_both
from sync.source import Source

SMALL_ORGANIZATION = 2_000
"""Tasks up to which preparing a packed walk costs more than it saves: a page of each side is all there is."""


@dataclass(frozen=True, slots=True)
class WayToWalk:
    """Chooses the walk for one job. `note` writes a line into its log; `stack` closes what the walk opens."""

    job: Job
    settings: Estate
    systems: Systems
    stack: ExitStack
    note: Callable[[str], None]

    def __call__(self, organization: Key, expected: int) -> Walk:
        if window := window_of(self.job):
            return self._window(organization, window)
        if expected > SMALL_ORGANIZATION and isinstance(self.systems.index, PostgresIndex):
            return self._packed(organization)
        return self._merged(organization)

    def _merged(self, organization: Key) -> Walk:
        limit, source, index = self.settings.check.chunk_rows, self.systems.source, self.systems.index
        return lambda after: walk(source, index, organization, after=after, limit=limit)

    def _window(self, organization: Key, window: Window) -> Walk:
        limit = self.settings.check.chunk_rows
        self.note(f"Only tasks updated in {window}.")

        def read(after: Key | None) -> Sequence[Row]:
            return self.systems.source.window_page(organization, window, after, limit)

        return lambda after: walk_pages(read, self.systems.index, after=after, limit=limit)

    def _packed(self, organization: Key) -> Walk:
        # Connections of their own: the walk reads ahead while suspects are read by value on the others.
        source = self.stack.enter_context(Source(self.settings.source))
        index = self.stack.enter_context(PostgresIndex(self.settings))
        pair = pack_both(source.tasks, index.tasks)
        if isinstance(pair, str):
            self.note(pair)
            return self._merged(organization)
        self.note(pair.note)
        ahead = self.stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="read-ahead"))
        pace = Pace(self.settings.check.chunk_rows)
        return PackedWalk(pair.source, pair.index, organization, pair.codec, pace=pace, ahead=ahead).looks
