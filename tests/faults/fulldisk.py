"""A disk that is full: the kernel's own "no space left on device", for one table of PostgreSQL.

The table's file is replaced by a link to /dev/full, so extending it fails in the server as on a full disk (SQLSTATE
53100). A trigger writes to this table, while the disk is said to be full, before anything is written to the drift.
Nobody's disk is filled, and no mount is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

TABLE = """
CREATE TABLE faults.full_disk (line text);
CREATE TABLE faults.disk_is_full (since timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION faults.write_to_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    IF EXISTS (SELECT FROM faults.disk_is_full) THEN INSERT INTO faults.full_disk VALUES ('one line'); END IF;
    RETURN NULL;
END$$;
CREATE TRIGGER faults_full_disk BEFORE INSERT ON sync_drift FOR EACH STATEMENT
    EXECUTE FUNCTION faults.write_to_disk();
"""


def prepare(url: str, admin_url: str, data_folder: Path) -> None:
    """Make the table without room. `url` is the database owner's; its server's data are in `data_folder`."""
    with psycopg.connect(url, autocommit=True) as console:
        console.execute(TABLE)
        row: tuple[Any, ...] | None = console.execute("SELECT pg_relation_filepath('faults.full_disk')").fetchone()
    assert row
    # Else recovery from a crash would make the table again, and flush its file, which a device does not do.
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("CHECKPOINT")
    file = data_folder / row[0]
    file.unlink()
    file.symlink_to("/dev/full")


def set_full(url: str, *, full: bool) -> None:
    """From now on nothing can be written to the drift; or everything can again."""
    act = "INSERT INTO faults.disk_is_full DEFAULT VALUES" if full else "DELETE FROM faults.disk_is_full"
    with psycopg.connect(url, autocommit=True) as console:
        console.execute(act)
