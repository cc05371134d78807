"""Badges, times, numbers, fields: how values look, and that nothing in them becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django import forms
from django.http import HttpRequest
from django.template import Context, RequestContext, Template
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from opsconsole import words
from opsconsole.errors import UsageError
from opsconsole.styleguide import ExampleForm, ExampleStatus, ExampleTable, jobs
from opsconsole.templatetags import console
from opsconsole.tones import Tone


def rendered(text: str, **values: object) -> str:
    return Template("{% load console %}" + text).render(Context(values))


def test_badge_has_label_and_tone_escaped() -> None:
    html = rendered("{% badge status %}", status=ExampleStatus("<b>", Tone.PROBLEM))
    assert html == '<span class="badge tone-problem">&lt;b&gt;</span>'


def test_badge_refuses_a_bare_text() -> None:
    with pytest.raises(TypeError, match="no label and tone"):
        console.badge("running")


def test_when_is_utc_whatever_the_zone() -> None:
    moment = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    html = rendered("{% when moment %}", moment=moment)
    assert 'datetime="2026-02-28T23:30:00.000Z"' in html
    assert 'title="2026-02-28 23:30:00 UTC"' in html


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (-5, "within a minute"),
        (61, "1 minute ago"),
        (7_199, "1 hour ago"),
        (3 * 86_400, "3 days ago"),
        (-300, "in 5 minutes"),
    ],
)
def test_how_long_ago_in_one_unit(seconds: int, said: str) -> None:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert words.ago(now - timedelta(seconds=seconds), now) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0 entries"), (1, "1 entry"), (1_200, "1,200 entries")])
def test_one_is_never_called_several(count: int, said: str) -> None:
    assert words.counted(count, "entry", "entries") == said
    assert rendered('{{ n|counted:"job" }}', n=count) == f"{count:,} job{'' if count == 1 else 's'}"


def test_when_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="no zone"):
        console.when(datetime(2026, 3, 1))  # noqa: DTZ001


def test_nothing_is_a_dash() -> None:
    assert rendered("{% when n %}{% badge n %}{% ident n %}", n=None).count("–") == 3  # noqa: RUF001
    assert rendered("{{ n|number }}{{ n|duration }}{{ n|size }}", n=None) == words.NOTHING * 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.42, "420 ms"),
        (0.9999, "1 s"),
        (4.25, "4.2 s"),
        (9.96, "10 s"),
        (59.7, "1 min"),
        (65, "1 min 5 s"),
        (7_500, "2 h 5 min"),
        (3_605, "1 h"),
        (262_800, "3 d 1 h"),
        (-65, "-1 min 5 s"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2**20 - 1, "1 MiB"),
        (64 * 2**20, "64 MiB"),
        (2**53, "8,192 TiB"),
    ],
)
def test_sizes(octets: int, said: str) -> None:
    assert words.size(octets) == said


@given(st.integers(0, 10**12), st.none() | st.integers(0, 10**12))
def test_progress_never_overflows_its_bar(value: int, most: int | None) -> None:
    html = console.progress(value, most, "Tasks <scanned>")
    assert "&lt;scanned&gt;" in html
    assert ("value=" in html) == bool(most)
    if most:
        assert f'value="{min(value, most)}" max="{most}"' in html
        assert ("(100 %)" in html) == (value >= most)


def test_field_ties_label_help_and_error_to_the_input() -> None:
    html = rendered("{% field form.size %}", form=ExampleForm({"size": "1000"}))
    assert '<label class="field-label" for="id_size">' in html
    assert 'aria-describedby="id_size_helptext id_size_error"' in html
    assert 'id="id_size_helptext"' in html
    assert 'id="id_size_error"' in html
    assert 'aria-invalid="true"' in html


def test_form_shows_its_own_errors_first() -> None:
    class Contrary(forms.Form):
        def clean(self) -> None:
            raise forms.ValidationError("From is after <to>.")

    assert "From is after &lt;to&gt;." in rendered("{% form_fields form %}", form=Contrary({}))


@pytest.mark.parametrize(
    ("sort", "ordering"),
    [("", ("-created", "-id")), ("organization", ("organization", "id")), ("-scanned", ("-scanned", "-id"))],
)
def test_sort_of_the_address(sort: str, ordering: tuple[str, ...]) -> None:
    assert ExampleTable.ordering(sort) == ordering


def test_sort_by_anything_else_is_refused() -> None:
    with pytest.raises(UsageError, match="allowed are created, organization, scanned"):
        ExampleTable.ordering("password")


def test_table_keeps_the_filters_and_leaves_the_page(rf: RequestFactory) -> None:
    request: HttpRequest = rf.get("/", {"state": "failed", "cursor": "x", "sort": "created"})
    table = ExampleTable(jobs(), request=request)
    html = Template("{% load django_tables2 %}{% render_table table %}").render(
        RequestContext(request, {"table": table})
    )
    assert "?state=failed&amp;sort=-created" in html
    assert "cursor=" not in html
    assert 'aria-sort="ascending"' in html
    assert datetime(2026, 3, 1, 12, tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S") in html
