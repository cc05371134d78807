"""Which column of a CSV, or which key of a JSON object, has the ids."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sync.operations.ids.model import IdRules, Subject

BETWEEN_WORDS = re.compile(r"[\s_.-]+")

# In the order of trust: named for the subject, named for any id, named for the thing (which may be its name).
ANY_IDS = frozenset({"id", "ids", "uuid", "uuids", "key", "prefixed_id"})
NAMES: dict[Subject, tuple[frozenset[str], frozenset[str], frozenset[str]]] = {
    Subject.ORGANIZATIONS: (
        frozenset(
            f"{word}{ending}"
            for word in ("organization", "organisation", "org")
            for ending in ("_id", "id", "_ids", "_uuid", "uuid", "_key")
        ),
        ANY_IDS,
        frozenset({"organization", "organisation", "org", "organizations", "organisations", "orgs"}),
    ),
    Subject.TASKS: (
        frozenset(f"task{ending}" for ending in ("_id", "id", "_ids", "_uuid", "uuid", "_key")),
        ANY_IDS,
        frozenset({"task", "tasks"}),
    ),
}


def normal(name: str) -> str:
    """`name` whatever its case, quotes, and signs between its words: "Org ID" is `org_id`."""
    name = name.strip()
    if name[:1] in ("'", '"', "`") and name[-1] == name[0]:
        name = name[1:-1]
    return BETWEEN_WORDS.sub("_", name.casefold()).strip("_")


def tiers(rules: IdRules) -> tuple[frozenset[str], ...]:
    """Usual names of the subject's id column, the most trusted first; the estate's own name among them."""
    first, *rest = NAMES[rules.subject]
    return (first | {normal(rules.column)} - {""}, *rest)


def is_usual(name: str, rules: IdRules) -> bool:
    return any(normal(name) in names for names in tiers(rules))


def of_another(name: str, rules: IdRules) -> bool:
    """Is this the usual name of the other subject's ids? They must not be taken for this one's."""
    others = (NAMES[other] for other in Subject if other is not rules.subject)
    return any(normal(name) in names for first, _, last in others for names in (first, last))


def by_name(names: Sequence[str], wanted: str) -> int | None:
    """The position of the only column called `wanted`: written alike, else alike but for case and punctuation."""
    for form in (str.strip, normal):
        found = [place for place, name in enumerate(names) if form(name) == form(wanted)]
        if len(found) == 1:
            return found[0]
    return None
