"""Limiting a group to some organizations and record sources: what is typed, and the one way in to change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db import transaction

from opsconsole import audit, estate
from opsconsole.errors import ConsoleError
from opsconsole.keys import BadKeyError, KeyKind, parse_key
from opsconsole.models import GroupScope

MOST_ORGANIZATIONS = 1_000
"""Each page that a limited person opens asks by this list. More than that are not "some"."""

SHOWN = 60


def limit(group: Group, organizations: Sequence[str], record_sources: Sequence[str], actor: audit.Actor) -> bool:
    """Limit the group to these, bare ids and names; both empty: to nothing. False where nothing changed.

    Holds from the next request of everybody in it on."""
    with transaction.atomic():
        before = GroupScope.objects.select_for_update().filter(group=group).first()
        old = _as_json(before.organizations, before.record_sources) if before else _as_json((), ())
        new = _as_json(organizations, record_sources)
        if old == new:
            return False
        if organizations or record_sources:
            GroupScope.objects.update_or_create(group=group, defaults=new)
        else:
            GroupScope.objects.filter(group=group).delete()
        audit.record(actor, "group.limited", f"group:{group.pk}", before=old, after=new, name=group.name)
    return True


def _as_json(organizations: Sequence[str], record_sources: Sequence[str]) -> dict[str, list[str]]:
    return {"organizations": sorted(set(organizations)), "record_sources": sorted(set(record_sources))}


def read_organizations(text: str, kind: KeyKind, prefix: str) -> list[str]:
    """Bare ids, one from each line, with the estate's prefix or without. Raises ValidationError that names the line."""
    ids: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if word := line.strip():
            try:
                ids[str(parse_key(kind, word.removeprefix(prefix)))] = None
            except BadKeyError as error:
                raise forms.ValidationError(f"Line {number:,}: {str(error)[:200]}. One id on each line.") from None
    if len(ids) > MOST_ORGANIZATIONS:
        raise forms.ValidationError(f"{len(ids):,} organizations are too many; allowed are {MOST_ORGANIZATIONS:,}.")
    return list(ids)


class LimitedGroupForm(forms.ModelForm):  # type: ignore[type-arg]
    """A group with what it is limited to."""

    organizations = forms.CharField(
        required=False,
        label="Only these organizations",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
        help_text="Ids, one on each line. Empty: all of them. What the permissions above concern beyond these does not "
        "exist for whoever has them from this group alone.",
    )
    record_sources = forms.CharField(
        required=False,
        label="Only these record sources",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
        help_text="Names of the estate, one on each line. Empty: all of them.",
    )

    class Meta:
        model = Group
        fields = ("name", "permissions")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = GroupScope.objects.filter(group=self.instance.pk).first() if self.instance.pk else None
        if held is not None:
            self.initial["organizations"] = "\n".join(held.organizations)
            self.initial["record_sources"] = "\n".join(held.record_sources)

    def clean_organizations(self) -> list[str]:
        text: str = self.cleaned_data["organizations"]
        if not text.strip():
            return []
        source = _estate().source
        return read_organizations(text, source.organizations.id_type, source.id_prefix)

    def clean_record_sources(self) -> list[str]:
        names = [line.strip() for line in self.cleaned_data["record_sources"].splitlines() if line.strip()]
        known = [one.name for one in _estate().records] if names else []
        unknown = [name for name in names if name not in known]
        if unknown:
            allowed = f"allowed are {', '.join(known)}" if known else "the estate has none"
            raise forms.ValidationError(f"{unknown[0][:SHOWN]!r} is no record source; {allowed}.")
        return names


def _estate() -> Any:
    """Raises ValidationError where it cannot be read."""
    try:
        return estate.current()
    except ConsoleError as error:
        raise forms.ValidationError(f"Nobody can tell what is allowed: {error}") from error
