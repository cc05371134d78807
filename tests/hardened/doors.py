"""Whoever looks at the console in these tests, and what they are given back."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from django.test import Client

from opsconsole.models import User
from tests.hardened.place import PERSON
from tests.hardened.strings import RAN_TEMPLATE, TAG, dangerous_in


def client_of(role: str | None, **options: Any) -> Client:
    client = Client(**options)
    if role:
        client.force_login(User.objects.get(username=f"{PERSON}{role}"))
    return client


def session_of(role: str) -> str:
    """The session's cookie of somebody with that role."""
    return client_of(role).cookies[settings.SESSION_COOKIE_NAME].value


def text_of(response: HttpResponseBase) -> str:
    """The whole answer as text, streamed or not."""
    if response.streaming:
        return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return response.content.decode()  # type: ignore[attr-defined,no-any-return]


LARGEST_PAGE = 1_000_000


class Markup(HTMLParser):
    """What of a page is an element or an attribute that only a hostile text could have made."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == TAG or any(name.startswith("on") for name, _ in attrs):
            self.found.append(self.get_starttag_text() or tag)


def wrong_with(text: str) -> list[str]:
    """What a page, or a part of one, shows that it would not if its texts were only shown."""
    wrong = Markup(text).found
    wrong += ["a template ran"] if RAN_TEMPLATE in text else []
    wrong += sorted(dangerous_in(text))
    wrong += [f"{len(text):,} characters"] if len(text) > LARGEST_PAGE else []
    return wrong
