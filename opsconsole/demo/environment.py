"""The running demonstration as a shell's environment: `eval "$(python -m opsconsole.demo.environment)"`.

Commands then go to its servers, as its web process and its workers do.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

RUNNING = Path(__file__).resolve().parents[2] / ".demo" / "running.json"


def variables(running: dict[str, Any]) -> dict[str, str]:
    """Names and values for what `running.json` says."""
    databases = running["databases"]
    return {
        "OPSCONSOLE_ENVIRONMENT": "development",
        "OPSCONSOLE_ESTATE": running["estate"],
        "DATABASE_URL": databases["console"],
        "SOURCE_DATABASE_URL": databases["source"],
        "INDEX_DATABASE_URL": databases["index"],
        "REDIS_URL": running["redis"],
        "KAFKA_BOOTSTRAP_SERVERS": running["broker"],
        "CAPTURES_DATABASE_URL": databases["captures"],
    }


def main(arguments: list[str]) -> None:
    """Print one `export` a line. The argument, where there is one, is another `running.json`."""
    path = Path(arguments[0]) if arguments else RUNNING
    try:
        running = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        sys.exit(f"There is no {path}: the demonstration does not run. Start it with make demo.")
    for name, value in variables(running).items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main(sys.argv[1:])
