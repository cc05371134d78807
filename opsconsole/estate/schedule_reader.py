"""`[[scheduled_jobs]]`: what the clock starts by itself, and what has to have succeeded before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from opsconsole.due import BadScheduleError, parse_cron, parse_interval
from opsconsole.estate.fields import Fields, nearest
from opsconsole.estate.model import CatchUp, HttpCall, Overlap, ScheduledJob
from opsconsole.outgoing.urls import is_address

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
LONGEST_NAME = 60
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
LOWEST_STATUS, HIGHEST_STATUS = 100, 599
MINUTE, DAY = 60.0, 86_400.0
MOST_RETRIES = 10
ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def scheduled_jobs(top: Fields) -> tuple[ScheduledJob, ...]:
    """All scheduled jobs, in the order of the file."""
    tables = top.tables("scheduled_jobs")
    found = tuple(_scheduled_job(fields) for fields in tables)
    names = Counter(one.name for one in found if one.name)
    cycles = in_cycles({one.name: one.after for one in found})
    for fields, one in zip(tables, found, strict=True):
        if names[one.name] > 1:
            fields.mistake("name", f"is {one.name!r}, which is used more than once; each job has a name of its own.")
        for unknown in (name for name in one.after if name not in names):
            fields.mistake("after", f"names {unknown!r}, which is no scheduled job{nearest(unknown, names)}.")
        if one.name in cycles:
            chain = " → ".join(cycles[one.name])
            fields.mistake("after", f"makes a circle, in which each job would wait for ever: {chain}.")
    return found


def in_cycles(after: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Each job that waits for itself, over however many others, with one way round: `a → b → a`. Pure."""
    return {name: way for name in after if (way := _way_back(name, after))}


def _way_back(name: str, after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for before in after.get(way[-1], ()):
            if before == name:
                return (*way, name)
            if before not in seen:
                seen.add(before)
                ways.append((*way, before))
    return ()


def _scheduled_job(fields: Fields) -> ScheduledJob:
    default = ScheduledJob(name="")
    cron, zone, every = schedule(fields, default.zone, "every")
    operation, http = _action(fields)
    found = ScheduledJob(
        name=name_in_addresses(fields),
        description=fields.plain("description"),
        cron=cron,
        zone=zone,
        every=every,
        operation=operation,
        parameters=fields.anything("parameters"),
        http=http,
        critical=fields.boolean("critical", default.critical),
        grace=fields.duration("grace", default.grace, minimum=1, maximum=30 * DAY),
        time_limit=fields.duration("time_limit", default.time_limit, minimum=1, maximum=7 * DAY),
        retries=fields.durations("retries", default.retries, most=MOST_RETRIES, maximum=7 * DAY),
        catch_up=fields.choice("catch_up", CatchUp, default.catch_up) or default.catch_up,
        recovery_window=fields.duration("recovery_window", default.recovery_window, minimum=MINUTE, maximum=30 * DAY),
        overlap=fields.choice("overlap", Overlap, default.overlap) or default.overlap,
        after=fields.words("after"),
        owner=fields.plain("owner"),
        channels=fields.words("channels"),
    )
    fields.end()
    return found


def name_in_addresses(fields: Fields) -> str:
    name = fields.text("name", needed="a name for addresses")
    if name and (not NAME.fullmatch(name) or len(name) > LONGEST_NAME):
        fields.mistake(
            "name",
            f"is {name[:80]!r}; allowed are small letters, digits, - and _, a letter or digit first, at most 60.",
        )
    return name


def schedule(fields: Fields, default_zone: str, interval: str) -> tuple[str, str, float | None]:
    """Cron expression, zone and the key `interval` in seconds; what is not given is empty, or None."""
    cron = fields.text("cron", "", needed="a cron expression")
    zone = fields.text("zone", default_zone, needed="a time zone")
    every = fields.duration(interval, 0.0, minimum=1, maximum=366 * DAY)
    if bool(cron) == bool(every):
        which = f"together with `{interval}`" if cron else f"missing, and so is `{interval}`"
        fields.mistake("cron", f"is {which}; exactly one of the two is needed.")
    try:
        if cron:
            cron = parse_cron(cron, zone).expression
        elif every:
            parse_interval(timedelta(seconds=every), ANY_DAY)
    except BadScheduleError as error:
        fields.mistake("cron" if cron else interval, f"cannot be used: {error}")
    return cron, zone, every or None


def _action(fields: Fields) -> tuple[str, HttpCall | None]:
    operation = fields.text("operation", "", needed="the name of an operation")
    table = fields.optional_table("http")
    http = _http(table) if table else None
    if bool(operation) == (http is not None):
        which = "together with `http`" if operation else "missing, and so is `http`"
        fields.mistake("operation", f"is {which}; exactly one of the two is needed.")
    if http is not None:
        fields.useless(["parameters"], "`operation`")
    return operation, http


def _http(fields: Fields) -> HttpCall:
    url = fields.text("url", needed="an address")
    if url and not is_address(url):
        fields.mistake("url", f"is {url[:80]!r}; allowed is an address that begins with http:// or https://.")
    status = fields.integer("expected_status", 0, minimum=LOWEST_STATUS, maximum=HIGHEST_STATUS)
    method = fields.one_of("method", METHODS, "POST")
    call = HttpCall(url, method, fields.variables("headers_env"), fields.plain("body"), status or None)
    fields.end()
    return call
