"""What a list of ids is told about, and what is answered about one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from opsconsole.errors import UsageError
from opsconsole.keys import Key, KeyKind
from opsconsole.words import some_of

if TYPE_CHECKING:  # the reader needs no Django; the estate's package does
    from opsconsole.estate import model

MOST_IDS = 100_000
MOST_WORDS = 500_000
MOST_CHARACTERS = 20_000_000
MALFORMED_KEPT = 1_000
LONGEST_SHOWN = 100


class Subject(StrEnum):
    """Whose ids they are."""

    ORGANIZATIONS = "organizations"
    TASKS = "tasks"

    @property
    def one(self) -> str:
        return self.value.removesuffix("s")


class Shape(StrEnum):
    """What a text turned out to be."""

    EMPTY = "nothing"
    LIST = "a list"
    TABLE = "CSV with a header"
    JSON = "JSON"


class AmbiguousColumnError(UsageError):
    """It cannot be seen which column has the ids; `columns` are the names to choose from, in their order."""

    def __init__(self, columns: tuple[str, ...], subject: Subject, why: str) -> None:
        self.columns = columns
        names = some_of([f"{number} {shorten(name)!r}" for number, name in enumerate(columns, start=1)])
        super().__init__(
            f"Which column has the ids of the {subject}? {why}; name the column, or give its number: {names}."
        )


class TooManyIdsError(UsageError):
    """More different ids than are read at once, or more words, duplicates and malformed ones among them."""

    def __init__(self, what: str, most: int) -> None:
        super().__init__(f"There are more than {most:,} {what}; allowed are {most:,} at once.")


@dataclass(frozen=True, slots=True)
class IdRules:
    """What an id looks like in this estate. `link` has `{id}` in it; `column` is what the estate calls it."""

    subject: Subject
    kind: KeyKind
    prefix: str = ""
    link: str = ""
    column: str = ""


def organization_rules(source: model.Source) -> IdRules:
    table = source.organizations
    return IdRules(Subject.ORGANIZATIONS, table.id_type, source.id_prefix, table.link, source.tasks.organization)


def task_rules(source: model.Source) -> IdRules:
    table = source.tasks
    return IdRules(Subject.TASKS, table.id_type, source.id_prefix, table.link)


def rules_of(subject: Subject, source: model.Source) -> IdRules:
    return organization_rules(source) if subject is Subject.ORGANIZATIONS else task_rules(source)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A word that is no id: its line counted from 1, its text (a long one cut, with "…"), and a verb phrase why."""

    line: int
    text: str
    why: str

    @property
    def sentence(self) -> str:
        return f"line {self.line:,}: {self.text!r} {self.why}"


@dataclass(frozen=True, slots=True)
class IdReport:
    """`keys` in the order given, each once, and the line on which each stood first.

    `duplicates` counts what was dropped. `malformed` has the first 1,000; `malformed_total` counts all of them.
    `column` is the column (or the objects' key) that was read, where there was one.
    """

    rules: IdRules
    keys: tuple[Key, ...]
    lines: tuple[int, ...]
    duplicates: int
    malformed: tuple[Malformed, ...]
    malformed_total: int
    shape: Shape
    column: str = ""

    @property
    def found(self) -> str:
        """The shape in words: "CSV with a header, column 'org'"."""
        return f"{self.shape}, column {shorten(self.column)!r}" if self.column else str(self.shape)


def shorten(text: str, total: int = 0) -> str:
    """At most 100 characters of `text`, and how many there are (`total` where `text` is itself a part)."""
    total = total or len(text)
    return text if total <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({total:,} characters)"
