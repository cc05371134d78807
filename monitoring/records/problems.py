"""What a page says when a record source could not be asked: what happened, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors

from opsconsole.errors import ConsoleError
from opsconsole.estate.model import RecordSource
from sync.estate_check.judge import quoted, shown, sql_name

ASK_THE_CHECK = "manage.py estate check names everything that does not fit."


@dataclass(frozen=True, slots=True)
class Problem:
    """`sentence` is what happened, `advice` what to do, `statement` SQL for whoever keeps that database."""

    sentence: str
    advice: str
    statement: str = ""


def problem_of(error: ConsoleError, source: RecordSource) -> Problem:
    """The problem that `error` is for the readers of `source`."""
    cause = error.__cause__
    sentence = str(error)
    match cause:
        case errors.QueryCanceled():
            statement = f"CREATE INDEX CONCURRENTLY ON {sql_name(source.table)} ({quoted(source.created_at)});"
            return Problem(sentence, "Take a smaller window. Where there is no index on the creation time:", statement)
        case errors.InsufficientPrivilege():
            statement = f"GRANT SELECT ON {sql_name(source.table)} TO …;"
            return Problem(sentence, "The console's role may not read it. Its owner can run:", statement)
        case errors.UndefinedColumn() | errors.UndefinedTable():
            where = f'"{source.name}" of [[records]] in the estate file ({shown(source.table)})'
            return Problem(sentence, f"Correct {where}; {ASK_THE_CHECK}")
        case None:
            return Problem(sentence, "Nothing can be counted until it answers; what was counted before is below.")
    return Problem(sentence, ASK_THE_CHECK)
