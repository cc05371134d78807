"""The texts of messages: templates with a subject, a plain and an HTML part, each registered with an example.

A text `part/name` has three templates: `part/name.subject.txt`, `part/name.txt` and `part/name.html`, a fragment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from opsconsole.visible import one_line, visible

SUBJECT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Text:
    """A text that can be previewed by its `name`. `example` is a context as the outbox keeps it."""

    name: str
    template: str
    label: str
    example: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """`html` is a fragment, safe to put into a page or a mail's frame."""

    subject: str
    plain: str
    html: str


_registered: dict[str, Text] = {}


def register_text(template: str, label: str, example: Mapping[str, Any], *, part: str = "") -> None:
    """Make a text known to the page that previews them, and to the test that renders each.

    `part` tells apart examples of one template that says different things.
    """
    name = "-".join(filter(None, (template.replace("/messages/", "/").replace("/", "-"), part)))
    _registered[name] = Text(name, template, label, example)


def text_named(name: str) -> Text | None:
    return _registered.get(name)


def registered_texts() -> tuple[Text, ...]:
    return tuple(_registered.values())


def render(template: str, context: Mapping[str, Any]) -> Rendered:
    """Subject on one line, plain text without blank lines in a row, HTML with everything escaped."""
    values = {**context, "console_url": settings.CONSOLE_URL}
    subject = " ".join(render_to_string(f"{template}.subject.txt", values).split())[:SUBJECT_LENGTH]
    return Rendered(
        one_line(subject),
        _without_empty_runs(visible(render_to_string(f"{template}.txt", values))),
        visible(render_to_string(f"{template}.html", values).strip()),
    )


def _without_empty_runs(text: str) -> str:
    lines: list[str] = []
    for line in text.strip().splitlines():
        stripped = line.rstrip()
        if stripped or (lines and lines[-1]):
            lines.append(stripped)
    return "\n".join(lines) + "\n"
