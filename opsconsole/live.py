"""How often open pages may ask for their live parts: as often as they say, until that takes too much of a core.

Each answer to a live part says in a header in how many seconds the page may come again. However many pages are open,
a web process spends no more than its share on them: they slow down together, and only as far as they must.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from django.http import HttpRequest
from django.http.response import HttpResponseBase

SHARE = 0.07
"""Of one core, for each web process."""
SLOWEST = 30.0
HEADER = "Live-Seconds"
ROUTE_END = "live/"


class Pace:
    """What was spent on live parts and not yet earned. A share of each second is earned.

    As many seconds as it takes to earn it, everybody waits: with fifty pages that cost 10 ms each and a share of 0.07,
    that comes to rest at seven seconds.
    """

    def __init__(self, share: float = SHARE, slowest: float = SLOWEST) -> None:
        self._share = share
        self._slowest = slowest
        self._earned_at = 0.0
        self._lock = Lock()

    def spend(self, cost: float, now: float) -> float:
        """`cost`: seconds of a core. Returns in how many seconds the page may come again; 0: whenever it likes."""
        with self._lock:
            self._earned_at = min(max(self._earned_at, now) + cost / self._share, now + self._slowest)
            return self._earned_at - now


class LivePace:
    """Middleware, outside of all that costs: counts what live parts take, and says when to come again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.pace = Pace()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        begin = time.thread_time()
        response = self.get_response(request)
        if request.resolver_match and request.resolver_match.route.endswith(ROUTE_END):
            wait = self.pace.spend(time.thread_time() - begin, time.monotonic())
            response.headers[HEADER] = f"{wait:.1f}"
        return response
