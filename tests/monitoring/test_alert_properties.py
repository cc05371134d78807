"""What holds of alerts whatever happens: pure decisions, and any sequence of events with the outbox under it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring.alerts.audience import Fact, Interest, Quiet, scope_fits, told_at
from monitoring.alerts.backoff import FIRST, JITTER, LONGEST, delay
from monitoring.alerts.incidents import LEAST, is_incident
from monitoring.alerts.limits import CHANNEL_MOST, PERSON_MOST, Sent, digest_after
from monitoring.alerts.models import Alert, Notification
from monitoring.alerts.operations import holding, upkeep
from monitoring.alerts.operations.delivery import deliver
from monitoring.alerts.operations.life import fire, resolve
from tests.monitoring.alerting import DAY, HOUR, MINUTE, NOW, subscribed

pytest_plugins = ["tests.fixtures_sync"]

MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (given one)
TIMES = st.times().map(lambda one: one.replace(microsecond=0, tzinfo=None))
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"]).map(ZoneInfo)


@given(MOMENTS, TIMES, TIMES, ZONES)
def test_quiet_hours_end_and_within_a_day(now: datetime, begins: time, ends: time, zone: ZoneInfo) -> None:
    quiet = Quiet(begins, ends, zone)
    end = quiet.ends_at(now)
    if end is not None:
        assert now < end <= now + DAY + HOUR  # an hour more where the clock is put back
        assert end.astimezone(zone).time() >= ends or end.utcoffset() != now.astimezone(zone).utcoffset()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), TIMES, TIMES)), MOMENTS)
def test_what_is_critical_waits_for_nobodys_morning(wanted: list[tuple[int, int, time, time]], now: datetime) -> None:
    interests = [
        Interest(channel, frozenset(), rank, "", quiet=Quiet(begins, ends, ZoneInfo("UTC")))
        for channel, rank, begins, ends in wanted
    ]
    told = told_at(interests, Fact("run_failed", 2, "eu"), now)
    assert told == dict.fromkeys({interest.channel for interest in interests}, now)


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_scope_fits_itself_its_prefixes_and_anything(scope: str, more: str) -> None:
    assert scope_fits("", scope)
    assert scope_fits(f"{scope}*", scope + more)
    assert scope_fits(scope, scope) or scope.endswith("*")


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_wait_is_within_its_bounds_and_does_not_fall(attempts: int, chance: float) -> None:
    wait = delay(attempts, chance)
    assert FIRST <= wait <= LONGEST
    assert delay(attempts + 1, chance) >= wait
    assert wait >= min(LONGEST, delay(attempts, 0)) * (1 - JITTER)


@given(st.integers(0, 100), st.integers(0, 100), st.booleans())
def test_a_digest_gathers_where_a_limit_is_reached_and_only_there(channel: int, person: int, critical: bool) -> None:
    after = digest_after(Sent(channel, person), critical=critical)
    assert (after is None) == (channel < CHANNEL_MOST and person < PERSON_MOST)
    assert after is None or after <= (MINUTE if critical else 10 * MINUTE)


@given(st.integers(0, 1_000), st.one_of(st.none(), st.integers(0, 10_000)))
def test_an_incident_is_five_and_a_quarter_at_least(together: int, size: int | None) -> None:
    assert is_incident(together, size) == (together >= LEAST and 4 * together >= (size or 0))


SUBJECTS = ("job:a", "job:b")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["fire", "resolve", "silence", "deliver", "crash", "wait", "acknowledge"]),
        st.sampled_from(SUBJECTS),
        st.integers(1, 3_600),
    ),
    max_size=25,
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_any_sequence_of_events_tells_each_alert_once_and_never_all_fine_for_what_was_switched_off(
    events: list[tuple[str, str, int]],
) -> None:
    with transaction.atomic():
        mail.outbox.clear()
        subscribed()
        now = NOW
        for what, subject, seconds in events:
            now += timedelta(seconds=seconds)
            happen(what, subject, now)
            assert no_second_open_one()
        settle_everything(now)
        judge()
        transaction.set_rollback(True)


def happen(what: str, subject: str, now: datetime) -> None:
    match what:
        case "fire":
            fire("run_failed", subject, title=f"{subject} failed", now=now)
        case "resolve":
            resolve("run_failed", subject, now=now, because="done")
        case "silence":
            resolve("run_failed", subject, now=now, because="disabled", silently=True)
        case "deliver":
            deliver(now)
        case "crash":  # a sender that took what is due and was killed
            Notification.objects.waiting().filter(due_at__lte=now, digest__isnull=True).update(
                state="sending", lease_until=now + MINUTE
            )
        case "acknowledge":
            Alert.objects.open().filter(subject=subject).update(acknowledged_until=now + HOUR)
        case "wait":
            holding.release(now)
            upkeep.remind(now)


def no_second_open_one() -> bool:
    return max(Counter(Alert.objects.open().values_list("subject", flat=True)).values(), default=0) <= 1


def settle_everything(now: datetime) -> None:
    """Time passes until nothing is held back and nothing waits."""
    for _ in range(300):
        now += 10 * MINUTE
        holding.release(now)
        upkeep.remind(now)
        deliver(now)
        waits = Notification.objects.filter(state__in=("queued", "sending")).exists()
        if not waits and not Alert.objects.exclude(held="").exists():
            return
    raise AssertionError("something waits for ever")


def judge() -> None:
    states = set(Notification.objects.values_list("state", flat=True))
    assert states <= {"delivered", "withdrawn"}
    keys = [sent.extra_headers["Idempotency-Key"] for sent in mail.outbox]
    assert set(keys) == set(
        Notification.objects.filter(state="delivered", digest__isnull=True).values_list("key", flat=True)
    )
    for alert in Alert.objects.prefetch_related("notifications"):
        said = Counter(row.about for row in alert.notifications.all() if row.state == "delivered")
        flaps = any(event.text.startswith("Flapping") for event in alert.events.all())
        if alert.resolved_silently:
            assert not said["resolved"] + said["combined"]
        elif not flaps:
            opened = said["fired"] + said["combined"]
            assert opened == 1, (alert, said)
            assert said["resolved"] == (0 if alert.resolved_at is None or said["combined"] else 1), (alert, said)
        if said["resolved"] and not flaps:
            assert said["fired"]
