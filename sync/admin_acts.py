"""Acts on jobs in the administration: the operations of the console's own pages, each asked about on a page of its own.

What is shown there is what is bound: the jobs, each with the attempt it is in. What has changed until the answer is
left alone, and the answer says what the database changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from opsconsole.access import Permission
from opsconsole.audit import actor_of
from opsconsole.errors import UsageError
from opsconsole.keyset import capped_count
from opsconsole.words import counted
from sync.access import CANCEL, DELETE, RUN, SKIP
from sync.forms import ReasonForm, refused_into
from sync.models import Batch, Job
from sync.operations import bulk
from sync.operations.deleting import purge_finished
from sync.views import batch_acts, job_bulk

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

MOST_ASKED_ABOUT = 200
"""Jobs at once: as many as a person can look through before answering. The list of jobs has acts on a thousand."""

MOST_BATCHES = 20


@dataclass(frozen=True, slots=True)
class JobAct:
    """An act of the list of jobs, and who may do it."""

    page: job_bulk.Page
    permission: Permission


JOB_ACTS = {
    "cancel_jobs": JobAct(job_bulk.CANCEL_PAGE, CANCEL),
    "stop_jobs": JobAct(job_bulk.STOP_PAGE, CANCEL),
    "kill_jobs": JobAct(job_bulk.KILL_PAGE, CANCEL),
    "retry_jobs": JobAct(job_bulk.RETRY_PAGE, RUN),
    "skip_jobs": JobAct(job_bulk.SKIP_PAGE, SKIP),
    "delete_jobs": JobAct(job_bulk.DELETE_PAGE, DELETE),
}
BATCH_ACTS = {
    "cancel_batches": (batch_acts.CANCEL_ACT, CANCEL),
    "retry_batches": (batch_acts.RETRY_ACT, RUN),
}

Action = Callable[["ModelAdmin[Any]", HttpRequest, "QuerySet[Any]"], HttpResponse | None]
Actions = dict[str, tuple[Action, str, str]]
JobsOf = Callable[["QuerySet[Any]"], "QuerySet[Job]"]


def job_actions(request: HttpRequest, jobs_of: JobsOf) -> Actions:
    """Django's table of actions, with those that this person may do. `jobs_of` gives the jobs of the ticked rows."""
    return {
        name: (_job_action(name, act, jobs_of), name, f"{act.page.verb} …")
        for name, act in JOB_ACTS.items()
        if request.user.has_perm(act.permission.name)
    }


def _job_action(name: str, act: JobAct, jobs_of: JobsOf) -> Action:
    def action(model_admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        _require(request, act.permission)
        form = act.page.form(request.POST if "bound" in request.POST else None)
        if form.is_valid():
            with refused_into(form):
                targets = job_bulk.targets(request.POST["bound"].split(","))
                model_admin.message_user(request, act.page.do(targets, actor_of(request), form))
                return None
        jobs = jobs_of(rows)
        return _ask(model_admin, request, name, act, jobs, form)

    return action


def _ask(
    model_admin: ModelAdmin[Any], request: HttpRequest, name: str, act: JobAct, jobs: QuerySet[Job], form: forms.Form
) -> HttpResponse:
    possible = jobs.filter(bulk.FITTING[act.page.act]).order_by("-pk").defer("task_ids")
    shown = list(possible[: MOST_ASKED_ABOUT + 1])
    listed = shown[:MOST_ASKED_ABOUT]
    content = {
        **model_admin.admin_site.each_context(request),
        "title": f"{act.page.verb} {counted(len(listed), 'job')}?",
        "opts": model_admin.model._meta,
        "verb": act.page.verb,
        "follows": act.page.follows,
        "jobs": listed,
        "bound": ",".join(f"{job.pk}:{job.fence}" for job in listed),
        "left_out": capped_count(jobs.exclude(bulk.FITTING[act.page.act]), MOST_ASKED_ABOUT),
        "more": len(shown) > MOST_ASKED_ABOUT,
        "most": MOST_ASKED_ABOUT,
        "now": timezone.now(),
        "form": form,
        "action": name,
        "ticked": request.POST.getlist(ACTION_CHECKBOX_NAME)[:MOST_ASKED_ABOUT],
        "ticked_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/sync/job_act.html", content, status=400 if form.errors else 200)


def batch_actions(request: HttpRequest) -> Actions:
    return {
        name: (_batch_action(name, act, needed), name, f"{act.verb} …")
        for name, (act, needed) in BATCH_ACTS.items()
        if request.user.has_perm(needed.name)
    }


def _batch_action(name: str, act: batch_acts.Act, needed: Permission) -> Action:
    def action(model_admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        _require(request, needed)
        batches = list(rows.order_by("pk")[: MOST_BATCHES + 1])
        if len(batches) > MOST_BATCHES:
            raise UsageError(f"At most {MOST_BATCHES} batches at once: each may have thousands of jobs.")
        form = ReasonForm(request.POST if "bound" in request.POST else None)
        if form.is_valid():
            for batch in batches:
                _act_on_batch(model_admin, request, act, batch, form.cleaned_data["reason"])
            return None
        content = {
            **model_admin.admin_site.each_context(request),
            "title": f"{act.verb} {counted(len(batches), 'batch', 'batches')}?",
            "opts": model_admin.model._meta,
            "verb": act.verb,
            "follows": act.follows,
            "batches": batches,
            "now": timezone.now(),
            "form": form,
            "action": name,
            "ticked": [batch.pk for batch in batches],
            "ticked_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/sync/job_act.html", content, status=400 if form.errors else 200)

    return action


def _act_on_batch(
    model_admin: ModelAdmin[Any], request: HttpRequest, act: batch_acts.Act, batch: Batch, reason: str
) -> None:
    try:
        done = act.do(batch, actor_of(request), reason)
    except UsageError as error:
        model_admin.message_user(request, f"{batch}: {error}", messages.ERROR)
    else:
        model_admin.message_user(request, f"{batch}: {done}")


class PurgeForm(ReasonForm):
    days = forms.IntegerField(
        min_value=1, max_value=3_650, initial=90, label="Ended more than so many days ago", help_text="1 to 3,650."
    )
    field_order = ("days", "reason")


def purge(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Ask how old, and why; then delete the oldest ended jobs, a bounded number at once."""
    _require(request, DELETE)
    form = PurgeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refused_into(form):
            age = timedelta(days=form.cleaned_data["days"])
            result = purge_finished(age, actor_of(request), form.cleaned_data["reason"])
            model_admin.message_user(request, result.sentence())
            return redirect(reverse("admin:sync_job_changelist"))
    content = {
        **model_admin.admin_site.each_context(request),
        "title": "Purge ended jobs",
        "opts": model_admin.model._meta,
        "form": form,
        "most": bulk.MOST,
    }
    return TemplateResponse(request, "admin/sync/purge.html", content, status=400 if form.errors else 200)


def _require(request: HttpRequest, needed: Permission) -> None:
    if not request.user.has_perm(needed.name):
        raise PermissionDenied(f"This needs the permission {needed.name}.")


def jobs_of_attempts(attempts: QuerySet[Model]) -> QuerySet[Job]:
    return Job.objects.filter(pk__in=attempts.order_by().values("job_id"))
