"""What came of taking the estate file over."""

from __future__ import annotations

from dataclasses import dataclass

THE_FILE = "estate file"
"""Who disabled or made what the file did. No person's name: those have no blanks."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """Names of `what` was made, changed, and, since it is gone from the file, disabled or paused."""

    what: str
    made: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.made or self.changed or self.disabled)

    def sentence(self) -> str:
        parts = [("made", self.made), ("changed", self.changed), ("disabled", self.disabled)]
        said = [f"{word} {', '.join(names)}" for word, names in parts if names]
        return f"{self.what} of the estate: {'; '.join(said)}." if said else f"{self.what} are as in the file."
