"""The whole check: every system, each bounded by its own timeouts, none hiding the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial

from django.conf import settings

from opsconsole.errors import ConsoleError
from opsconsole.estate.model import Estate
from sync.estate_check.addresses import check_addresses
from sync.estate_check.records import check_record_source
from sync.estate_check.result import Result, ok, problem, warning
from sync.estate_check.services import check_console_database, check_kafka, check_redis
from sync.estate_check.stores import check_postgres_index, check_source, clock_difference
from sync.estate_check.tracked import check_tracked_source
from sync.index import open_index
from sync.index.postgres import PostgresIndex
from sync.source import Source

CLOCK_TOLERANCE = timedelta(seconds=2)


def check_estate(estate: Estate, redis_url: str) -> Iterator[Result]:
    """What every system of `estate` says, one result after the other as it is found. Raises nothing of the outside."""
    clocks: dict[str, timedelta] = {}
    yield from _told("source", lambda: _source(estate, clocks))
    yield from _told("index", lambda: _index(estate, clocks))
    for records in estate.records:
        yield from _told(f"records {records.name}", partial(check_record_source, records))
    for tracked in estate.tracked_tasks:
        yield from _told(f"tracked tasks {tracked.name}", partial(check_tracked_source, tracked))
    yield from check_addresses(estate, settings.OUTSIDE_PING_URL)
    yield from check_kafka(estate.kafka)
    yield from _with_clock("redis", check_redis(redis_url), clocks)
    yield from _with_clock("console database", check_console_database(), clocks)
    yield judge_clocks(clocks)
    yield judge_retention(estate)


def _told(name: str, check: Callable[[], Iterable[Result]]) -> Iterator[Result]:
    """A system that fails in the middle of its checks ends them with one problem."""
    try:
        yield from check()
    except ConsoleError as error:
        yield problem(name, str(error))


def _source(estate: Estate, clocks: dict[str, timedelta]) -> Iterator[Result]:
    with Source(estate.source) as source:
        yield from check_source(estate, source)
        clocks["source"] = clock_difference(source.database)


def _index(estate: Estate, clocks: dict[str, timedelta]) -> Iterator[Result]:
    with open_index(estate) as index:
        if isinstance(index, PostgresIndex):
            yield from check_postgres_index(estate, index)
            clocks["index"] = clock_difference(index.database)
        else:
            yield ok("index", f"{index.ping()}.")


def _with_clock(
    name: str, found: Iterable[tuple[Result, timedelta | None]], clocks: dict[str, timedelta]
) -> Iterator[Result]:
    for result, ahead in found:
        if ahead is not None:
            clocks[name] = ahead
        yield result


def judge_clocks(clocks: dict[str, timedelta]) -> Result:
    """Windows and the settle time are moments of the source, compared with the clock of this machine."""
    all_clocks = {"this machine": timedelta(0), **clocks}
    first, last = min(all_clocks, key=all_clocks.__getitem__), max(all_clocks, key=all_clocks.__getitem__)
    spread = all_clocks[last] - all_clocks[first]
    said = f"{last} is {spread.total_seconds():.1f} s ahead of {first}"
    if spread > CLOCK_TOLERANCE:
        return warning(
            "clocks", f"{said[:1].upper()}{said[1:]}; set the clocks, or windows and the settle time are off."
        )
    return ok("clocks", f"All clocks agree within {spread.total_seconds():.1f} s.")


def judge_retention(estate: Estate) -> Result:
    """Without the operation `prune` the console's database grows for ever."""
    jobs = [job.name for job in estate.scheduled_jobs if job.operation == "prune"]
    if not jobs:
        return warning(
            "retention",
            "No scheduled job of the estate file prunes, so old rows stay for ever, unless one that was added in the "
            "console does; estate.example.toml has one.",
        )
    return ok("retention", f"{jobs[0]} clears away what is older than the settings keep.")
