"""Each page's question mark opens a chapter that is there, and the docs are served as they are."""

from __future__ import annotations

import re

import pytest
from django.urls import URLResolver, get_resolver

from opsconsole import guide as docs
from opsconsole.access import Role
from tests.web.sync_rows import client_of

WITHOUT_CHAPTER = {"home", "styleguide", "metrics", "search", "help", "help_guide", "confirm", "logged_out"}
"""Names of routes that are no page of their own, or whose help is the guide's beginning."""


def names(resolver: URLResolver, prefix: str = "") -> list[str]:
    found: list[str] = []
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            below = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            found += names(pattern, below)
        elif pattern.name and not hasattr(pattern.callback, "public"):
            found.append(prefix + pattern.name)
    return found


def test_every_page_has_a_chapter() -> None:
    pages = {name for name in names(get_resolver()) if not name.startswith(("admin:", "api-", "api:"))}
    assert {name for name in pages if not docs.chapter_of(name)} <= WITHOUT_CHAPTER
    assert "sync:job" in pages


def test_every_chapter_is_in_the_guide() -> None:
    text = (docs.FOLDER / f"{docs.GUIDE}.md").read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    assert set(docs.CHAPTERS.values()) <= headings


@pytest.mark.django_db
@pytest.mark.parametrize("name", docs.names())
def test_the_docs_are_pages_whose_links_lead_somewhere(name: str) -> None:
    client = client_of(Role.VIEWER)
    text = client.get(f"/help/{name}/").content.decode()
    article = text[text.index('class="doc-text"') :]
    assert "<h2 id=" in article
    for address, anchor in set(re.findall(r'href="(/help/[\w-]+/)?(?:#([\w-]+))?"', article)):
        there = client.get(address).content.decode() if address else text
        assert not anchor or f'id="{anchor}"' in there, (address, anchor)
    assert not re.search(r'href="(?!/help/|#|https://)', article)


@pytest.mark.django_db
def test_a_page_leads_to_its_chapter() -> None:
    assert 'href="/help/pages/#batches"' in client_of(Role.VIEWER).get("/sync/batches/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["nothing", "..", "SECURITY"])
def test_what_is_no_doc_is_not_found(name: str) -> None:
    assert client_of(Role.VIEWER).get(f"/help/{name}/").status_code == 404
