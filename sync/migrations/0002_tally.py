"""Running totals beside the jobs: whatever raises a counter of a job raises the total, in the same transaction."""

from django.db import migrations

COUNTERS = ("scanned", "stale", "missing", "orphan", "published", "verified", "unresolved", "set_aside")
DELTAS = ", ".join(f"coalesce(sum(greatest(after.{name} - before.{name}, 0)), 0) AS {name}" for name in COUNTERS)
ADDED = ", ".join(f"{name} = mine.{name} + excluded.{name}" for name in COUNTERS)

TALLY = f"""
CREATE FUNCTION sync_job_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sync_tally AS mine (backend, {", ".join(COUNTERS)})
    SELECT pg_backend_pid(), delta.* FROM (
        SELECT {DELTAS} FROM after JOIN before USING (id)
        WHERE ({", ".join(f"after.{name}" for name in COUNTERS)})
            IS DISTINCT FROM ({", ".join(f"before.{name}" for name in COUNTERS)})
    ) AS delta
    WHERE {" OR ".join(f"delta.{name} > 0" for name in COUNTERS)}
    ON CONFLICT (backend) DO UPDATE SET {ADDED};
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_job_tally AFTER UPDATE ON sync_job
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION sync_job_tally();
"""  # noqa: S608  (the names are those above)
NO_TALLY = """
DROP TRIGGER sync_job_tally ON sync_job;
DROP FUNCTION sync_job_tally();
"""


class Migration(migrations.Migration):
    dependencies = [("sync", "0001_initial")]

    operations = [migrations.RunSQL(TALLY, NO_TALLY)]
