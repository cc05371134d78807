"""What somebody likes: the zone in which times are shown to them, and lists as they want to see them again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_http_methods, require_POST

from opsconsole import audit
from opsconsole.access import Scoping, requires
from opsconsole.errors import UsageError
from opsconsole.models import USE_CONSOLE, SavedFilter, User

MOST_FILTERS = 50
OF_ONE_LOOK = ("cursor", "size", "csv")
"""What an address says of one look at a list only, and is not kept."""


def asked_of_list(query: QueryDict) -> str:
    """What an address asks of a list, whoever looks and however far: the part of it that is worth a name."""
    pairs = [(name, value) for name, values in query.lists() if name not in OF_ONE_LOOK for value in values if value]
    return urlencode(pairs)


class ZoneForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("zone",)

    zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=64,
        help_text="Such as Europe/Paris. Pages show UTC, and this zone beside it; empty: your browser's.",
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )

    def clean_zone(self) -> str:
        zone: str = self.cleaned_data["zone"].strip()
        known = {name.casefold(): name for name in available_timezones()}
        if zone and zone.casefold() not in known:
            raise forms.ValidationError(f"{zone!r} is no time zone; allowed are names as Europe/Paris, or nothing.")
        return known.get(zone.casefold(), "")


class FilterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A name for the list that is shown. `page` and `query` are its address."""

    class Meta:
        model = SavedFilter
        fields = ("page", "name", "query")
        error_messages = {"name": {"required": "Give it a name."}}

    def clean_page(self) -> str:
        """A page of this console, and nothing that leads away from it."""
        page: str = self.cleaned_data["page"]
        try:
            resolve(page)
        except Resolver404 as error:
            raise forms.ValidationError(f"{page!r} is no page of the console.") from error
        return page

    def clean_query(self) -> str:
        query = asked_of_list(QueryDict(self.cleaned_data["query"]))
        if not query:
            raise forms.ValidationError("Nothing is asked of the list; filter or sort it first.")
        return query


def save_filter(person: User, *, page: str, name: str, query: str, actor: audit.Actor) -> SavedFilter:
    """Keep it, in place of one of that name for the same page. Raises UsageError above MOST_FILTERS."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=person.pk)
        others = SavedFilter.objects.filter(owner=person).exclude(page=page, name=name)
        if others.count() >= MOST_FILTERS:
            raise UsageError(f"{MOST_FILTERS} filters are kept for a person; remove one under “Your account” first.")
        saved, _ = SavedFilter.objects.update_or_create(owner=person, page=page, name=name, defaults={"query": query})
        audit.record(actor, "filter.saved", f"user:{person.pk}", page=page, name=name, query=query)
    return saved


def filters_of(request: HttpRequest) -> list[SavedFilter]:
    """Somebody's filters of the page they look at, by name. One query."""
    return list(SavedFilter.objects.filter(owner_id=request.user.pk, page=request.path).order_by("name"))


@require_POST
@requires(USE_CONSOLE, scoping=Scoping.APART)
def save(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.POST)
    if not form.is_valid():
        return render(request, "preferences/filter.html", {"form": form}, status=400)
    asked = form.cleaned_data
    assert isinstance(request.user, User)
    saved = save_filter(request.user, **asked, actor=audit.actor_of(request))
    messages.success(request, f"Kept as “{saved.name}”.")
    return redirect(saved.address)


@require_POST
@requires(USE_CONSOLE, scoping=Scoping.APART)
def remove(request: HttpRequest, number: int) -> HttpResponseRedirect:
    with transaction.atomic():
        saved = get_object_or_404(SavedFilter, pk=number, owner_id=request.user.pk)
        actor = audit.actor_of(request)
        audit.record(actor, "filter.removed", f"user:{actor.user_id}", page=saved.page, name=saved.name)
        saved.delete()
    messages.success(request, f"“{saved.name}” is removed.")
    return redirect("preferences")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(USE_CONSOLE, scoping=Scoping.APART)
def preferences(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = ZoneForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            actor = audit.actor_of(request)
            audit.record(actor, "person.zone_changed", f"user:{actor.user_id}", zone=request.user.zone)
        messages.success(request, "Saved.")
        return redirect("preferences")
    if form.errors:
        request.user.refresh_from_db(fields=["zone"])
    content: dict[str, Any] = {
        "form": form,
        "zones": sorted(available_timezones()),
        "filters": SavedFilter.objects.filter(owner=request.user).order_by("page", "name"),
    }
    return render(request, "preferences/page.html", content, status=400 if form.errors else 200)
