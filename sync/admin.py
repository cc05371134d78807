"""Jobs, attempts, batches, drift and dead letters in Django's administration: looked at, and cleaned up by the acts of
the console itself. No row is added, changed or deleted in any other way."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import path

from opsconsole import estate
from opsconsole.keyset import capped_count
from sync.access import VIEW
from sync.admin_acts import batch_actions, job_actions, jobs_of_attempts, purge
from sync.admin_registries import registries
from sync.models import Attempt, Batch, DeadLetter, Drift, Job, Verification
from sync.models.states import PROBLEM_STATES

if TYPE_CHECKING:
    ModelAdminBase = admin.ModelAdmin[Model]
    PaginatorBase = Paginator[Model]
else:  # generic in the type stubs only
    ModelAdminBase, PaginatorBase = admin.ModelAdmin, Paginator

MOST_LISTED = 10_000
LONGEST_NUMBER = 18
REASON_LENGTH = 200


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


class JobsAdmin(ReadOnlyAdmin):
    """Rows are jobs."""

    organization_field = "organization_id"
    list_select_related = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the lists of ids: up to ten thousand in a row."""
        return super().get_queryset(request).defer("task_ids")

    def get_actions(self, request: HttpRequest) -> Any:
        return job_actions(request, lambda rows: Job.objects.filter(pk__in=rows.order_by().values("pk")))


@admin.register(Job)
class JobAdmin(JobsAdmin):
    list_display = ("id", "organization_id", "organization_name", "kind", "mode", "state", "batch_id", "created_at")
    list_filter = ("state", "kind", "mode")

    def get_urls(self) -> list[Any]:
        purging = self.admin_site.admin_view(partial(purge, self))
        looking = self.admin_site.admin_view(partial(registries, self))
        own = [
            path("purge/", purging, name="sync_job_purge"),
            path("registries/", looking, name="sync_job_registries"),
        ]
        return [*own, *super().get_urls()]


@admin.register(DeadLetter)
class DeadLetterAdmin(JobsAdmin):
    list_display = ("id", "organization_id", "organization_name", "state", "error_type", "reason", "ended_at")
    list_filter = ("state", "error_type", "kind", "mode")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(state__in=PROBLEM_STATES)

    @admin.display(description="Reason")
    def reason(self, job: DeadLetter) -> str:
        return job.error[:REASON_LENGTH]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    search_help_text = "A batch's number."
    list_display = ("id", "mode", "state", "size", "created_by", "created_at", "ended_at")
    list_filter = ("state", "mode")

    def get_actions(self, request: HttpRequest) -> Any:
        return batch_actions(request)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    number_field = "job_id"
    organization_field = "job__organization_id"
    list_display = ("job_id", "number", "outcome", "worker", "host", "pid", "started_at", "ended_at", "peak_memory")
    list_filter = ("outcome",)

    def get_actions(self, request: HttpRequest) -> Any:
        """On the jobs of the attempts."""
        return job_actions(request, jobs_of_attempts)


class VerificationFilter(admin.SimpleListFilter):
    """As rows show it: whether a verification was given up stands in the job."""

    title = "verification"
    parameter_name = "verification"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Verification.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Drift]) -> QuerySet[Drift]:
        wanted = self.value()
        return queryset.filter(Verification(wanted).among()) if wanted in Verification.values else queryset


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    number_field = "job_id"
    organization_field = "job__organization_id"
    list_display = ("job_id", "task_id", "kind", "shown", "partition", "offset", "found_at")
    list_filter = ("kind", VerificationFilter)
    exclude = ("verification",)
    readonly_fields = ("shown",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("job").defer("job__task_ids")

    @admin.display(description="Verification")
    def shown(self, drift: Drift) -> str:
        return drift.status.label
