"""The index: what the indexing service has, behind one contract (`tests/sync/test_index_contract.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from opsconsole.estate.model import Estate, IndexAdapter
from sync.engine.rows import Row, Side
from sync.index.http import HttpIndex
from sync.index.postgres import PostgresIndex

MOST_SEARCHED = 1_000


class IndexSide(Side, Protocol):
    """An index adapter: one Side of a comparison that can be opened, asked whether it answers, and closed.

    Every method raises UnavailableError (try again) or OutsideDataError (it will not help).
    """

    def ping(self) -> str:
        """One sentence about the index that answered."""
        ...

    def search(self, status: str, limit: int) -> Sequence[Row]:
        """The first tasks, by key, that the index has in `status` (the source's word for it): at most `limit`, which is
        at most MOST_SEARCHED."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_index(estate: Estate) -> IndexSide:
    """The estate's index by its adapter. Connects with the first read; not for use across a fork."""
    match estate.index.adapter:
        case IndexAdapter.POSTGRES:
            return PostgresIndex(estate)
        case IndexAdapter.HTTP:
            return HttpIndex(estate)
