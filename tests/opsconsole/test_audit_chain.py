"""The audit log as a chain: whole after any number of writers at once, and every kind of tampering is named."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from opsconsole.audit import CLOCK, record
from opsconsole.auditing import chain, retention
from opsconsole.errors import UsageError
from opsconsole.models import AuditAnchor, AuditEntry, Lease

LOOSE_INSERT = (
    "INSERT INTO opsconsole_auditentry (actor, door, address, action, subject, reason, details, elevation, ticket, "
    "previous_hash, hash) VALUES ('eve', 'page', '', 'x', 'y', '', '{}', '', '', '', '')"
)
REHASHED = "UPDATE opsconsole_auditentry e SET hash = opsconsole_audit_hash(e, 2, previous_hash) WHERE position = 2"
pytest_plugins = ["tests.fixtures_sync"]
NASTY = {"text": 'quotes " and \\ and \u202e and ☃', "float": 1e22, "empty": None, "list": [1.50, True, {}]}


def write(count: int, **fields: Any) -> None:
    for number in range(count):
        record(CLOCK, "thing.done", f"thing:{number}", reason="of course", **fields)


def write_elsewhere() -> None:
    write(1)
    connections.close_all()


@contextmanager
def without_triggers() -> Iterator[None]:
    """As whoever owns the database could."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opsconsole_auditentry DISABLE TRIGGER USER")
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE opsconsole_auditentry ENABLE TRIGGER USER")


