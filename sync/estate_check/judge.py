"""Judging what a catalog says against what the estate names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from opsconsole.estate.model import TableName
from opsconsole.keys import KeyKind
from opsconsole.postgres import name_parts
from opsconsole.words import counted
from sync.estate_check.catalog import IndexFacts, TableFacts
from sync.estate_check.result import Result, ok, problem, warning

NATURAL_TYPES = {
    KeyKind.UUID: {"uuid"},
    KeyKind.INTEGER: {"smallint", "integer", "bigint", "numeric"},
    KeyKind.TEXT: {"text", "character varying"},
}
TEXT_TYPES = NATURAL_TYPES[KeyKind.TEXT]
BYTE_COLLATIONS = {"C", "POSIX"}

WORTH_AN_INDEX = 10_000
"""Rows below which reading all of a table may well be the best plan."""

WORTH_A_VACUUM = 1_000
"""Pages (8 KiB each) below which it does not matter."""

GOOD_VISIBILITY = 0.9


def shown(table: TableName) -> str:
    return ".".join(name_parts(table))


def quoted(name: str) -> str:
    """An identifier as SQL needs it: plain where it can be, so that a statement reads well."""
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if plain else '"' + name.replace('"', '""') + '"'


def judge_columns(name: str, table: TableName, wanted: Sequence[str], facts: TableFacts) -> Result:
    """Every named column is there; the sentence lists them with their types, or each missing one."""
    columns = list(dict.fromkeys(column for column in wanted if column))
    missing = [column for column in columns if column not in facts.columns]
    if missing:
        parts = [f"column {column!r} is not in it{_nearest(column, facts)}" for column in missing]
        return problem(name, f"Table {shown(table)}: {'; '.join(parts)}.")
    if not facts.readable:
        return problem(name, f"Table {shown(table)} may not be read by this role: GRANT SELECT on it.")
    types = ", ".join(f"{column} {facts.columns[column]}" for column in columns)
    rows = f"about {counted(facts.rows, 'row')}" if facts.rows >= 0 else "never analysed"
    return ok(name, f"Table {shown(table)} ({rows}) has {types}.")


def _nearest(column: str, facts: TableFacts) -> str:
    """The nearest name, without regard to case: `organizationId` for `organization_id`."""
    by_lower = {name.lower(): name for name in facts.columns}
    matches = get_close_matches(column.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" (nearest: {by_lower[matches[0]]!r})" if matches else ""


def judge_key(name: str, column: str, kind: KeyKind, facts: TableFacts) -> Result:
    """The type of a key column against the estate's id_type."""
    type_name = facts.columns[column]
    if type_name in NATURAL_TYPES[kind]:
        return ok(name, f"Column {column} is {type_name}, as id_type {kind.value!r} says.")
    if kind is KeyKind.UUID and type_name in TEXT_TYPES:
        return warning(name, f"Column {column} is {type_name}; that works for UUIDs in lower case with dashes only.")
    if kind is KeyKind.TEXT:
        return warning(
            name, f"Column {column} is {type_name}; it is read as text, which no index of its own can serve."
        )
    fitting = next((one.value for one, types in NATURAL_TYPES.items() if type_name in types), KeyKind.TEXT.value)
    return problem(name, f"Column {column} is {type_name}, but id_type is {kind.value!r}; {fitting!r} would fit.")


def judge_writing(name: str, table: TableName, facts: TableFacts) -> Result:
    if facts.writable:
        return warning(name, f"This role may write to {shown(table)}; use one that has only SELECT.")
    return ok(name, f"This role cannot write to {shown(table)}.")


def judge_walk_index(
    name: str, table: TableName, keys: tuple[str, str], compared: Sequence[str], facts: TableFacts
) -> Result:
    """An index that gives an organization's tasks in key order; better with the compared columns in it."""
    if facts.is_view:
        return warning(name, f"{shown(table)} is no table; whether an index serves it cannot be seen from here.")
    by_bytes = facts.columns[keys[1]] in TEXT_TYPES
    serving = [index for index in facts.indexes if _serves(index, keys, by_bytes)]
    include = [column for column in dict.fromkeys(compared) if column and column not in keys]
    best = _create_index(table, keys, include, by_bytes)
    if not serving:
        reason = " by their bytes" if by_bytes else ""
        return warning(
            name, f"No index gives an organization's tasks ordered by id{reason}; every page sorts. Run: {best}"
        )
    if any(set(include) <= {*index.keys, *index.included} for index in serving):
        return ok(name, f"An index covers ({', '.join(keys)}) and every compared column.")
    return ok(name, f"An index orders by ({', '.join(keys)}); walks are about twice as fast with: {best}")


