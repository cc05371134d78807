"""Keys given back in the shape asked for. What is written here, `reader.read_ids` reads back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from enum import StrEnum

from opsconsole.cells import safe_cell
from opsconsole.keys import Key
from sync.operations.ids.model import IdRules, Subject

# Anything else in a text key might be taken for a separator, a bracket, a ruler or a link.
PLAIN = re.compile(r"(?!--)(?!.*://)[\w.@/+=%&#^$!*~:-]+")
COLUMN = {Subject.ORGANIZATIONS: "organization_id", Subject.TASKS: "task_id"}


class Output(StrEnum):
    """`bare`: one id a line, without the prefix. `prefixed`: one line, commas between, with the prefix, no quotes.
    `quoted`: the same in single quotes. `sql`: `('…', '…')`, bare, numbers without quotes, `(NULL)` for none. `csv`: a
    header and one id with the prefix a line, safe to open in a spreadsheet.
    """

    BARE = "bare"
    PREFIXED = "prefixed"
    QUOTED = "quoted"
    SQL = "sql"
    CSV = "csv"


def render(keys: Iterable[Key], to: Output, rules: IdRules) -> str:
    """`keys` in the shape `to`, without a line end at the end; empty for no keys, but for SQL and the CSV's header.

    Text keys with blanks, commas, quotes or the like stand in double quotes in `bare` and `prefixed`.
    """
    return RENDERERS[to](keys, rules)


def _bare(keys: Iterable[Key], rules: IdRules) -> str:
    return "\n".join(_plain(key, "") for key in keys)


def _prefixed(keys: Iterable[Key], rules: IdRules) -> str:
    return ",".join(_plain(key, rules.prefix) for key in keys)


def _plain(key: Key, prefix: str) -> str:
    text = f"{prefix}{key}"
    if not isinstance(key, str) or PLAIN.fullmatch(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _quoted(keys: Iterable[Key], rules: IdRules) -> str:
    return ",".join(_literal(f"{rules.prefix}{key}") for key in keys)


def _sql(keys: Iterable[Key], rules: IdRules) -> str:
    literals = (str(key) if isinstance(key, int) else _literal(str(key)) for key in keys)
    return f"({', '.join(literals) or 'NULL'})"  # `IN ()` is no SQL; `IN (NULL)` finds nothing


def _literal(text: str) -> str:
    """As PostgreSQL reads it with `standard_conforming_strings`, the default: a backslash is a backslash."""
    return "'" + text.replace("'", "''") + "'"


def _csv(keys: Iterable[Key], rules: IdRules) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([COLUMN[rules.subject]])
    writer.writerows([_cell(key, rules)] for key in keys)
    return out.getvalue().removesuffix("\n")


def _cell(key: Key, rules: IdRules) -> object:
    """A plain number stays one; anything else is text, and guarded; `tables` takes the guard off again."""
    return key if isinstance(key, int) and not rules.prefix else safe_cell(f"{rules.prefix}{key}")


RENDERERS: dict[Output, Callable[[Iterable[Key], IdRules], str]] = {
    Output.BARE: _bare,
    Output.PREFIXED: _prefixed,
    Output.QUOTED: _quoted,
    Output.SQL: _sql,
    Output.CSV: _csv,
}
