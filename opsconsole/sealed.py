"""Secrets that the console has to read again are encrypted with its own key: a copy of the database alone has none."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    Text = models.TextField[str, str]
else:
    Text = models.TextField

UNREADABLE = "(cannot be read: SECRET_KEY has changed)"
"""In place of a text whose key is gone. The rest of its row can still be shown, and the text be given anew."""


def cipher(purpose: str) -> MultiFernet:
    """For what is sealed for one purpose, and can be opened for no other. It seals with SECRET_KEY, and opens what was
    sealed with one of SECRET_KEY_FALLBACKS as well."""
    return MultiFernet([_key(purpose, secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def _key(purpose: str, secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(f"{purpose} {secret}".encode()).digest()))


class SealedTextField(Text):
    """A text that is encrypted in the database. It cannot be searched for, as the same text is never sealed alike."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return text if text is None else cipher(self._purpose).encrypt(str(text).encode()).decode()

    def from_db_value(self, value: str | None, *_: object) -> str | None:
        if value is None:
            return None
        try:
            return cipher(self._purpose).decrypt(value.encode()).decode()
        except InvalidToken:
            return UNREADABLE

    @property
    def _purpose(self) -> str:
        return f"field {self.name}"
