"""Hostile texts in every column, every page read: escaped, no template run, no character that reorders a line."""

from __future__ import annotations

import pytest

from tests.browser.pages import EXAMPLES, Example
from tests.hardened.doors import client_of, text_of, wrong_with
from tests.hardened.place import NOT_ON_A_PAGE, Place

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records", "tests.fixtures_abandonment"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_page(example: Example, hostile: Place) -> None:
    response = client_of(example.role).get(example.address(hostile.scene))
    text = text_of(response)
    assert response.status_code == example.status, text[-2_000:]
    assert wrong_with(text) == []
    hostile.note(text)


def test_the_texts_arrived(hostile: Place) -> None:
    """After the pages: what they were full of is what they showed. Without this, a column that no row has, or a page
    that shows nothing, would pass."""
    missing = set(hostile.marks.values()) - hostile.seen - NOT_ON_A_PAGE
    assert missing == set(), "shown on no page: show it, or say in NOT_ON_A_PAGE why not"
