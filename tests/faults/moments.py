"""Holding the console at a moment, from outside its code: triggers in its database.

A trigger counts how often its moment came. Once the moment that is waited for has come, whoever comes to it, then or
later, says so in its connection's name and waits for an advisory lock that the harness has, until it lets go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.faults.plan import Moment

NAMES = {Moment.CLAIM: "claim", Moment.COMMIT: "commit", Moment.VERIFY: "verify", Moment.END: "end"}

SCHEMA = """
CREATE SCHEMA faults;
CREATE TABLE faults.armed (moment text PRIMARY KEY, number bigint NOT NULL);
CREATE TABLE faults.commits (
    id bigserial PRIMARY KEY,
    job bigint NOT NULL,
    fence bigint NOT NULL,
    session int NOT NULL DEFAULT pg_backend_pid(),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE SEQUENCE faults.times_claim;
CREATE SEQUENCE faults.times_commit;
CREATE SEQUENCE faults.times_verify;
CREATE SEQUENCE faults.times_end;

CREATE FUNCTION faults.reach(reached text, job bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE times bigint := nextval(('faults.times_' || reached)::regclass);
BEGIN
    IF EXISTS (SELECT FROM faults.armed WHERE moment = reached AND number <= times) THEN
        PERFORM set_config('application_name', 'held ' || reached || ' ' || job, true);
        PERFORM pg_advisory_xact_lock_shared(hashtext(reached));
    END IF;
END $$;

CREATE FUNCTION faults.on_claim() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN PERFORM faults.reach('claim', NEW.job_id); RETURN NEW; END$$;
CREATE FUNCTION faults.on_commit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO faults.commits (job, fence) VALUES (NEW.id, NEW.fence);
    IF NEW.published > OLD.published THEN PERFORM faults.reach('commit', NEW.id); END IF;
    RETURN NEW;
END$$;
CREATE FUNCTION faults.on_verify() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN PERFORM faults.reach('verify', NEW.job_id); RETURN NEW; END$$;
CREATE FUNCTION faults.on_end() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN PERFORM faults.reach('end', NEW.id); RETURN NEW; END$$;

CREATE TRIGGER faults_claim BEFORE INSERT ON sync_attempt FOR EACH ROW EXECUTE FUNCTION faults.on_claim();
CREATE TRIGGER faults_commit BEFORE UPDATE ON sync_job FOR EACH ROW WHEN (NEW.scanned > OLD.scanned)
    EXECUTE FUNCTION faults.on_commit();
CREATE TRIGGER faults_verify BEFORE UPDATE ON sync_drift FOR EACH ROW
    WHEN (NEW.verification <> OLD.verification) EXECUTE FUNCTION faults.on_verify();
CREATE TRIGGER faults_end BEFORE UPDATE ON sync_job FOR EACH ROW
    WHEN (NEW.state = 'done' AND OLD.state <> 'done') EXECUTE FUNCTION faults.on_end();
"""


@dataclass(frozen=True, slots=True)
class Held:
    """Who waits at a moment: the job, and the port from which its process speaks to the database."""

    job: int
    port: int


class Moments:
    """The moments of one console database. `url` is its owner's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock: psycopg.Connection[Any] | None = None

    def install(self) -> None:
        with self._connected() as console:
            console.execute(SCHEMA)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(self._url, autocommit=True, application_name="faults") as console:
            yield console

    def arm(self, moment: Moment, number: int) -> None:
        """From its `number`-th coming on, from now, whoever comes to `moment` waits."""
        name = NAMES[moment]
        self._lock = psycopg.connect(self._url, autocommit=True, application_name="faults")
        self._lock.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        self._lock.execute("SELECT setval(%s::regclass, 1, false)", [f"faults.times_{name}"])
        self._lock.execute("DELETE FROM faults.armed")
        self._lock.execute("INSERT INTO faults.armed VALUES (%s, %s)", [name, number])

    def held(self) -> Held | None:
        """Somebody who waits now."""
        with self._connected() as console:
            row = console.execute(
                "SELECT split_part(application_name, ' ', 3)::bigint, client_port FROM pg_stat_activity"
                " WHERE application_name LIKE 'held %' AND wait_event = 'advisory' ORDER BY query_start LIMIT 1"
            ).fetchone()
        return Held(*row) if row else None

    def let_go(self) -> None:
        """Nobody is held any more. A database that went away has forgotten the lock already."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def commits(self, since: datetime) -> int:
        with self._connected() as console:
            row = console.execute("SELECT count(*) FROM faults.commits WHERE at >= %s", [since]).fetchone()
        assert row
        return int(row[0])

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
