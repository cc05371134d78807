"""Batches, jobs, attempts and drift in Django's administration: to look at, not to touch."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from opsconsole import estate
from opsconsole.keyset import capped_count
from sync.access import VIEW
from sync.models import Attempt, Batch, Drift, Job

if TYPE_CHECKING:
    ModelAdminBase = admin.ModelAdmin[Model]
    PaginatorBase = Paginator[Model]
else:  # generic in the type stubs only
    ModelAdminBase, PaginatorBase = admin.ModelAdmin, Paginator

MOST_LISTED = 10_000
LONGEST_NUMBER = 18


class CappedPaginator(PaginatorBase):
    """Offers the first MOST_LISTED rows: Django's own would count a table that only grows, on every view."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return capped_count(rows, MOST_LISTED).value if isinstance(rows, QuerySet) else len(rows)


class ReadOnlyAdmin(ModelAdminBase):
    """`number_field` and `organization_field` are what the search looks in, exactly, so that it uses their indexes."""

    number_field = "pk"
    organization_field = ""
    search_fields = ("pk",)
    search_help_text = "A job's number, or an organization's id with or without its prefix."
    show_full_result_count = False
    paginator = CappedPaginator
    ordering = ("-pk",)
    list_per_page = 50

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isdecimal() and len(term) <= LONGEST_NUMBER:
            by_number = queryset.filter(**{self.number_field: int(term)})
            if not self.organization_field or by_number.exists():
                return by_number, False
        if not self.organization_field:
            return queryset.none(), False
        organization = term.removeprefix(estate.current().source.id_prefix)
        return queryset.filter(**{self.organization_field: organization}), False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(VIEW.name)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    organization_field = "organization_id"
    list_display = ("id", "organization_id", "organization_name", "kind", "mode", "state", "batch_id", "created_at")
    list_filter = ("state", "kind", "mode")
    list_select_related = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the lists of ids: up to ten thousand in a row."""
        return super().get_queryset(request).defer("task_ids")


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    search_help_text = "A batch's number."
    list_display = ("id", "mode", "state", "size", "created_by", "created_at", "ended_at")
    list_filter = ("state", "mode")


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    number_field = "job_id"
    organization_field = "job__organization_id"
    list_display = ("job_id", "number", "outcome", "worker", "host", "pid", "started_at", "ended_at", "peak_memory")
    list_filter = ("outcome",)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    number_field = "job_id"
    organization_field = "job__organization_id"
    list_display = ("job_id", "task_id", "kind", "verification", "partition", "offset", "found_at")
    list_filter = ("kind", "verification")
