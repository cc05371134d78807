"""What is wrong now, as parts of the console say it, compared with what is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from monitoring.alerts.models import Alert
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
    """One kind of subjects of one alert type; every subject begins with `prefix`.

    `wrong` are the rows of what is wrong now, each with the subject that it is `about`, the newest first; `condition`
    says it of one row. `gone` says of open subjects that are not among them why, and leaves out those of which nothing
    is known.

    What is new and what is over is told by the database, so it does not matter how much is wrong or open.
    """

    kind: str
    prefix: str
    wrong: Callable[[datetime], QuerySet[Any]]
    condition: Callable[[Any], Condition]
    gone: Callable[[Sequence[str], datetime], Mapping[str, Gone]]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.prefix}"

    def new(self, now: datetime) -> QuerySet[Any]:
        """The rows of what is wrong and has no open alert."""
        known = Alert.objects.open().filter(kind=self.kind, subject=OuterRef("about"))
        return self.wrong(now).filter(~Exists(known))

    def over(self, now: datetime) -> QuerySet[Alert]:
        """Open alerts of what is not wrong any more."""
        still = self.wrong(now).order_by().filter(about=OuterRef("subject"))
        return Alert.objects.open().filter(~Exists(still), kind=self.kind, subject__startswith=self.prefix)
