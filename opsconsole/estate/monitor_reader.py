"""`[[monitors]]`: jobs that run elsewhere, and when each is expected to say so."""

from __future__ import annotations

from collections import Counter

from opsconsole.estate.fields import Fields
from opsconsole.estate.model import Monitor
from opsconsole.estate.schedule_reader import DAY, name_in_addresses, schedule

MOST_IN_A_ROW = 100


def monitors(top: Fields) -> tuple[Monitor, ...]:
    """All monitors, in the order of the file."""
    tables = top.tables("monitors")
    found = tuple(_monitor(fields) for fields in tables)
    names = Counter(one.name for one in found if one.name)
    for fields, one in zip(tables, found, strict=True):
        if names[one.name] > 1:
            fields.mistake("name", f"is {one.name!r}, which is used more than once; each has a name of its own.")
    return found


def _monitor(fields: Fields) -> Monitor:
    default = Monitor(name="")
    cron, zone, period = schedule(fields, default.zone, "period")
    found = Monitor(
        name=name_in_addresses(fields),
        description=fields.plain("description"),
        period=period,
        cron=cron,
        zone=zone,
        grace=fields.duration("grace", default.grace, minimum=1, maximum=30 * DAY),
        time_limit=fields.duration("time_limit", default.time_limit, minimum=1, maximum=30 * DAY),
        failures_to_open=fields.integer("failures_to_open", 1, minimum=1, maximum=MOST_IN_A_ROW),
        successes_to_close=fields.integer("successes_to_close", 1, minimum=1, maximum=MOST_IN_A_ROW),
        manual_resume=fields.boolean("manual_resume", default.manual_resume),
        ping_key=fields.plain("ping_key"),
        owner=fields.plain("owner"),
        channels=fields.words("channels"),
    )
    fields.end()
    return found
