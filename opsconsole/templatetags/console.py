"""The tags every page uses. A call site never picks a colour, a number format or a time format."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from django import template
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.forms import BoundField, CheckboxInput
from django.http import HttpRequest
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsconsole import guide, navigation, preferences, words
from opsconsole.access import ROLE_ORDER
from opsconsole.scoping import is_limited_anywhere
from opsconsole.subjects import address_of_subject
from opsconsole.tones import Tone

register = template.Library()
register.filter("number", words.number)
register.filter("counted", words.counted)
register.filter("duration", words.duration)
register.filter("size", words.size)


@runtime_checkable
class Status(Protocol):
    """A member of a status enumeration: what it is called and which tone it has."""

    @property
    def label(self) -> str: ...

    @property
    def tone(self) -> Tone: ...


def nothing() -> SafeString:
    return format_html('<span class="none">{}</span>', words.NOTHING)


@register.simple_tag
def badge(status: Status | str | None) -> SafeString:
    """The one way to show a status. Raises TypeError for anything without a label and a tone, such as a bare string."""
    if status is None or status == "":
        return nothing()
    if not isinstance(status, Status):
        raise TypeError(f"{status!r} is no status: it has no label and tone")
    return format_html('<span class="badge tone-{}">{}</span>', Tone(status.tone), status.label)


@register.simple_tag
def when(moment: datetime | None, beside: bool = False, zone: bool = True, ago: bool = False) -> SafeString:
    """A time in UTC; both zones on hover. `beside` shows the reader's zone in the text too, `zone` writes "UTC", `ago`
    says how long ago it was: for what matters on a phone, where nothing hovers."""
    if moment is None:
        return nothing()
    text = words.utc(moment)
    return format_html(
        '<time class="when" datetime="{}" title="{} UTC" data-when>{}{}</time>{}{}',
        words.machine_time(moment),
        text,
        text,
        format_html(' <span class="zone">{}</span>', "UTC") if zone else "",
        format_html(' <span class="when-local">{}</span>', "") if beside else "",
        format_html(', <span class="when-ago">{}</span>', words.ago(moment, timezone.now())) if ago else "",
    )


@register.simple_tag
def progress(value: int | None, most: int | None, label: str, *, text: bool = True, about: bool = False) -> SafeString:
    """A bar named `label`; without a known `most` (None or 0) it only says how far things are. `about`: `most` is an
    estimate, and said to be."""
    done = value or 0
    if not most:
        bar = format_html('<progress aria-label="{}"></progress>', label)
        said = words.number(done)
    else:
        bar = format_html('<progress value="{}" max="{}" aria-label="{}"></progress>', min(done, most), most, label)
        said = f"{words.number(done)} of {'about ' if about else ''}{words.number(most)} ({percent(done, most)})"
    said_html = format_html('<span class="progress-text">{}</span>', said) if text else ""
    return format_html('<span class="progress">{}{}</span>', bar, said_html)


@register.simple_tag
def percent(value: int, most: int) -> str:
    """Rounded down, so that 100 % means all of it."""
    return f"{min(100, 100 * value // most)} %" if most else words.NOTHING


@register.simple_tag
def ident(value: object) -> SafeString:
    """An id in fixed-width type, with a button that copies it."""
    if value is None or value == "":
        return nothing()
    return format_html(
        '<span class="ident"><span class="mono">{0}</span>'
        '<button type="button" class="copy needs-script" data-copy="{0}" aria-label="Copy {0}" title="Copy">'
        "</button></span>",
        value,
    )


@register.simple_tag
def subject(name: str) -> SafeString:
    """What an audit row is about, such as `job:12`, with the way to its page where it has one."""
    address = address_of_subject(name)
    if not address:
        return format_html('<span class="mono">{}</span>', name)
    return format_html('<a class="mono" href="{}">{}</a>', address, name)


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, wide: bool = False) -> dict[str, Any]:
    """One form field: label, widget, help, errors in place; local time below a widget that has `data-utc-local`."""
    widget = bound.field.widget
    return {
        "field": bound,
        "wide": wide,
        "is_choice": isinstance(widget, CheckboxInput),
        "local_id": widget.attrs.get("data-utc-local"),
        "is_group": widget.use_fieldset,
    }


@register.inclusion_tag("components/form.html")
def form_fields(form: Any) -> dict[str, Any]:
    """All fields of a form, its own errors first."""
    return {"form": form}


@register.filter
def message_tone(message: Message) -> Tone:
    """The tone of one of Django's messages, by its level."""
    if message.level >= constants.ERROR:
        return Tone.PROBLEM
    if message.level >= constants.WARNING:
        return Tone.WAITING
    return Tone.FINE if message.level >= constants.SUCCESS else Tone.WORKING


def sections_for(request: HttpRequest) -> list[tuple[navigation.Section, tuple[navigation.Link, ...]]]:
    """The sidebar's sections for whoever is looking; staff see one more."""
    shown = [*navigation.SECTIONS, navigation.STAFF] if request.user.is_staff else [*navigation.SECTIONS]
    return [(section, navigation.links(section, request.path, request.user)) for section in shown]


@register.inclusion_tag("components/navigation.html", takes_context=True)
def navigation_links(context: Context) -> dict[str, Any]:
    return {"sections": sections_for(context["request"])}


@register.inclusion_tag("components/dialogs.html", takes_context=True)
def help_dialogs(context: Context) -> dict[str, Any]:
    """The help on keys, the confirmation dialog, and where passing words are said."""
    return {"sections": sections_for(context["request"])}


@register.inclusion_tag("components/help_link.html", takes_context=True)
def help_link(context: Context) -> dict[str, Any]:
    """The question mark of a page, which opens its chapter of the docs."""
    match = context["request"].resolver_match
    return {"address": guide.address_for(match.view_name if match else "")}


@register.inclusion_tag("components/saved_filters.html", takes_context=True)
def saved_filters(context: Context) -> dict[str, Any]:
    """Somebody's own filters of this list, and the way to keep the present one. One query."""
    request: HttpRequest = context["request"]
    current = preferences.asked_of_list(request.GET)
    return {
        "filters": [(one, one.query == current) for one in preferences.filters_of(request)],
        "query": current,
        "page": request.path,
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag
def role_of(user: Any) -> str:
    """The highest role of a person, and whether some of what they hold is limited. One query."""
    if user.is_superuser:
        return "Superuser"
    names = set(user.groups.values_list("name", flat=True))
    held = [role for role in ROLE_ORDER if role.value in names]
    role = held[-1].value.capitalize() if held else "No role"
    return f"{role}, limited" if is_limited_anywhere(user) else role
