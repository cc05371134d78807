"""The demonstration's estate file: what an operator would write for a company like this one."""

from __future__ import annotations

from pathlib import Path

TEXT = """\
# The demonstration's estate, written at each start. Your own starts from estate.example.toml.
[source]
url_env = "SOURCE_DATABASE_URL"
id_prefix = "s-"
statement_timeout = "30s"

[source.organizations]
table = "organizations"
id = "id"
id_type = "uuid"
name = "name"

[source.tasks]
table = "tasks"
id = "id"
id_type = "uuid"
organization = "organization_id"
updated_at = "updated_at"
created_at = "created_at"
status = "status"
version = "version"
compare = ["status", "title", "assignee_id", "due_at"]
deleted = "deleted_at IS NOT NULL"
active = ["waiting", "in_progress"]
completed = ["completed"]

[index]
adapter = "postgres"
url_env = "INDEX_DATABASE_URL"
table = "tasks"
id = "id"
organization = "organization_id"
version = "version"
updated_at = "updated_at"

[kafka]
bootstrap_servers_env = "KAFKA_BOOTSTRAP_SERVERS"
topic = "task-updates"
consumer_group = "task-indexer"
{api_version}
[check]
settle_time = "2s"

[pipeline]
canary_every = "15s"

[[records]]
name = "uploads"
label = "Uploads"
table = "uploaded_files"
id_type = "integer"
updated_at = "updated_at"
organization = "organization_id"
title = "name"
snapshot_every = "20s"
status_prefix = "status.generic."
hidden = ["status.generic.ok", "status.generic.only_meta", "status.generic.deleted"]

[[records.statuses]]
status = "status.generic.uploaded"
tone = "waiting"
meaning = "The file has arrived; nobody has looked at it yet."
customer = "The file is listed, without a preview."
action = "If it grows, look whether the processing service takes from its queue."
limit = "30m"

[[records.statuses]]
status = "status.generic.needs_processing"
tone = "waiting"
meaning = "It waits in the queue of the processing service."
customer = "The file is listed, without a preview."
action = "Look at the high-priority queue: many messages and little activity mean that its daemon hangs. Restart it."
limit = "1h"

[[records.statuses]]
status = "status.generic.processing"
tone = "working"
meaning = "A worker makes its thumbnails."
customer = "The file opens, its thumbnails are missing."
action = "Look again in half an hour whether it comes down. If not, look for work that runs longer than two minutes."
limit = "5h"

[[records.statuses]]
status = "status.generic.needs_converting"
tone = "waiting"
meaning = "It waits for the converter."
customer = "Nothing: the file can be used."
limit = "2h"

[[records.statuses]]
status = "status.generic.converting"
tone = "working"
meaning = "A smaller copy is made for phones."
customer = "Nothing, but on phones it loads slowly."
action = "Harmless for hours. If it stays, restart the converter: what it held goes back to its queue."
limit = "1h"

[[records.statuses]]
status = "status.generic.reprocessing"
tone = "waiting"
meaning = "Processing has failed five times; it is tried once more, slowly."
customer = "The file opens, its thumbnails are missing."
action = "Look at what these files have in common: one customer, or one kind of file."
limit = "2h"

[[records.statuses]]
status = "status.generic.manual_review"
tone = "problem"
meaning = "The machine gave up; a person has to look."
customer = "A note that the file is being looked at."
action = "Go through the list oldest first; those of one customer together."
limit = "8h"

[[records.statuses]]
status = "status.generic.error"
tone = "problem"
meaning = "The file cannot be read."
customer = "An error, with the advice to upload it again."
action = "Tell the customer which file it is."
limit = "12h"

[[records.statuses]]
status = "status.generic.ok"
tone = "fine"
meaning = "All is done."

[[records.statuses]]
status = "status.generic.only_meta"
tone = "fine"
meaning = "Only its description is kept, as the customer wished."

[[records.statuses]]
status = "status.generic.deleted"
tone = "ended"
meaning = "The customer deleted it."
"""

TRACKED_TASKS = """
[[tracked_tasks]]
name = "captures"
label = "Captures"
query = "SELECT * FROM capture_states"
id = "id"
title = "name"
kind = "kind"
owner = "owner_email"
scope = "data_plane"
enabled = "disabled_at IS NULL"
has_shards = "shards > 0"
protected = "enterprise"
created_at = "created_at"
last_healthy_at = "last_primary_at"
last_data_at = "last_data_at"
restarts = "restarts"
last_error = "last_error"
changed_at = "edited_at"
healthy_within = "10s"
look_every = "10s"

[tracked_tasks.disable.sql]
url_env = "CAPTURES_DATABASE_URL"
disable = '''UPDATE captures SET disabled_at = now(), disabled_by = %(reference)s
WHERE id = %(id)s AND disabled_at IS NULL'''
enable = '''UPDATE captures SET disabled_at = NULL, disabled_by = NULL
WHERE id = %(id)s AND disabled_by = %(reference)s'''
"""

MONITOR = "upload-sweep"
SCHEDULED_JOBS = """
[[monitors]]
name = "upload-sweep"
description = "The uploads service moves files on, and says so every half minute."
period = "1m"
grace = "1m"
owner = "Support"
[[scheduled_jobs]]
name = "pulse"
description = "One small customer, compared each minute."
every = "1m"
operation = "check_organizations"
parameters = {{ organizations = ["{organization}"], mode = "report" }}
time_limit = "5m"
owner = "Support"

[[scheduled_jobs]]
name = "nightly-check"
description = "Everything that the estate names, before the night's work."
cron = "30 2 * * *"
zone = "Europe/Paris"
operation = "check_estate"
critical = true
owner = "Operations"

[[scheduled_jobs]]
name = "nightly-count"
description = "Uploads by status, for the morning."
cron = "30 2 * * *"
zone = "Europe/Paris"
operation = "record_snapshot"
parameters = {{ source = "uploads" }}
after = ["nightly-check"]
owner = "Operations"

[[scheduled_jobs]]
name = "nightly-prune"
description = "Clears away what is older than the settings keep."
cron = "30 3 * * *"
zone = "Europe/Paris"
operation = "prune"
time_limit = "2h"
owner = "Operations"
"""


def write_estate(folder: Path, kafka_api_version: str = "", organization: str = "") -> Path:
    """Write `estate.toml` into `folder` and return its path. An empty version lets the client find it out; with an
    organization's id there are tracked tasks, a monitor and scheduled jobs, one of which checks it each minute."""
    line = f'api_version = "{kafka_api_version}"\n' if kafka_api_version else ""
    path = folder / "estate.toml"
    scheduled = SCHEDULED_JOBS.format(organization=organization) if organization else ""
    tracked = TRACKED_TASKS if organization else ""
    path.write_text(TEXT.format(api_version=line) + tracked + scheduled, encoding="utf-8")
    return path
