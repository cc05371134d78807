"""The audit log can be added to and read, nothing else: the database itself refuses, whoever asks."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION opsconsole_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER opsconsole_auditentry_append_only BEFORE UPDATE OR DELETE ON opsconsole_auditentry
    FOR EACH ROW EXECUTE FUNCTION opsconsole_auditentry_refuse();
CREATE TRIGGER opsconsole_auditentry_no_truncate BEFORE TRUNCATE ON opsconsole_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION opsconsole_auditentry_refuse();
"""
ALLOW = """
DROP TRIGGER opsconsole_auditentry_no_truncate ON opsconsole_auditentry;
DROP TRIGGER opsconsole_auditentry_append_only ON opsconsole_auditentry;
DROP FUNCTION opsconsole_auditentry_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("opsconsole", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, ALLOW)]
