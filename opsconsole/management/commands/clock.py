"""`manage.py clock`: the process that does everything that happens by itself."""

from __future__ import annotations

import os
import signal
import socket
import threading
import uuid
from typing import Any

from django.core.management.base import BaseCommand

from opsconsole.clock import duties
from opsconsole.clock.lease import LeaseKeeper
from opsconsole.clock.loop import ClockLoop


class Command(BaseCommand):
    help = "Run the clock. Start two or more for standby: one leads, the others wait for its lease."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        ClockLoop(LeaseKeeper(holder), duties.registered(), stop).run()
