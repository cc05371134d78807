"""Reading ids as people have them. The one place that decides what a text is: JSON, a CSV with a header, or a list.

What is forgiven: byte order marks, any line end, non-breaking blanks, quotes of any kind, brackets around the whole
(an SQL `IN` list, an array), Excel's `sep=;` line, the lines that psql draws around its answers.

Text keys are harder to tell apart than UUIDs and integers. Without quotes they end at a blank, comma or semicolon; one
prefix is taken off; one that looks like a customer's page link is that link; and a first line that has a usual name of
an id column (`id`) is a header. `output.render` quotes a text key wherever it would not come back otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from opsconsole import scope
from opsconsole.errors import UsageError
from opsconsole.keys import Key, KeyKind
from opsconsole.words import some_of
from sync.operations.ids import documents, tables
from sync.operations.ids.collector import Collector
from sync.operations.ids.model import IdReport, IdRules, Shape, Subject, shorten
from sync.operations.ids.text import clean

SQL_OPENING = re.compile(r"\s*(?:\w{1,100}\s+)?(?:NOT\s+)?IN\s*(?=\()", re.IGNORECASE)
PAIRS = {"(": ")", "[": "]", "{": "}"}


def read_ids(lines: str | Iterable[str], rules: IdRules, *, column: str = "") -> IdReport:
    """The ids in a text, or in lines, of any shape; see the module's text. Pure; no look-up.

    `column` names the column of a CSV, or the key of JSON objects; a number counts the columns from 1. Words that are
    no ids are in the report. Raises UsageError where the whole cannot be read: AmbiguousColumnError; TooManyIdsError
    above 100,000 different ids or 500,000 words; a text above 20 million characters; a column that is not there; broken
    CSV or JSON.
    """
    text = clean(lines)
    return documents.read(text, rules, column) or tables.read(text, rules, column) or _read_list(text, rules, column)


def _read_list(text: str, rules: IdRules, column: str) -> IdReport:
    if column.strip():
        first_line = next((line.strip() for line in text.split("\n") if line.strip()), "")
        raise UsageError(f"There is no column {column!r}; the first line is {shorten(first_line)!r}.")
    collector = Collector(rules)
    start, end = _inside(text, rules.kind)
    if told := tables.SEPARATOR_LINE.match(text):
        start = max(start, told.end())
    first = text.count("\n", 0, start) + 1
    for number, line in enumerate(text[start:end].split("\n"), start=first):
        if not tables.DRAWN.fullmatch(line):
            collector.add_line(number, line)
    return collector.report(Shape.LIST)


def _inside(text: str, kind: KeyKind) -> tuple[int, int]:
    """Where the list itself begins and ends: `id IN (…);`, `[…]` and `{…}` are taken off."""
    opening = SQL_OPENING.match(text)
    start = opening.end() if opening else 0
    if kind is not KeyKind.TEXT:
        return start, len(text)  # the other kinds take brackets for blanks
    body = text[start:].strip()
    closing = PAIRS.get(body[:1])
    end = len(text.rstrip().rstrip(";").rstrip())
    if closing and text[:end].endswith(closing):
        return text.index(body[0], start) + 1, end - 1
    return 0, len(text)


def require_keys(lines: str | Iterable[str], rules: IdRules, *, column: str = "") -> tuple[Key, ...]:
    """The keys, where all are well-formed and there is at least one. Raises UsageError naming the bad ones, and
    OutsideScopeError where an organization lies outside of what the person is limited to."""
    report = read_ids(lines, rules, column=column)
    if report.malformed:
        bad = [one.sentence for one in report.malformed]
        more = report.malformed_total - len(bad)
        raise UsageError(f"{some_of(bad + [''] * more)}. Nothing was done.")
    if not report.keys:
        raise UsageError(f"No {rules.subject.one} ids were given.")
    if rules.subject is Subject.ORGANIZATIONS:
        scope.current().require_organizations(report.keys)
    return report.keys
