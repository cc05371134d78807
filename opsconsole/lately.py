"""What happened in the last hours, by part: whether last night was fine, on one page.

The overview says how things are now; this says what there was meanwhile, though it may be over. Parts register as the
finders of the search do: in a module `lately` of their app.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules
from django.views.decorators.http import require_safe

from opsconsole import scope
from opsconsole.access import Permission, Scoping, open_scope, requires
from opsconsole.errors import UsageError
from opsconsole.models import USE_CONSOLE, User
from opsconsole.tones import Tone

SPANS = ((12, "12 hours"), (24, "24 hours"), (72, "3 days"), (168, "7 days"))
USUAL = 24
MOST_MENTIONED = 10
MOST_LOOKED_AT = 1_000
"""Rows of a kind that a part reads at most: the newest."""

VERDICTS = {
    Tone.PROBLEM: "Not all was well",
    Tone.WAITING: "Nothing failed, but something is left to do",
    Tone.ENDED: "All is well now; something was wrong, and is over or settled",
}
"""The worst first. `ENDED` is what was wrong in this time and needs nobody any more."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One thing that is worth naming, with its page; `at` is None where it was no moment."""

    text: str
    address: str
    tone: Tone
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """What one part has to say. `sentence` counts; `mentions` name what is worth a look, the worst first, at most
    MOST_MENTIONED; `address` leads to all of it."""

    tone: Tone
    sentence: str
    address: str
    mentions: Sequence[Mention] = ()


Tell: TypeAlias = Callable[[datetime, datetime], Account | None]


@dataclass(frozen=True, slots=True)
class Part:
    title: str
    order: int
    needed: Permission
    scoping: Scoping
    tell: Tell


_parts: list[Part] = []


def tells(title: str, needed: Permission, *, order: int, scoping: Scoping = Scoping.CLOSED) -> Callable[[Tell], Tell]:
    """Declare a function that tells what happened from a time to a time, in a bounded number of rows and queries; None:
    there is nothing of it here. Only people who hold `needed` hear it; those who are limited, if it holds scopes."""

    def register(tell: Tell) -> Tell:
        _parts.append(Part(title, order, needed, scoping, tell))
        return tell

    return register


def accounts(user: User, since: datetime, until: datetime) -> list[tuple[str, Account]]:
    """What every part has to say to `user`, with its title."""
    autodiscover_modules("lately", "auditing.lately")
    told = [(part.title, _told(part, user, since, until)) for part in sorted(_parts, key=lambda part: part.order)]
    return [(title, account) for title, account in told if account]


def _told(part: Part, user: User, since: datetime, until: datetime) -> Account | None:
    held = open_scope(user, part.needed, part.scoping)
    if held is None:
        return None
    with scope.within(held):
        return part.tell(since, until)


def verdict(told: Sequence[tuple[str, Account]]) -> tuple[Tone, str]:
    """The worst tone of all, and what to say of it. Pure."""
    for tone, text in VERDICTS.items():
        if of_tone := [title for title, account in told if account.tone is tone]:
            return tone, f"{text}: {', '.join(of_tone).lower()}"
    return (Tone.FINE, "All was well") if told else (Tone.ENDED, "Nothing of this is open to you")


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.NARROWED)
def lately_page(request: HttpRequest) -> HttpResponse:
    """Each part's few queries, none of them over more than the newest rows."""
    hours = _hours(request.GET.get("hours", ""))
    until = timezone.now()
    since = until - timedelta(hours=hours)
    told = accounts(request.user, since, until)  # type: ignore[arg-type]
    content = {"told": told, "verdict": verdict(told), "since": since, "hours": hours, "spans": SPANS}
    return render(request, "lately.html", content | {"span": dict(SPANS)[hours]})


def _hours(text: str) -> int:
    if not text:
        return USUAL
    allowed = {str(hours): hours for hours, _ in SPANS}
    if text not in allowed:
        raise UsageError(f"{text[:20]!r} hours cannot be looked back; allowed are {', '.join(allowed)}.")
    return allowed[text]
