"""What holds for every page: the content security policy, no inline style or script, one sentence for a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from opsconsole.access import Role
from opsconsole.errors import UnavailableError, UsageError
from opsconsole.middleware import SentenceErrorMiddleware
from tests.web.test_routes import person

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
TOKENS = (settings.BASE_DIR / "static/css/tokens.css").read_text()
STYLES = sorted((settings.BASE_DIR / "static/css").glob("*.css"))
INLINE = {
    "a style attribute": re.compile(r"<[^>{]*\sstyle\s*="),
    "a style element": re.compile(r"<style\b"),
    "a script without src": re.compile(r"<script(?![^>]*\ssrc=)"),
    "an event handler": re.compile(r"<[^>{]*\son[a-z]+\s*="),
    "hx-on": re.compile(r"\shx-on"),
    "an address with script": re.compile(r"javascript:"),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_style_or_script(path: Path) -> None:
    text = path.read_text()
    assert [what for what, pattern in INLINE.items() if pattern.search(text)] == []


@pytest.mark.parametrize(
    ("what", "markup"),
    [
        ("a style attribute", '<p class="x" style="color: red">'),
        ("a script without src", "<script>alert(1)</script>"),
        ("an event handler", '<a href="#" onclick="x()">'),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, markup: str) -> None:
    assert INLINE[what].search(markup)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/login/", "/nowhere/", "/styleguide/", "/admin/"])
def test_content_security_policy(address: str) -> None:
    client = Client()
    client.force_login(person("ada", Role.ADMINISTRATOR, is_staff=True))
    policy = client.get(address).headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_pages_that_are_not_there_and_not_allowed() -> None:
    client = Client()
    assert "There is no such page" in client.get("/nowhere/").content.decode()
    client.force_login(person("nobody", None))
    missing, refused = client.get("/nowhere/"), client.get("/")
    assert (missing.status_code, refused.status_code) == (404, 403)
    assert "opsconsole.use_console" in refused.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(("error", "status"), [(UsageError("No <b>."), 400), (UnavailableError("No <b>."), 503)])
def test_errors_are_one_escaped_sentence(rf: RequestFactory, error: Exception, status: int) -> None:
    request: HttpRequest = rf.get("/")
    request.user = person("vera", Role.VIEWER)
    response = SentenceErrorMiddleware(lambda _: pytest.fail("not asked")).process_exception(request, error)
    assert isinstance(response, HttpResponse)
    assert response.status_code == status
    assert "No &lt;b&gt;." in response.content.decode()


def test_the_page_of_defects_needs_no_request() -> None:
    assert "A defect in the console" in render_to_string("500.html")


@pytest.mark.django_db
def test_the_style_guide_shows_every_tone() -> None:
    client = Client()
    client.force_login(person("ada", Role.ADMINISTRATOR, is_staff=True))
    text = client.get("/styleguide/").content.decode()
    for tone in ("fine", "working", "waiting", "problem", "ended"):
        assert f'class="badge tone-{tone}"' in text
    assert 'aria-sort="descending"' in text
    assert "sort=created" in text


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS)
}
TONES = ("fine", "working", "waiting", "problem", "ended")
GROUNDS = ("ground", "surface", "hover")
READ_ON = [
    *[(tone, f"{tone}-ground") for tone in TONES],
    *[(ink, ground) for ink in ("ink", "muted", "link", *TONES) for ground in GROUNDS],
    *[(ink, "selected") for ink in ("ink", "link")],
    ("muted", "sunken"),
    ("on-primary", "primary"),
    ("on-primary", "primary-hover"),
    ("on-danger", "danger"),
    ("on-danger", "danger-hover"),
]
SEEN_ON = [(edge, ground) for edge in ("line-strong", "focus") for ground in ("ground", "surface")]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrast_of_text_and_of_edges(theme: int) -> None:
    weak = [(a, b) for a, b in READ_ON if contrast(COLOURS[a][theme], COLOURS[b][theme]) < 4.5]
    weak += [(a, b) for a, b in SEEN_ON if contrast(COLOURS[a][theme], COLOURS[b][theme]) < 3]
    assert weak == []


def test_colours_are_named_in_the_tokens_only() -> None:
    literal = re.compile(r"#[0-9a-f]{3,8}\b|rgb\(|hsl\(", re.IGNORECASE)
    assert [path.name for path in STYLES if path.name != "tokens.css" and literal.search(path.read_text())] == []


def test_every_variable_in_use_is_defined() -> None:
    text = "".join(path.read_text() for path in STYLES)
    assert set(re.findall(r"var\((--[\w-]+)", text)) - set(re.findall(r"(--[\w-]+):", text)) == set()
