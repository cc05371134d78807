"""The docs, served by the console itself, and which chapter belongs to which page.

The texts are the project's own files, so what Markdown makes of them is shown as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from opsconsole.access import Scoping, requires
from opsconsole.models import USE_CONSOLE

GUIDE = "pages"
FOLDER: Path = settings.BASE_DIR / "docs"
OTHER_DOC = re.compile(r"(?P<name>[a-z-]+)\.md(?P<anchor>#[\w-]+)?")

SCROLLING = {
    "<pre>": '<pre tabindex="0">',
    "<table>": '<div class="doc-scroll" tabindex="0"><table>',
    "</table>": "</table></div>",
}
"""What scrolls sideways has to be reached without a mouse."""

CHAPTERS = {
    "pipeline:overview": "overview",
    "pipeline:canary": "canary",
    "pipeline:lag": "lag",
    "pipeline:find": "affected",
    "pipeline:queue": "queues",
    "pipeline:worker": "workers",
    "pipeline:limits": "overview",
    "sync:affected": "affected",
    "sync:staged": "staged",
    "sync:stage": "staged",
    "sync:unstage": "staged",
    "sync:batch": "batches",
    "sync:plan": "batches",
    "sync:approvals": "batches",
    "sync:job": "jobs",
    "sync:dead": "jobs",
    "sync:by_hand": "by-hand",
    "sync:skip": "skip-list",
    "sync:ids": "ids",
    "records:": "records",
    "schedules:": "scheduled-jobs",
    "schedules:monitor": "monitors",
    "schedules:keys": "monitors",
    "abandonment:": "tracked-tasks",
    "alerts:": "alerts",
    "lately": "last-day",
    "trace": "trace",
    "audit": "audit-log",
    "api": "api",
    "token": "api",
    "mfa": "your-account",
    "account": "your-account",
    "session": "your-account",
    "preferences": "your-account",
    "filter": "your-account",
}
"""Beginnings of the names of pages' routes, and the chapter of the guide; the longest that fits holds."""


def chapter_of(route: str) -> str:
    """The chapter of the page with this route's name; empty where it has none: the guide's beginning."""
    fitting = [beginning for beginning in CHAPTERS if route.startswith(beginning)]
    return CHAPTERS[max(fitting, key=len)] if fitting else ""


def address_for(route: str) -> str:
    """Where the question mark of a page leads."""
    chapter = chapter_of(route)
    return f"{reverse('help', args=[GUIDE])}{'#' if chapter else ''}{chapter}"


class _Links(Treeprocessor):
    """Links from one doc to another lead to its page here; links to other files of the project are only text here."""

    def run(self, root: Element) -> None:
        for link in root.iter("a"):
            target = link.get("href", "")
            other = OTHER_DOC.fullmatch(target)
            if other and other["name"] in names():
                link.set("href", reverse("help", args=[other["name"]]) + (other["anchor"] or ""))
            elif not target.startswith(("#", "https://")):
                link.tag = "span"
                del link.attrib["href"]
        for picture in root.iter("img"):
            picture.tag = "span"
            picture.text = picture.get("alt")
            picture.attrib.clear()


class _OwnLinks(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (Markdown's name)
        md.treeprocessors.register(_Links(md), "own_links", 0)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Of the docs there are, the guide to the pages first."""
    found = sorted(path.stem for path in FOLDER.glob("*.md"))
    return (GUIDE, *(name for name in found if name != GUIDE))


@lru_cache(maxsize=32)
def _read(name: str) -> tuple[str, SafeString, tuple[dict[str, str], ...]]:
    """Title, text without it, and the chapters: each `id` and `name`."""
    made = Markdown(
        extensions=["tables", "fenced_code", "toc", _OwnLinks()], extension_configs={"toc": {"toc_depth": "2"}}
    )
    title, _, text = (FOLDER / f"{name}.md").read_text(encoding="utf-8").removeprefix("# ").partition("\n")
    html = made.convert(text)
    for found, scrolling in SCROLLING.items():
        html = html.replace(found, scrolling)
    tokens: list[dict[str, Any]] = made.toc_tokens  # type: ignore[attr-defined]
    chapters = tuple({"id": token["id"], "name": unescape(token["name"])} for token in tokens)
    return title, mark_safe(html), chapters  # noqa: S308  # nosec B308 B703 (our own file)


@require_safe
@requires(USE_CONSOLE, scoping=Scoping.APART)
def help_page(request: HttpRequest, name: str = GUIDE) -> HttpResponse:
    """One of the docs. No query beyond those of every page."""
    if name not in names():
        raise Http404(f"There is no doc {name}.")
    title, text, chapters = _read(name)
    others = [(other, _read(other)[0], other == name) for other in names()]
    return render(request, "help.html", {"title": title, "text": text, "chapters": chapters, "docs": others})
