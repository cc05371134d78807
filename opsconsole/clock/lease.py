"""The lease: the right to be the one clock that acts. In PostgreSQL, by its clock, for fifteen seconds at a time."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from opsconsole.models import Lease

CLOCK = "clock"
LEASE_SECONDS = 15
"""As long as a worker may be silent: where clock and worker die together, both are over at the same time, and the job
runs again within half a minute."""
RENEW_SECONDS = 5


class LeaseKeeper:
    """Takes, renews and gives back one lease for `holder` (unique to this process)."""

    def __init__(self, holder: str, name: str = CLOCK) -> None:
        self.holder = holder
        self.name = name
        self.fence = 0

    def hold(self) -> bool:
        """Renew the lease, or take it where it is free. True: held for fifteen seconds. One to four statements."""
        until = Now() + timedelta(seconds=LEASE_SECONDS)
        mine = Lease.objects.filter(name=self.name, holder=self.holder, fence=self.fence, expires_at__gt=Now())
        if self.fence and mine.update(expires_at=until, beat_at=Now()):
            return True
        self.fence = 0
        Lease.objects.bulk_create(
            [Lease(name=self.name, holder="", expires_at=Now() - timedelta(seconds=1), beat_at=Now())],
            ignore_conflicts=True,
        )
        free = Lease.objects.filter(name=self.name, expires_at__lte=Now())
        if not free.update(holder=self.holder, fence=F("fence") + 1, expires_at=until, beat_at=Now()):
            return False
        self.fence = Lease.objects.get(name=self.name).fence
        return True

    def give_back(self) -> None:
        """Let the next clock take over at once."""
        if self.fence:
            Lease.objects.filter(name=self.name, holder=self.holder, fence=self.fence).update(expires_at=Now())
            self.fence = 0
