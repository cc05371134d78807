"""Fields that forms of every part have."""

from __future__ import annotations

from django import forms

from opsconsole.audit import LONGEST_TICKET


def ticket_field() -> forms.CharField:
    """Beside every reason: what the act is for, in another system. `actor_of` takes it from the request, so that it
    is on the act's audit row."""
    return forms.CharField(required=False, max_length=LONGEST_TICKET, help_text="Its number in another system.")
