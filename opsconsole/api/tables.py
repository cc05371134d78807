"""The list of tokens."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from opsconsole.api.models import ApiToken
from opsconsole.tables import BadgeColumn, CellColumn, ConsoleColumn, ConsoleTable, WhenColumn

CARDS = {"class": "table table-cards"}


class TokenTable(ConsoleTable):
    name = CellColumn("api/cells/token.html", verbose_name="Token")
    acts_as = ConsoleColumn(verbose_name="Acts as")
    state = BadgeColumn(accessor="pk", verbose_name="State")
    permissions = CellColumn("api/cells/permissions.html", verbose_name="May")
    expires_at = WhenColumn(verbose_name="Expires")
    last_used_at = WhenColumn(verbose_name="Last used")
    revoke = ConsoleColumn(
        accessor="pk",
        verbose_name=format_html('<span class="visually-hidden">{}</span>', "Actions"),
        attrs={"td": {"class": "number"}},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS, "empty_text": "There is no token yet."} | kwargs)
        self.now = timezone.now()

    def render_state(self, record: ApiToken) -> SafeString:
        column = self.columns["state"].column
        return column.render(record.state_at(self.now))  # type: ignore[no-any-return]

    def render_revoke(self, record: ApiToken) -> str | SafeString:
        if record.revoked_at is not None:
            return ""
        address = reverse("token_revoke", args=[record.pk])
        return format_html(
            '<a class="button button-quiet button-small" href="{}" aria-label="Revoke {}">Revoke</a>',
            address,
            record.name,
        )
