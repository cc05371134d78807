"""100,000 pasted ids (5,000 where it must be quick): read, looked up in the source, given back, in two seconds at most.

The bound parses the same ids with `uuid.UUID` and asks for them in one query.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from benchmarks.measurement import Goal, Measurement, is_quick, seconds
from opsconsole.demo.postgres import Postgres
from opsconsole.estate.model import OrganizationTable, Source, TaskTable
from sync.operations.ids import Output, Subject, read_ids, render, rules_of
from sync.operations.ids.lookup import look_up

IDS = 5_000 if is_quick() else 100_000
COMMAND = 'make bench ARGS="ids"'
LINK = "https://app.example.com/org/{id}"


def measure() -> Iterator[Measurement]:
    keys = [uuid4() for _ in range(IDS)]
    words = [str(key) for key in keys]
    texts = {
        "one a line": "\n".join(words),
        "quoted, prefix": ",".join(f"'s-{word}'" for word in words),
        "CSV, 4 columns": "name,id,tasks,at\n" + "\n".join(f"Acme,s-{word},17,2026-01-01" for word in words),
        "JSON objects": "[" + ",".join(f'{{"id": "{word}", "name": "Acme"}}' for word in words) + "]",
        "page links": "\n".join(LINK.replace("{id}", word) + "?tab=2" for word in words),
    }
    with _source(keys) as source:
        for subject in Subject:
            bound = _best(partial(_bare, words, subject, source))
            for name, text in texts.items():
                ours = _best(partial(_convert, text, subject, source))
                yield Measurement(
                    f"ids: {IDS:,} {subject}, {name}", ours, bound, Goal(2, "s"), COMMAND, other_figure=ours
                )


def _convert(text: str, subject: Subject, source: Source) -> None:
    rules = rules_of(subject, source)
    found = look_up(read_ids(text, rules), source)
    render(found.known, Output.QUOTED, rules)
    assert len(found.known) == IDS


def _bare(words: list[str], subject: Subject, source: Source) -> None:
    keys = [UUID(word) for word in words]
    query = f"SELECT id FROM {subject} WHERE id = ANY(%s)"  # noqa: S608  (one of two words)
    with psycopg.connect(source.url) as database:
        assert len(database.execute(query.encode(), (keys,)).fetchall()) == IDS


def _best(work: Callable[[], None]) -> float:
    """The best of three."""
    return min(seconds(work) for _ in range(3))


@contextmanager
def _source(keys: list[UUID]) -> Iterator[Source]:
    """A source whose organizations and tasks have these keys."""
    with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        server = Postgres(Path(folder), fsync=False)
        server.start()
        try:
            with psycopg.connect(server.admin_url, autocommit=True) as database:
                for statement in (
                    "CREATE TABLE organizations (id uuid PRIMARY KEY, name text)",
                    "CREATE TABLE tasks (id uuid PRIMARY KEY, organization_id uuid)",
                ):
                    database.execute(statement)
                database.execute("INSERT INTO organizations SELECT k, 'Acme' FROM unnest(%s::uuid[]) k", (keys,))
                database.execute("INSERT INTO tasks SELECT id, id FROM organizations")
                database.execute("VACUUM ANALYZE")
            yield Source(
                url=server.admin_url,
                organizations=OrganizationTable("organizations", link=LINK),
                tasks=TaskTable("tasks", organization="organization_id", compare=("status",), link=LINK),
                id_prefix="s-",
            )
        finally:
            server.stop()
