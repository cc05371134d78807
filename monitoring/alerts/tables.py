"""The lists of alerts, messages, channels and mutes. Cells of more than one value are templates."""

from __future__ import annotations

from typing import Any

from opsconsole.tables import BadgeColumn, CellColumn, ConsoleTable, NumberColumn, WhenColumn

CARDS = {"class": "table table-cards"}


def cell(name: str, **kwargs: Any) -> CellColumn:
    return CellColumn(f"alerts/cells/{name}.html", **kwargs)


class CardTable(ConsoleTable):
    """One card per row on a phone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"attrs": CARDS} | kwargs)


class AlertTable(CardTable):
    """Rows are Alerts that have looked at the clock."""

    title = cell("alert", verbose_name="What")
    severity = BadgeColumn(accessor="level", verbose_name="Severity")
    state = cell("alert_state", accessor="pk", verbose_name="State")
    first_at = WhenColumn(verbose_name="Since")
    count = NumberColumn(verbose_name="Times")
    who = cell("alert_who", accessor="pk", verbose_name="Who has it")

    sorts = {"severity": "urgency", "first_at": "first_at"}
    default_sort = "-severity"


class NotificationTable(CardTable):
    about = cell("message", verbose_name="Message")
    to = cell("message_to", accessor="pk", verbose_name="To")
    state = cell("message_state", accessor="pk", verbose_name="State")
    created_at = WhenColumn(verbose_name="Queued")
    attempts = NumberColumn(verbose_name="Attempts")


class DeadTable(NotificationTable):
    acts = cell("message_again", accessor="pk", verbose_name="Do")


class ChannelTable(CardTable):
    name = cell("channel", verbose_name="Channel")
    kind = cell("channel_kind", verbose_name="Kind")
    address = cell("channel_address", accessor="pk", verbose_name="Address")
    state = cell("channel_state", accessor="pk", verbose_name="State")
    subscriptions = NumberColumn(accessor="subscription_count", verbose_name="Subscriptions")

    sorts = {"name": "name"}
    default_sort = "name"


class MuteTable(CardTable):
    kind = cell("mute", verbose_name="Muted")
    until = WhenColumn(verbose_name="Until")
    reason = cell("mute_reason", verbose_name="Why")
    acts = cell("mute_lift", accessor="pk", verbose_name="Do")
