"""What a migration must not do to a table that may be large and in use. Pure: migrations in, sentences out.

What is rewritten, scanned or indexed under a lock stops every worker for as long as that takes; what is renamed or
taken away breaks the processes of the version before, which run until the deployment is over, and after a way back.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CharField, CheckConstraint, Field, GeneratedField
from django.db.models.functions import Now


def problems(migration: Migration, before: ProjectState) -> list[str]:
    """One sentence for each operation that may not be; `before` is the state that the migration finds."""
    state = before.clone()
    made: set[str] = set()
    found = []
    for operation in migration.operations:
        if isinstance(operation, ops.CreateModel):
            made.add(operation.name.lower())
        if getattr(operation, "model_name", "").lower() not in made:
            said = why_not(operation, state, migration)
            found += [f"{migration.app_label}.{migration.name}: {operation.describe()}: {said}"] if said else []
        operation.state_forwards(migration.app_label, state)
    return found


@singledispatch
def why_not(operation: Operation, state: ProjectState, migration: Migration) -> str:
    """What is wrong with an operation; empty where nothing is."""
    return ""


@why_not.register(ops.SeparateDatabaseAndState)
def _separate(operation: ops.SeparateDatabaseAndState, state: ProjectState, migration: Migration) -> str:
    return "; ".join(filter(None, (why_not(one, state, migration) for one in operation.database_operations)))


@why_not.register(AddIndexConcurrently)
@why_not.register(RemoveIndexConcurrently)
def _concurrently(operation: Operation, state: ProjectState, migration: Migration) -> str:
    return "cannot be in a transaction: set atomic = False" if migration.atomic else ""


@why_not.register(ops.AddIndex)
@why_not.register(ops.RemoveIndex)
def _index(operation: Operation, state: ProjectState, migration: Migration) -> str:
    return "locks the table while it is built or dropped: use AddIndexConcurrently or RemoveIndexConcurrently"


@why_not.register(ops.AddField)
def _added_field(operation: ops.AddField, state: ProjectState, migration: Migration) -> str:
    field: Any = operation.field
    if isinstance(field, GeneratedField) or _may_differ(field):
        return "rewrites the table, since the value may differ from row to row: add it without one, fill it in slices"
    if field.unique or field.db_index:
        return "builds an index under a lock: add the field without, then AddIndexConcurrently"
    if not field.null and not field.has_db_default():
        return "old code knows no such column and could insert no row: give it a db_default, or null=True"
    return ""


def _may_differ(field: Any) -> bool:
    """Whether the database's own default is an expression other than the transaction's time."""
    return field.has_db_default() and hasattr(field.db_default, "as_sql") and not isinstance(field.db_default, Now)


@why_not.register(ops.AlterField)
def _altered_field(operation: ops.AlterField, state: ProjectState, migration: Migration) -> str:
    model = state.models[migration.app_label, operation.model_name.lower()]
    old: Any = model.fields[operation.name]
    new: Any = operation.field
    if _db_type(old) != _db_type(new) and not _is_longer(old, new):
        return f"changes the type from {_db_type(old)} to {_db_type(new)}, which may rewrite the table: add a column"
    if old.null and not new.null:
        return "looks through the whole table under a lock: AddConstraintNotValid, ValidateConstraint, then this"
    if (new.unique and not old.unique) or (new.db_index and not old.db_index):
        return "builds an index under a lock: AddIndexConcurrently"
    return ""


def _db_type(field: Field[Any, Any]) -> str:
    """Of a foreign key its own class has to do: what it points to is not known here."""
    return type(field).__name__ if field.is_relation else str(field.db_type(connection))


def _is_longer(old: Field[Any, Any], new: Field[Any, Any]) -> bool:
    both = isinstance(old, CharField) and isinstance(new, CharField)
    return both and (new.max_length is None or (old.max_length is not None and new.max_length > old.max_length))


@why_not.register(ops.AddConstraint)
def _added_constraint(operation: ops.AddConstraint, state: ProjectState, migration: Migration) -> str:
    if isinstance(operation.constraint, CheckConstraint):
        return "looks through the whole table under a lock: AddConstraintNotValid, then ValidateConstraint"
    return "builds an index under a lock: build it concurrently in SQL, and tell Django's state of it"


@why_not.register(AddConstraintNotValid)
def _not_valid(operation: Operation, state: ProjectState, migration: Migration) -> str:
    return ""


@why_not.register(ValidateConstraint)
def _validated(operation: Operation, state: ProjectState, migration: Migration) -> str:
    added = any(isinstance(one, AddConstraintNotValid) for one in migration.operations)
    return "keeps the lock of the constraint's making: validate it in a migration of its own" if added else ""


@why_not.register(ops.RenameField)
@why_not.register(ops.RenameModel)
@why_not.register(ops.RemoveField)
@why_not.register(ops.DeleteModel)
@why_not.register(ops.AlterModelTable)
def _broken(operation: Operation, state: ProjectState, migration: Migration) -> str:
    return "breaks the version before, which still runs and may come back: leave it for the release after the next"


@why_not.register(ops.RunPython)
@why_not.register(ops.RunSQL)
def _own_code(operation: Operation, state: ProjectState, migration: Migration) -> str:
    return "" if operation.reversible else "has no way back: give it a reverse, or a no-op where none is needed"
