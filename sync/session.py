"""What one worker process keeps open between the jobs it runs: adapters, and the way both sides hash."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from functools import cached_property

from opsconsole import estate
from opsconsole.closing import Closing
from opsconsole.estate.model import Estate
from sync.check import Names, Systems
from sync.index import open_index
from sync.index.postgres import PostgresIndex
from sync.packing import PackedPair, pack_both
from sync.publisher import Publisher
from sync.secondlook import ByText, ByValue
from sync.source import Source
from sync.throttle.limits import LiveEstate
from sync.throttle.readings import Readings


class Session(Closing):
    """Adapters of this process, connected when they are first used and closed together.

    Made after the fork: a connection inherited from a parent gives wrong answers.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    @cached_property
    def settings(self) -> Estate:
        """The estate; read when a job needs it, so that a mistake in it is that job's failure, and seen."""
        return estate.current()

    @cached_property
    def systems(self) -> Systems:
        """Source, index and publisher for reading by value and for sending."""
        source = self._stack.enter_context(Source(self.settings.source))
        index = self._stack.enter_context(open_index(self.settings))
        return Systems(source, index, self._stack.enter_context(Publisher(self.settings.kafka)))

    @cached_property
    def readings(self) -> Readings:
        """What a throttle goes by, read once for all jobs of this process."""
        return self._stack.enter_context(Readings(self.settings))

    @cached_property
    def live_estate(self) -> LiveEstate:
        return LiveEstate(self.settings.throttle)

    @cached_property
    def names(self) -> Names:
        tasks = self.settings.source.tasks
        return Names(tasks.compare, tasks.id_type, self.settings.source.organizations.id_type)

    @cached_property
    def packed(self) -> PackedPair | str:
        """Both sides for packed reading, or why they cannot be. On connections of their own, so that a walk reads ahead
        while suspects are read by value on the others."""
        if not isinstance(self.systems.index, PostgresIndex):
            return "Streaming and merging both sides: this index cannot pack."
        source = self._stack.enter_context(Source(self.settings.source))
        index = self._stack.enter_context(PostgresIndex(self.settings))
        return pack_both(source.tasks, index.tasks)

    @cached_property
    def second_look_by_value(self) -> ByValue:
        systems = self.systems
        return ByValue(systems.source, systems.index, self.names.fields, self.names.task_key, self._settle)

    @cached_property
    def second_look_by_text(self) -> ByText | None:
        """None where the sides are no packed pair."""
        systems = self.systems
        if isinstance(self.packed, str) or not isinstance(systems.index, PostgresIndex):
            return None
        return ByText(systems.source.tasks, systems.index.tasks, self.packed, self.names.fields, self._settle)

    @property
    def _settle(self) -> timedelta:
        return timedelta(seconds=self.settings.check.settle_time)
