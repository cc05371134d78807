"""One measured figure, and the bare lower bound it is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """`seconds` is what the console took; `bound_seconds` what the same work takes bare, in the same run."""

    name: str
    seconds: float
    bound_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bound_seconds
