"""One field finds everything: each part says what it knows of a text, and only to those who may see it.

What people have is rarely more than an id, copied from a ticket, a log line or a customer's address. So parts look by
index for what is exactly that, and through a bounded number of rows for names. Finders register as `trace.links_of`
does: in a module `finders` of their app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.module_loading import autodiscover_modules
from django.views.decorators.http import require_safe

from opsconsole import navigation, scope
from opsconsole.access import Permission, Scoping, open_scope, requires
from opsconsole.models import USE_CONSOLE, User

LONGEST = 2_000
"""Characters that are looked for: an id in whatever wrapping, a sentence of a log."""

MOST_OF_A_KIND = 10
SHORTEST_NAME = 3
LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Hit:
    """`what` it is in a word or two, `sentence` what it says now, and its page. `exact`: it is what was asked for, and
    not something around it; the page of a single exact hit is opened at once."""

    what: str
    name: str
    sentence: str
    address: str
    exact: bool = True


Person: TypeAlias = User | AnonymousUser
Find: TypeAlias = Callable[[Person, str], Iterable[Hit]]
_finders: list[tuple[Permission, Scoping, Find]] = []


def finds(needed: Permission, *, scoping: Scoping = Scoping.CLOSED) -> Callable[[Find], Find]:
    """Declare a function that finds things for people who hold `needed`: a bounded number, in a bounded time. Where
    their groups limit it, it is asked only if it says that it holds scopes."""

    def register(find: Find) -> Find:
        _finders.append((needed, scoping, find))
        return find

    return register


def search(user: Person, text: str) -> list[Hit]:
    """What is known of `text` to `user`, exact hits first, the parts in the order of the sidebar."""
    autodiscover_modules("finders")
    hits = [hit for needed, scoping, find in _finders for hit in _found(user, needed, scoping, find, text)]
    return sorted([*hits, *_places(user, text)], key=lambda hit: not hit.exact)


def _found(user: Person, needed: Permission, scoping: Scoping, find: Find, text: str) -> list[Hit]:
    """Each part is asked within the scope that the person's groups give its own permission."""
    held = open_scope(user, needed, scoping)
    if held is None:
        return []
    with scope.within(held):
        return list(find(user, text))


def numbered(text: str, *words: str) -> tuple[int, ...]:
    """The number in `12`, `#12`, `job 12`, `job #12` or `job/12`, where `job` is one of `words`; none for anything
    else."""
    found = re.fullmatch(
        rf"(?:(?:{'|'.join(map(re.escape, words))})s?[\s:/]*)?#?([0-9]{{1,19}})/?", text, re.IGNORECASE
    )
    number = int(found.group(1)) if found else 0
    return (number,) if 0 < number <= LARGEST_NUMBER else ()


def _places(user: Person, text: str) -> list[Hit]:
    """Pages of the console whose names begin with the text."""
    wanted = text.casefold()
    places = [place for section in navigation.SECTIONS for place in section.places]
    named = [place for place in places if len(text) >= SHORTEST_NAME and place.label.casefold().startswith(wanted)]
    named = [place for place in named if navigation.open_to(user, place)]
    return [
        Hit("page", place.label, "A page of the console.", address, exact=False)
        for place in named
        if (address := navigation.address_of(place))
    ]


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.NARROWED)
def search_page(request: HttpRequest) -> HttpResponse:
    """What was found. A single exact hit is gone to at once."""
    text = request.GET.get("q", "").strip()
    if len(text) > LONGEST:
        problem = f"The text has {len(text):,} characters; {LONGEST:,} are looked for. Lists of ids are read on “Ids”."
        return render(request, "search.html", {"text": text[:LONGEST], "problem": problem}, status=400)
    hits = search(request.user, text) if text else []
    exact = [hit for hit in hits if hit.exact]
    if len(exact) == 1:
        return redirect(exact[0].address)
    return render(request, "search.html", {"text": text, "hits": hits})
