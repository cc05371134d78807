"""A rate that holds for all processes together: a bucket of tokens in the console's database."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from sync.models import RateBucket
from sync.throttle.decision import Bucket, Rate, available, seconds_until


def reserve(rates: Sequence[Rate], messages: int) -> float:
    """Take `messages` from the bucket of each rate, or from none. Seconds until it is worth asking again; 0: taken.

    One short transaction of two statements; the rows are locked in the order of their names, so two jobs under the same
    rates cannot wait for each other. A bucket that is not there yet starts empty. Time is the database's.
    """
    ordered = sorted(rates, key=lambda rate: rate.name)
    with transaction.atomic():
        buckets = _locked([rate.name for rate in ordered])
        tokens = [available(buckets[rate.name], rate.per_second) for rate in ordered]
        wait = max(seconds_until(messages, have, r.per_second) for have, r in zip(tokens, ordered, strict=True))
        if not wait:
            _write([rate.name for rate in ordered], [have - messages for have in tokens])
    return wait


def _locked(names: list[str]) -> dict[str, Bucket]:
    query = (
        "SELECT name, tokens, extract(epoch FROM clock_timestamp() - refilled_at)::float8 FROM sync_ratebucket"
        " WHERE name = ANY(%s) ORDER BY name FOR UPDATE"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [names])
        rows = cursor.fetchall()
        if len(rows) < len(names):
            RateBucket.objects.bulk_create([RateBucket(name=name) for name in names], ignore_conflicts=True)
            cursor.execute(query, [names])
            rows = cursor.fetchall()
    return {name: Bucket(tokens, age) for name, tokens, age in rows}


def _write(names: list[str], tokens: list[float]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sync_ratebucket b SET tokens = left_over.tokens, refilled_at = clock_timestamp()"
            " FROM unnest(%s::text[], %s::float8[]) left_over(name, tokens) WHERE b.name = left_over.name",
            [names, tokens],
        )
