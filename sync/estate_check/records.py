"""Record sources: table, columns, key, rights, and the index that every question about them needs."""

from __future__ import annotations

from collections.abc import Iterator

from opsconsole.estate.model import RecordSource
from opsconsole.postgres import Database, place
from sync.estate_check import judge
from sync.estate_check.result import Result, ok, warning
from sync.estate_check.stores import check_condition, checked_table


def check_record_source(source: RecordSource) -> Iterator[Result]:
    """Raises UnavailableError where its database does not answer."""
    name = f"records {source.name}"
    with Database(
        source.url,
        f"the database of {source.label}",
        statement_timeout=source.statement_timeout,
        connect_timeout=source.connect_timeout,
    ) as database:
        optional = (source.updated_at, source.organization, source.title, source.link_column)
        wanted = (source.id, source.status, source.created_at, *optional)
        results, facts = checked_table(database, name, source.table, wanted)
        yield from results
        if facts:
            yield judge.judge_key(f"{name} key", source.id, source.id_type, facts)
            yield from check_condition(database, f"{name} where", source.table, source.where)
            yield judge.judge_writing(f"{name} role", source.table, facts)
            yield judge.judge_created_index(f"{name} window", source.table, source.created_at, facts)
            yield judge_guide(name, source)


def judge_guide(name: str, source: RecordSource) -> Result:
    if not source.statuses:
        return warning(
            f"{name} guide", "It has no status guide: every status is shown as unknown. Add [[records.statuses]]."
        )
    without = (
        [] if source.updated_at else ["no updated_at: how long a record is in its status is told from its creation"]
    )
    said = f"{len(source.statuses)} statuses in the guide, in {place(source.url)}"
    return ok(f"{name} guide", f"{'; '.join([said, *without])}.")
