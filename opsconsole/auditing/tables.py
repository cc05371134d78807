"""The audit log as a table."""

from __future__ import annotations

from typing import Any

from django_tables2 import TemplateColumn

from opsconsole.tables import ConsoleTable, WhenColumn


class AuditTable(ConsoleTable):
    """Newest first; one card per row on a phone."""

    file = False

    at = WhenColumn(verbose_name="When")
    actor = TemplateColumn(template_name="audit/cells/actor.html", verbose_name="Who")
    action = TemplateColumn(template_name="audit/cells/action.html", verbose_name="What")
    subject = TemplateColumn(template_name="audit/cells/subject.html", verbose_name="On what")
    reason = TemplateColumn(template_name="audit/cells/reason.html", verbose_name="Why", empty_values=())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": {"class": "table table-cards"}} | kwargs)
