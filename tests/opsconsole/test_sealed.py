"""Texts that are encrypted in the database: what a copy of it has, and what becomes of them when the key changes."""

from __future__ import annotations

import pytest
from cryptography.fernet import InvalidToken
from django.db import connection
from pytest_django import Settings

from monitoring.alerts.models import Channel, ChannelKind, Notification
from monitoring.alerts.operations.delivery import deliver
from opsconsole.access import Role
from opsconsole.sealed import UNREADABLE, cipher
from tests.monitoring.alerting import NOW, channel, run_failed, subscribe
from tests.web.sync_rows import client_of

pytestmark = pytest.mark.django_db
SECRET = "https://hooks.example.com/services/very-secret"


def stored() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT address FROM alerts_channel ORDER BY id")
        return [address for (address,) in cursor.fetchall()]


def test_the_database_has_no_address_in_clear_and_none_twice() -> None:
    for name in ("one", "two"):
        channel(name, SECRET, ChannelKind.WEBHOOK)
    first, second = stored()
    assert first != second
    assert "hooks" not in first + second
    assert [one.address for one in Channel.objects.all()] == [SECRET, SECRET]
    Channel.objects.update(address="env:ALERT_HOOK")
    assert "ALERT_HOOK" not in "".join(stored())
    assert Channel.objects.first().address == "env:ALERT_HOOK"  # type: ignore[union-attr]


def test_another_purpose_opens_nothing() -> None:
    sealed = cipher("field address").encrypt(b"x")
    assert cipher("field address").decrypt(sealed) == b"x"
    with pytest.raises(InvalidToken):
        cipher("second factors").decrypt(sealed)


def test_an_earlier_key_still_opens_what_it_sealed(settings: Settings) -> None:
    channel("hook", SECRET, ChannelKind.WEBHOOK)
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key-of-at-least-32-characters", [old]
    assert Channel.objects.get().address == SECRET
    Channel.objects.update(address=SECRET)
    settings.SECRET_KEY_FALLBACKS = []
    assert Channel.objects.get().address == SECRET


def test_without_its_key_a_channel_says_so_and_everything_else_goes_on(settings: Settings) -> None:
    made = channel("hook", SECRET, ChannelKind.WEBHOOK)
    subscribe(made)
    run_failed()
    settings.SECRET_KEY = "another-key-of-at-least-32-characters"
    assert Channel.objects.get().shown_address == UNREADABLE
    assert deliver(NOW) == 0
    assert "SECRET_KEY_FALLBACKS" in Notification.objects.get().last_error
    admin = client_of(Role.ADMINISTRATOR)
    assert UNREADABLE in admin.get("/alerts/channels/").content.decode()
    edited = admin.post(f"/alerts/channels/{made.pk}/edit/", {"name": "hook", "address": "env:ALERT_NEW"})
    assert edited.status_code == 400  # there is no such variable: the page is there, and says so