def judge_window_index(
    name: str, table: TableName, keys: tuple[str, str], status: str, facts: TableFacts, scans: Sequence[str] = ()
) -> Result:
    """An index for the question which organizations have updates in a window.

    `scans` are the planner's ways to read the table for a window with the last hundredth of the updates; empty where
    that cannot be known.
    """
    if facts.is_view:
        return warning(name, f"{shown(table)} is no table; whether an index serves it cannot be seen from here.")
    columns, best = ", ".join(keys), _create_index(table, keys, (status,), by_bytes=False)
    whole = any(scan.endswith("Seq Scan") for scan in scans)
    serving = [one for one in facts.indexes if one.keys[:1] == keys[:1] and keys[1] in {*one.keys, *one.included}]
    if serving and whole and facts.rows >= WORTH_AN_INDEX:
        sentence = f"An index on ({columns}) is there, but the planner reads all of the table for a hundredth of it."
        return warning(name, f"{sentence} Its statistics may be old. Run: ANALYZE {sql_name(table)};")
    if any(status in {*index.keys, *index.included} for index in serving):
        return ok(name, f"An index on ({columns}) with {status} finds the organizations of a window by itself.")
    if serving:
        return ok(name, f"An index on ({columns}) serves windows; with {status} in it the table is not read: {best}")
    if scans and not whole:
        return ok(name, f"Windows are read by another index and from the table; several times faster with: {best}")
    seen = f" (its plan: {', '.join(scans)})" if scans else ""
    return warning(name, f"No index on ({columns}); each window reads the whole table{seen}. Run: {best}")


def judge_created_index(name: str, table: TableName, created_at: str, facts: TableFacts) -> Result:
    """An index for the question which records were made in a window."""
    if facts.is_view:
        return warning(name, f"{shown(table)} is no table; whether an index serves it cannot be seen from here.")
    if any(index.keys[:1] == (created_at,) for index in facts.indexes):
        return ok(name, f"An index on {created_at} finds the records of a window.")
    statement = f"CREATE INDEX CONCURRENTLY ON {sql_name(table)} ({quoted(created_at)});"
    return warning(name, f"No index begins with {created_at}; each look reads the whole table. Run: {statement}")


def sql_name(table: TableName) -> str:
    return ".".join(map(quoted, name_parts(table)))


def judge_visibility(name: str, table: TableName, facts: TableFacts) -> Result:
    """Whether what an index has can be read from it alone: for a page not known to be visible to all, the table is
    asked about each row, which takes twice as long."""
    known = facts.visibility
    if not known.pages or facts.is_view:
        return ok(name, f"Of {shown(table)} the server knows nothing yet: it was never vacuumed or analysed.")
    share = f"{known.visible / known.pages:.0%} of the {counted(known.pages, 'page')} of {shown(table)}"
    changed = f"about {counted(known.changed, 'row')} changed since the last vacuum"
    state = f"{share} were visible to all at the last look, and {changed}"
    if known.visible - known.changed >= known.pages * GOOD_VISIBILITY:
        return ok(name, f"{state}: what an index has is read from it alone.")
    if known.pages < WORTH_A_VACUUM:
        return ok(name, f"{state}: the table is small enough for that not to matter.")
    vacuum = f"Run: VACUUM (ANALYZE) {sql_name(table)};"
    return warning(
        name, f"{state}: reading by index alone goes to the table too, and takes up to twice as long. {vacuum}"
    )


def _serves(index: IndexFacts, keys: tuple[str, str], by_bytes: bool) -> bool:
    """Text keys are ordered by their bytes; an index in another collation cannot give that order."""
    return index.keys[:2] == keys and (not by_bytes or index.collations[1] in BYTE_COLLATIONS)


def _create_index(table: TableName, keys: tuple[str, str], include: Sequence[str], by_bytes: bool) -> str:
    last = quoted(keys[1]) + (' COLLATE "C"' if by_bytes else "")
    carried = f" INCLUDE ({', '.join(map(quoted, include))})" if include else ""
    return f"CREATE INDEX CONCURRENTLY ON {sql_name(table)} ({quoted(keys[0])}, {last}){carried};"
