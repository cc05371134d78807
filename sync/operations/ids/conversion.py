"""A list of ids in, the list in another shape and what was wrong out: the same for page, command and API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from opsconsole import estate
from opsconsole.keys import Key
from sync.operations.ids.lookup import LookUp, look_up
from sync.operations.ids.model import IdReport, Subject, rules_of
from sync.operations.ids.output import Output, render
from sync.operations.ids.reader import read_ids


@dataclass(frozen=True, slots=True)
class Conversion:
    """`text` is the list of `keys` in the shape `to`: without the unknown ones, where the source was asked."""

    report: IdReport
    looked_up: LookUp | None
    to: Output
    text: str

    @property
    def keys(self) -> tuple[Key, ...]:
        return self.report.keys if self.looked_up is None else self.looked_up.known

    @property
    def flawed(self) -> bool:
        """Is something of the text not in the list: malformed, or unknown? Duplicates are no flaw."""
        return bool(self.report.malformed_total or (self.looked_up and self.looked_up.unknown))

    def sentence(self) -> str:
        """ "97 valid; 2 duplicates removed; 1 unknown in the source; 3 malformed. Read as JSON."."""
        parts = [f"{len(self.keys):,} valid"]
        if self.report.duplicates:
            parts.append(f"{self.report.duplicates:,} duplicate{_s(self.report.duplicates)} removed")
        if self.looked_up is None:
            parts.append("not looked up")
        elif self.looked_up.unknown:
            parts.append(f"{len(self.looked_up.unknown):,} unknown in the source")
        if self.report.malformed_total:
            parts.append(f"{self.report.malformed_total:,} malformed")
        return f"{'; '.join(parts)}. Read as {self.report.found}."

    def as_json(self) -> dict[str, Any]:
        """Plain values: `ids` bare (integers as numbers), `list` as `to` says."""
        report, looked_up = self.report, self.looked_up
        return {
            "of": report.rules.subject.value,
            "read_as": report.shape.name.lower(),
            "column": report.column or None,
            "looked_up": looked_up is not None,
            "valid": len(self.keys),
            "duplicates": report.duplicates,
            "unknown": [{"line": one.line, "id": _plain(one.key)} for one in looked_up.unknown] if looked_up else [],
            "malformed_total": report.malformed_total,
            "malformed": [{"line": bad.line, "text": bad.text, "why": bad.why} for bad in report.malformed],
            "ids": [_plain(key) for key in self.keys],
            "to": self.to.value,
            "list": self.text,
        }


def convert(
    lines: str | Iterable[str],
    subject: Subject,
    *,
    to: Output = Output.BARE,
    column: str = "",
    ask_source: bool = True,
) -> Conversion:
    """Read ids of `subject` from a text of any shape, ask the source for them, and give them back in the shape `to`.

    At most 100,000 different ids. Raises UsageError as `read_ids` does, and UnavailableError, OutsideDataError and
    EstateError. With `ask_source=False` nothing is asked and nothing is unknown.
    """
    rules = rules_of(subject, estate.current().source)
    report = read_ids(lines, rules, column=column)
    looked_up = look_up(report) if ask_source and report.keys else None
    if ask_source and looked_up is None:
        looked_up = LookUp((), (), {})
    keys = report.keys if looked_up is None else looked_up.known
    return Conversion(report, looked_up, to, render(keys, to, rules))


def _plain(key: Key) -> int | str:
    return key if isinstance(key, int) else str(key)


def _s(number: int) -> str:
    return "" if number == 1 else "s"
