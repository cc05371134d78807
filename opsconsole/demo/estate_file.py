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
"""


def write_estate(folder: Path, kafka_api_version: str = "") -> Path:
    """Write `estate.toml` into `folder` and return its path. An empty version lets the client find it out."""
    line = f'api_version = "{kafka_api_version}"\n' if kafka_api_version else ""
    path = folder / "estate.toml"
    path.write_text(TEXT.format(api_version=line), encoding="utf-8")
    return path