def command(*arguments: str) -> tuple[int, dict[str, object]]:
    out, status = io.StringIO(), 0
    try:
        call_command("audit", *arguments, "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return status, json.loads(out.getvalue().splitlines()[-1])


@pytest.fixture
def log(committed: None) -> Iterator[None]:
    """An empty audit log with real commits; anchors are gone afterwards, too."""
    yield
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opsconsole_auditanchor DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM opsconsole_auditanchor")
        cursor.execute("ALTER TABLE opsconsole_auditanchor ENABLE TRIGGER USER")


@pytest.mark.usefixtures("log")
class TestChain:
    def test_each_row_carries_the_hash_of_the_one_before(self) -> None:
        with transaction.atomic():
            write(3, **NASTY)
        write(2, before={"limit": 1}, after={"limit": 2})
        rows = list(AuditEntry.objects.order_by("position"))
        assert [row.position for row in rows] == [1, 2, 3, 4, 5]
        assert [row.previous_hash for row in rows] == [chain.FIRST_HASH, *(row.hash for row in rows[:-1])]
        verdict = chain.verify()
        assert (verdict.checked, verdict.broken, verdict.head.hash) == (5, "", rows[-1].hash)

    def test_an_act_that_is_rolled_back_leaves_no_gap(self) -> None:
        write(1)
        with transaction.atomic():
            write(1)
            transaction.set_rollback(True)
        write(1)
        assert (chain.verify().checked, chain.verify().broken) == (2, "")

    def test_writers_at_once_make_one_chain(self) -> None:
        def act() -> None:
            for _ in range(10):
                with transaction.atomic():
                    write(2)
            connections.close_all()

        threads = [threading.Thread(target=act) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (chain.verify().checked, chain.verify().broken) == (120, "")

    def test_an_act_in_the_middle_holds_up_nobody(self) -> None:
        with transaction.atomic():
            write(1)
            other = threading.Thread(target=write_elsewhere)
            other.start()
            other.join(timeout=10)
            assert not other.is_alive()
        assert (chain.verify().checked, chain.verify().broken) == (2, "")

    @pytest.mark.parametrize(
        ("tamper", "named"),
        [
            ("UPDATE opsconsole_auditentry SET reason = 'another' WHERE position = 3", "was changed"),
            ("UPDATE opsconsole_auditentry SET details = '{\"a\": 1}' WHERE position = 3", "was changed"),
            ("UPDATE opsconsole_auditentry SET at = at - interval '1 microsecond' WHERE position = 3", "was changed"),
            ("DELETE FROM opsconsole_auditentry WHERE position = 3", "position 4 follows position 2"),
            (LOOSE_INSERT, "is not in the chain"),
        ],
    )
    def test_tampering_is_named(self, tamper: str, named: str) -> None:
        write(5)
        with without_triggers(), connection.cursor() as cursor:
            cursor.execute(tamper)
        status, said = command("verify")
        assert status == 1
        assert named in str(said["broken"])

    def test_a_row_written_anew_breaks_the_next(self) -> None:
        write(4)
        with without_triggers(), connection.cursor() as cursor:
            cursor.execute("UPDATE opsconsole_auditentry SET reason = 'another' WHERE position = 2")
            cursor.execute(REHASHED)
        assert "position 3 does not follow" in chain.verify().broken

    def test_a_noted_head_shows_what_was_cut_off_the_end(self) -> None:
        write(4)
        head = str(command("verify")[1]["head"])
        write(1)
        assert command("verify", "--expect", head)[0] == 0
        with without_triggers():
            AuditEntry.objects.filter(position__gte=4).delete()
        assert (command("verify")[0], command("verify", "--expect", head)[0]) == (0, 1)
        assert command("verify", "--expect", "4:no")[0] == 2

    def test_checks_of_foreign_keys_that_wait_cannot_deadlock(self) -> None:
        """One act writes its audit row, then a row that refers to what another act has locked; both commit."""
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS chain_child (parent varchar(50) REFERENCES opsconsole_lease DEFERRABLE "
                "INITIALLY DEFERRED)"
            )
        Lease.objects.create(name="parent", expires_at=timezone.now(), beat_at=timezone.now())
        locked, errors = threading.Event(), []

        def holder() -> None:
            try:
                with transaction.atomic():
                    Lease.objects.select_for_update().get(name="parent")
                    locked.set()
                    wait_until_blocked()
                    write(1)
            except Exception as error:  # noqa: BLE001  (the assertion below shows it)
                errors.append(error)
            connections.close_all()

        thread = threading.Thread(target=holder)
        thread.start()
        locked.wait(10)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                write(1)
                cursor.execute("INSERT INTO chain_child VALUES ('parent')")
            thread.join()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE chain_child")
        assert errors == []
        assert (chain.verify().checked, chain.verify().broken) == (2, "")


def wait_until_blocked() -> None:
    """Until another transaction waits for one of ours, or ten seconds have passed."""
    end = timezone.now() + timedelta(seconds=10)
    with connection.cursor() as cursor:
        while timezone.now() < end:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
            )
            if cursor.fetchone()[0]:
                return


@pytest.mark.usefixtures("log")
class TestRetention:
    @pytest.fixture(autouse=True)
    def old(self, log: None) -> None:
        for days in (100, 90, 80):
            AuditEntry.objects.create(
                actor="ada", door="page", action="x", subject="y", at=timezone.now() - timedelta(days=days)
            )
        write(2)

    def test_what_is_left_stays_checkable(self) -> None:
        done = retention.cut(60, CLOCK, "tidy", timezone.now())
        assert (done.entries, done.head and done.head.position) == (3, 3)
        verdict = chain.verify()
        assert (verdict.checked, verdict.broken) == (3, "")
        assert AuditEntry.objects.order_by("-pk")[0].action == "audit.cut_off"
        assert retention.cut(60, CLOCK, "again", timezone.now()).entries == 0

    def test_the_newest_entry_stays_so_that_the_chain_goes_on(self) -> None:
        with without_triggers():
            AuditEntry.objects.filter(position__gte=4).delete()
        assert retention.cut(30, CLOCK, "tidy", timezone.now()).entries == 2
        write(1)
        assert (chain.verify().checked, chain.verify().broken) == (3, "")

    def test_an_anchor_without_its_entries_going_is_not_enough_to_remove_more(self) -> None:
        retention.cut(60, CLOCK, "tidy", timezone.now())
        with pytest.raises(IntegrityError, match="append-only"):
            AuditEntry.objects.filter(position=4).delete()

    @pytest.mark.parametrize("position", [4, 99])
    def test_the_database_takes_no_anchor_of_what_is_young_or_not_there(self, position: int) -> None:
        row = AuditEntry.objects.filter(position=position).first()
        with pytest.raises(IntegrityError, match="older than 30 days"):
            AuditAnchor.objects.create(position=position, hash=row.hash if row else "0" * 64, made_by="eve")

    @pytest.mark.parametrize("change", [AuditAnchor.objects.all().delete, lambda: AuditAnchor.objects.update(hash="")])
    def test_anchors_stay(self, change: Callable[[], object]) -> None:
        retention.cut(60, CLOCK, "tidy", timezone.now())
        with pytest.raises(IntegrityError, match="anchors"):
            change()

    def test_what_is_not_whole_is_not_cut(self) -> None:
        with without_triggers():
            AuditEntry.objects.filter(position=2).update(reason="another")
        with pytest.raises(UsageError, match=r"not whole.*was changed"):
            retention.cut(60, CLOCK, "tidy", timezone.now())

    @pytest.mark.parametrize(("days", "reason"), [(29, "why"), (60, " ")])
    def test_it_asks_for_enough_days_and_a_reason(self, days: int, reason: str) -> None:
        with pytest.raises(UsageError):
            retention.cut(days, CLOCK, reason, timezone.now())
        assert command("cut", "--keep-days", str(days), "--reason", reason)[0] == 2
