from monitoring.alerts.models.alert import Alert, AlertEvent, AlertState, EventKind, Held
from monitoring.alerts.models.channel import Channel, ChannelKind, ChannelState, Mute, Subscription
from monitoring.alerts.models.notification import About, Notification, NotificationState

__all__ = [
    "About",
    "Alert",
    "AlertEvent",
    "AlertState",
    "Channel",
    "ChannelKind",
    "ChannelState",
    "EventKind",
    "Held",
    "Mute",
    "Notification",
    "NotificationState",
    "Subscription",
]
