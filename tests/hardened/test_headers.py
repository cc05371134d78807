"""What every answer tells the browser, pages and files, programs and mistakes alike."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/login/", "/nowhere/", "/api/v1/jobs", "/livez", "/ping/nobody/nothing"])
def test_headers(address: str, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True  # as in production
    answer = Client().get(address, secure=True)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "publickey-credentials" not in answer.headers["Permissions-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
