"""The audit log can be added to and read; the database refuses all else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from opsconsole.audit import CLOCK, record
from opsconsole.models import AuditEntry


def update() -> None:
    AuditEntry.objects.update(actor="somebody else")


def delete() -> None:
    AuditEntry.objects.all().delete()


def truncate() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else their pending checks refuse it first
        cursor.execute("TRUNCATE opsconsole_auditentry")


@pytest.mark.django_db
@pytest.mark.parametrize("change", [update, delete, truncate])
def test_nothing_changes_what_was_recorded(change: Callable[[], None]) -> None:
    record(CLOCK, "batch.started", "batch:12", size=10)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        change()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.details) == ("clock", "batch.started", {"size": 10})
