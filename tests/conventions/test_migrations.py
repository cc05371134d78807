"""No migration after the first release locks a table that may be large, or breaks the version that still runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Now

from tests.conventions.migration_rules import problems

OWN_APPS = {"opsconsole", "sync", "records", "pipeline", "schedules", "abandonment", "alerts"}
FIRST_RELEASE = {
    *((app, "0001_initial") for app in OWN_APPS),
    ("opsconsole", "0002_audit_append_only"),
    ("sync", "0002_tally"),
}
"""Their tables are empty when they run."""

ACCEPTED: dict[str, str] = {}
"""Sentences of `problems` that are accepted, each with the reason why: a small table, a column that nothing reads."""


def test_no_migration_after_the_first_release_is_dangerous() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    assert set(loader.disk_migrations) >= FIRST_RELEASE
    found = []
    for key, migration in sorted(loader.disk_migrations.items()):
        if key[0] in OWN_APPS and key not in FIRST_RELEASE:
            found += problems(migration, loader.project_state(migration.dependencies))
    assert [sentence for sentence in found if sentence not in ACCEPTED] == []


def big_table() -> ProjectState:
    state = ProjectState()
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=10)),
        ("at", models.DateTimeField(null=True)),
    ]
    state.add_model(ModelState("sync", "Big", fields))
    return state


def judged(*operations: Operation, atomic: bool = True) -> list[str]:
    contents = {"operations": list(operations), "atomic": atomic}
    migration: Migration = type("Migration", (Migration,), contents)("0003_next", "sync")
    return problems(migration, big_table())


INDEX = models.Index(fields=["name"], name="big_name")
CHECK = models.CheckConstraint(condition=models.Q(name="x"), name="big_check")


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (ops.AddIndex("big", INDEX), "AddIndexConcurrently"),
        (AddIndexConcurrently("big", INDEX), "atomic = False"),
        (ops.AddField("big", "u", models.UUIDField(db_default=RandomUUID())), "rewrites the table"),
        (ops.AddField("big", "u", models.IntegerField(null=True, unique=True)), "builds an index"),
        (ops.AddField("big", "u", models.IntegerField()), "could insert no row"),
        (ops.AddField("big", "u", models.IntegerField(default=0)), "could insert no row"),
        (ops.AlterField("big", "name", models.IntegerField()), "changes the type"),
        (ops.AlterField("big", "name", models.CharField(max_length=5)), "changes the type"),
        (ops.AlterField("big", "at", models.DateTimeField()), "looks through the whole table"),
        (ops.AlterField("big", "name", models.CharField(max_length=10, db_index=True)), "builds an index"),
        (ops.AddConstraint("big", CHECK), "AddConstraintNotValid"),
        (ops.AddConstraint("big", models.UniqueConstraint(fields=["name"], name="u")), "builds an index"),
        (ops.RemoveField("big", "name"), "breaks the version before"),
        (ops.RenameField("big", "name", "title"), "breaks the version before"),
        (ops.DeleteModel("Big"), "breaks the version before"),
        (ops.RunSQL("UPDATE sync_big SET name = ''"), "has no way back"),
        (ops.SeparateDatabaseAndState([ops.AddIndex("big", INDEX)]), "AddIndexConcurrently"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_locks_or_breaks_is_named(operation: Operation, why: str) -> None:
    (sentence,) = judged(operation)
    assert sentence.startswith("sync.0003_next: ")
    assert why in sentence


@pytest.mark.parametrize(
    "operation",
    [
        ops.AddField("big", "u", models.IntegerField(null=True)),
        ops.AddField("big", "u", models.IntegerField(db_default=0)),
        ops.AddField("big", "u", models.DateTimeField(db_default=Now())),
        ops.AddField("big", "u", ArrayField(models.TextField(), null=True)),
        ops.AlterField("big", "name", models.CharField(max_length=10, choices=[("a", "A")])),
        ops.AlterField("big", "name", models.CharField(max_length=20, null=True)),
        AddConstraintNotValid("big", CHECK),
        ops.RunSQL("SELECT 1", ops.RunSQL.noop),
    ],
    ids=lambda value: value.describe(),
)
def test_what_does_neither_is_not(operation: Operation) -> None:
    assert judged(operation) == []


def test_outside_of_a_transaction_an_index_is_built_beside_the_work() -> None:
    assert judged(AddIndexConcurrently("big", INDEX), atomic=False) == []
    both = judged(AddConstraintNotValid("big", CHECK), ValidateConstraint("big", "big_check"))
    assert [sentence.rpartition(": ")[2] for sentence in both] == ["validate it in a migration of its own"]


def test_a_table_of_the_same_migration_is_empty() -> None:
    made = ops.CreateModel("New", [("id", models.BigAutoField(primary_key=True)), ("n", models.IntegerField())])
    assert judged(made, ops.AddIndex("new", models.Index(fields=["n"], name="new_n"))) == []
