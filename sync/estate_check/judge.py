"""Judging what a catalog says against what the estate names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from opsconsole.estate.model import TableName
from opsconsole.keys import KeyKind
from opsconsole.postgres import name_parts
from sync.estate_check.catalog import IndexFacts, TableFacts
from sync.estate_check.result import Result, ok, problem, warning

NATURAL_TYPES = {
    KeyKind.UUID: {"uuid"},
    KeyKind.INTEGER: {"smallint", "integer", "bigint", "numeric"},
    KeyKind.TEXT: {"text", "character varying"},
}
TEXT_TYPES = NATURAL_TYPES[KeyKind.TEXT]
BYTE_COLLATIONS = {"C", "POSIX"}


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
    rows = f"about {facts.rows:,} rows" if facts.rows >= 0 else "never analysed"
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


def judge_window_index(name: str, table: TableName, keys: tuple[str, str], facts: TableFacts) -> Result:
    """An index for the question which organizations have updates in a window."""
    if facts.is_view:
        return warning(name, f"{shown(table)} is no table; whether an index serves it cannot be seen from here.")
    if any(index.keys[:1] == keys[:1] and keys[1] in {*index.keys, *index.included} for index in facts.indexes):
        return ok(name, f"An index on ({', '.join(keys)}) finds the organizations of a window.")
    statement = _create_index(table, keys, (), by_bytes=False)
    return warning(name, f"No index on ({', '.join(keys)}); each window reads the whole table. Run: {statement}")


def _serves(index: IndexFacts, keys: tuple[str, str], by_bytes: bool) -> bool:
    """Text keys are ordered by their bytes; an index in another collation cannot give that order."""
    return index.keys[:2] == keys and (not by_bytes or index.collations[1] in BYTE_COLLATIONS)


def _create_index(table: TableName, keys: tuple[str, str], include: Sequence[str], by_bytes: bool) -> str:
    name = ".".join(map(quoted, name_parts(table)))
    last = quoted(keys[1]) + (' COLLATE "C"' if by_bytes else "")
    carried = f" INCLUDE ({', '.join(map(quoted, include))})" if include else ""
    return f"CREATE INDEX CONCURRENTLY ON {name} ({quoted(keys[0])}, {last}){carried};"
