"""By e-mail, through the mail server of the settings."""

from __future__ import annotations

import hashlib
import smtplib

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.template.loader import render_to_string

from monitoring.alerts.sending.message import Failure, Message

NO_SUCH_ADDRESS = frozenset({550, 551, 553, 556})
"""Answers to a recipient that stay true: no such mailbox, moved away, no such name, a host that takes no mail."""


def send(address: str, message: Message) -> Failure | None:
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend") and not settings.EMAIL_HOST:
        return Failure("There is no mail server: EMAIL_HOST is not set.")
    mail = EmailMultiAlternatives(
        message.text.subject, message.text.plain, to=[address], headers=headers_of(message.key)
    )
    frame = {"subject": message.text.subject, "html": message.text.html}
    mail.attach_alternative(render_to_string("alerts/messages/frame.html", frame), "text/html")
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        return _refused(error)
    except (smtplib.SMTPException, OSError) as error:
        return Failure(f"The mail server did not take it: {_said(error)}")
    except (BadHeaderError, ValueError) as error:
        return Failure(f"It is no e-mail address: {error}", permanent=True)
    return None


def headers_of(key: str) -> dict[str, str]:
    """The same message again has the same number, by which mail servers and readers drop a repetition."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip("> ") or "opsconsole"
    number = hashlib.sha256(key.encode()).hexdigest()[:32]
    return {"Message-ID": f"<{number}@{domain}>", "Idempotency-Key": key, "Auto-Submitted": "auto-generated"}


def _refused(error: smtplib.SMTPRecipientsRefused) -> Failure:
    codes = [code for code, _ in error.recipients.values()]
    said = "; ".join(f"{code} {_text(text)}" for code, text in error.recipients.values())
    return Failure(f"The mail server refused the address: {said}", permanent=set(codes) <= NO_SUCH_ADDRESS)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
