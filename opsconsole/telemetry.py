"""Sentry, where the settings name one. Without it nothing is loaded, and nothing leaves."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from opsconsole import trace
from opsconsole.logs import without_secrets


def start() -> None:
    """Report errors to Sentry: the message and the stack, without local variables, bodies, cookies or people."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # noqa: PLC0415  (it patches other packages when it is loaded)

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.ENVIRONMENT,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=cleaned,
        default_integrations=True,
    )


def cleaned(event: Any, hint: Any) -> Any:
    """The event with its trace id, without secrets in its texts and without what the request carried."""
    event.setdefault("tags", {})["trace_id"] = str(trace.current() or "")
    request = event.get("request", {})
    for name in ("cookies", "headers", "data", "query_string", "env"):
        request.pop(name, None)
    event.pop("user", None)
    event.pop("breadcrumbs", None)  # lines of logs and statements, with whatever they are about
    return _without_secrets(event)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: _without_secrets(one) for name, one in value.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
