"""Where the demonstration's servers are, and the passwords of their roles."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

ROLES = ("postgres", "console", "company", "source_reader", "indexer", "index_reader", "capture_writer")
EMBEDDED_KAFKA_API_VERSION = "2.3"  # the only protocol version on which kafka-python and the embedded broker agree


@dataclass(frozen=True, slots=True)
class ServerAddresses:
    """URLs with passwords: nothing to print. `admin_url` is empty when no embedded PostgreSQL was needed.
    `given`: names of the environment variables that were used instead of an embedded server."""

    database_url: str
    source_url: str
    source_owner_url: str
    index_url: str
    index_owner_url: str
    admin_url: str
    redis_url: str
    kafka_bootstrap: str
    captures_url: str = ""
    kafka_api_version: str = EMBEDDED_KAFKA_API_VERSION
    given: frozenset[str] = frozenset()

    def environment(self) -> dict[str, str]:
        """As environment variables for the console's processes. The owners' URLs are not among them."""
        return {
            "DATABASE_URL": self.database_url,
            "SOURCE_DATABASE_URL": self.source_url,
            "INDEX_DATABASE_URL": self.index_url,
            "REDIS_URL": self.redis_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "CAPTURES_DATABASE_URL": self.captures_url,
        }


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only from its first moment."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def role_passwords(folder: Path) -> dict[str, str]:
    """The passwords of the database roles, kept in `secrets.json`. A role that the file does not have yet, since the
    folder is older than the role, gets one now."""
    path = folder / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {role: secrets.token_urlsafe(18) for role in ROLES if role not in kept}
    if missing:
        write_private(path, json.dumps(kept | missing))
    return kept | missing
