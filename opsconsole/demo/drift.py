"""An independent count of the drift: no code of the console, so that it can judge the console's own findings."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

COLUMNS = "id, organization_id, status, title, assignee_id, due_at"
SOURCE_ROWS = f"COPY (SELECT {COLUMNS} FROM tasks WHERE deleted_at IS NULL ORDER BY id) TO STDOUT"  # noqa: S608
INDEX_ROWS = f"COPY (SELECT {COLUMNS} FROM tasks ORDER BY id) TO STDOUT"  # noqa: S608


def count_drift(source_url: str, index_url: str) -> int:
    """Tasks on which the two sides differ by value, deleted ones and their organization included.

    Reads every task of both databases, in key order, in constant memory: about a second for a quarter of a million.
    Each side is one snapshot; what changes in between counts as drift.
    """
    source, index = _rows(source_url, SOURCE_ROWS), _rows(index_url, INDEX_ROWS)
    ours, theirs = next(source, b""), next(index, b"")
    drift = 0
    while ours or theirs:
        if ours == theirs:
            ours, theirs = next(source, b""), next(index, b"")
            continue
        drift += 1
        key, their_key = ours.partition(b"\t")[0], theirs.partition(b"\t")[0]
        go_on_ours = bool(ours) and (not theirs or key <= their_key)
        go_on_theirs = bool(theirs) and (not ours or their_key <= key)
        ours = next(source, b"") if go_on_ours else ours
        theirs = next(index, b"") if go_on_theirs else theirs
    return drift


def _rows(url: str, statement: str) -> Iterator[bytes]:
    """One line of COPY's text per task. UUIDs as text sort as their bytes do."""
    with (
        psycopg.connect(url, options="-c TimeZone=UTC") as connection,
        connection.cursor().copy(statement.encode()) as copy,
    ):
        for line in copy:
            yield bytes(line)
