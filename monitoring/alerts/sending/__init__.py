from monitoring.alerts.sending.message import Failure, Message, Target
from monitoring.alerts.sending.ways import require_usable, send

__all__ = ["Failure", "Message", "Target", "require_usable", "send"]
