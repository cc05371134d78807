"""What is opened on first use and closed once: as a context manager."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """`with Thing() as thing:` closes it at the end. Subclasses say what `close` does; it may be called twice."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
