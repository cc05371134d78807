"""Emptying the tables after a test that committed."""

from __future__ import annotations

from django.apps import apps
from django.db import connection, transaction


def empty_tables() -> None:
    """By DELETE, which for a few rows is ten times as fast as TRUNCATE. Foreign keys are checked at the commit."""
    own = [app for app in apps.get_app_configs() if app.name == "sync" or app.name.startswith("monitoring.")]
    others = ("opsconsole.Lease", "opsconsole.PruneCount", "opsconsole.RestoreHold", "sessions.Session")
    models = [*(model for app in own for model in app.get_models()), *map(apps.get_model, others)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opsconsole_auditentry DISABLE TRIGGER USER")
        for table in ("opsconsole_auditentry", *(model._meta.db_table for model in models)):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")  # noqa: S608  (our own tables)
        for name in ("ApiToken", "User"):  # by Django: other packages' rows hang on them
            apps.get_model("opsconsole", name).objects.all().delete()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE opsconsole_auditentry ENABLE TRIGGER USER")
