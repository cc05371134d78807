"""What the endpoints of sync have in common: lists of ids, windows, the body of an act."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from ninja import Schema
from pydantic import AwareDatetime, Field, StringConstraints

from opsconsole.errors import UsageError
from opsconsole.times import Window
from sync.operations.ids import MOST_IDS

LONGEST_ID = 300
ORGANIZATION = "7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d"

OneId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)]
"""An id, with the estate's prefix or without."""

Organizations = Annotated[list[OneId], Field(min_length=1, max_length=MOST_IDS, examples=[[ORGANIZATION]])]
Tasks = Annotated[list[OneId], Field(min_length=1, max_length=10_000, examples=[[ORGANIZATION]])]


class Body(Schema):
    """A body in which an unknown word is a mistake, and said to be."""

    model_config = {"extra": "forbid"}


class Between(Body):
    """A half-open window of times of update."""

    start: AwareDatetime = Field(examples=["2026-11-20T02:00:00Z"])
    end: AwareDatetime = Field(examples=["2026-11-20T03:00:00Z"])

    def window(self) -> Window:
        """Raises UsageError for one that is empty, or outside of what a clock can show."""
        try:
            window = Window(self.start.astimezone(UTC), self.end.astimezone(UTC))
        except OverflowError:
            raise UsageError("A bound of the window is outside of what a clock can show in UTC.") from None
        if window.start >= window.end:
            raise UsageError(f"The window {window} is empty; its start must be before its end.")
        return window
