"""The audit log can be added to and read, nothing else, and its rows are chained: the database itself sees to both.

A row is chained when its transaction commits, by deferred triggers, so that nobody holds the lock of the chain while
waiting for anything else: the first trigger only marks the row, which queues the second behind every other deferred
check, such as those of foreign keys, which may wait for rows of others.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION opsconsole_audit_hash(e opsconsole_auditentry, place bigint, previous text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        place, previous, e.id, (extract(epoch FROM e.at) * 1000000)::bigint, e.actor, e.actor_user_id, e.token_id,
        e.door, e.address, e.elevation, e.action, e.subject, e.reason, e.ticket, e.trace_id, e.before, e.after,
        e.details)::text, 'UTF8')), 'hex')
$$;
CREATE FUNCTION opsconsole_audit_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE opsconsole_auditentry SET hash = 'marked' WHERE id = NEW.id;
    RETURN NULL;
END
$$;
CREATE FUNCTION opsconsole_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place bigint := 0;
    previous text := repeat('0', 64);
    head record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('opsconsole.audit'));
    SELECT position, hash INTO head FROM opsconsole_auditentry
        WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT position, hash INTO head FROM opsconsole_auditanchor ORDER BY position DESC LIMIT 1;
    END IF;
    IF FOUND THEN
        place := head.position;
        previous := head.hash;
    END IF;
    UPDATE opsconsole_auditentry e
        SET position = place + 1, previous_hash = previous, hash = opsconsole_audit_hash(e, place + 1, previous)
        WHERE id = NEW.id;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER opsconsole_auditentry_mark AFTER INSERT ON opsconsole_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION opsconsole_audit_mark();
CREATE CONSTRAINT TRIGGER opsconsole_auditentry_chain AFTER UPDATE ON opsconsole_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.hash = 'marked') EXECUTE FUNCTION opsconsole_audit_chain();

CREATE FUNCTION opsconsole_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    chained CONSTANT text[] := ARRAY['position', 'previous_hash', 'hash'];
BEGIN
    IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1 AND OLD.hash IN ('', 'marked')
            AND to_jsonb(NEW) - chained = to_jsonb(OLD) - chained THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF OLD.position <= (SELECT max(position) FROM opsconsole_auditanchor) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER opsconsole_auditentry_append_only BEFORE UPDATE OR DELETE ON opsconsole_auditentry
    FOR EACH ROW EXECUTE FUNCTION opsconsole_auditentry_refuse();
CREATE TRIGGER opsconsole_auditentry_no_truncate BEFORE TRUNCATE ON opsconsole_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION opsconsole_auditentry_refuse();

CREATE FUNCTION opsconsole_auditanchor_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'anchors of the audit log stay: % is refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT EXISTS (SELECT FROM opsconsole_auditentry e WHERE e.position = NEW.position AND e.hash = NEW.hash
                   AND e.at < now() - interval '30 days') THEN
        RAISE EXCEPTION 'an anchor of the audit log names an entry older than 30 days, with its hash'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER opsconsole_auditanchor_keep BEFORE INSERT OR UPDATE OR DELETE ON opsconsole_auditanchor
    FOR EACH ROW EXECUTE FUNCTION opsconsole_auditanchor_keep();
CREATE TRIGGER opsconsole_auditanchor_no_truncate BEFORE TRUNCATE ON opsconsole_auditanchor
    FOR EACH STATEMENT EXECUTE FUNCTION opsconsole_auditanchor_keep();
"""
DROP = """
DROP TRIGGER opsconsole_auditanchor_no_truncate ON opsconsole_auditanchor;
DROP TRIGGER opsconsole_auditanchor_keep ON opsconsole_auditanchor;
DROP FUNCTION opsconsole_auditanchor_keep();
DROP TRIGGER opsconsole_auditentry_no_truncate ON opsconsole_auditentry;
DROP TRIGGER opsconsole_auditentry_append_only ON opsconsole_auditentry;
DROP FUNCTION opsconsole_auditentry_refuse();
DROP TRIGGER opsconsole_auditentry_chain ON opsconsole_auditentry;
DROP TRIGGER opsconsole_auditentry_mark ON opsconsole_auditentry;
DROP FUNCTION opsconsole_audit_chain();
DROP FUNCTION opsconsole_audit_mark();
DROP FUNCTION opsconsole_audit_hash(opsconsole_auditentry, bigint, text);
"""


class Migration(migrations.Migration):
    dependencies = [("opsconsole", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, DROP)]
