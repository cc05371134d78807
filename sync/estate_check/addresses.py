"""Addresses that the console is to call: whether they may be, and what they resolve to from here."""

from __future__ import annotations

from collections.abc import Iterator

from opsconsole.errors import UnavailableError, UsageError
from opsconsole.estate.model import Estate
from opsconsole.outgoing import addresses_of, host_and_port
from sync.estate_check.result import Result, ok, problem, warning


def check_addresses(estate: Estate, outside_ping: str) -> Iterator[Result]:
    """One result for each host and port of scheduled calls, of ways to disable, and of the outgoing ping (empty: there
    is none). Nothing is called."""
    for host, port in dict.fromkeys(map(host_and_port, filter(None, (*_urls(estate), outside_ping)))):
        yield _check(host, port)


def _urls(estate: Estate) -> Iterator[str]:
    yield from (job.http.url for job in estate.scheduled_jobs if job.http)
    for tracked in estate.tracked_tasks:
        if tracked.disable and tracked.disable.http:
            urls = tracked.disable.http.disable_url, tracked.disable.http.enable_url
            yield from (url.replace("{id}", "1") for url in urls)


def _check(host: str, port: int) -> Result:
    name = f"calls to {host}"
    try:
        return ok(name, f"It may be called, and is {', '.join(dict.fromkeys(addresses_of(host, port)))}.")
    except UsageError as error:
        return problem(name, str(error))
    except UnavailableError as error:
        return warning(name, f"{error} Where the workers run it may be.")
