"""What is wrong now, as parts of the console say it: plain values, compared with what is open. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sync.engine.values import Json


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong with `subject`. The same subject with other words is the same condition."""

    subject: str
    title: str
    link: str
    seen: Mapping[str, Json] = field(default_factory=dict)
    scope: str = ""
    owner: str = ""
    channels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a subject is not wrong any more. `silently`: somebody switched it off; None of it: not known yet."""

    because: str
    silently: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """One alert type that is reconciled. `present` reads what is wrong now; `gone` says of open subjects that are not
    among it why, and leaves out those of which nothing is known."""

    kind: str
    present: Callable[[datetime], Sequence[Condition]]
    gone: Callable[[Sequence[str], datetime], Mapping[str, Gone]]
