"""Who works with the console: a process that runs its commands, one a line of its input, without starting Django anew.

`python -m tests.faults.operator` reads a JSON object `{"arguments": [...], "given": "..."}` a line and answers with the
command's own JSON object, `{"error": ...}` where it failed.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import django
from django.core.management import call_command
from django.db import close_old_connections


def answer(arguments: list[str], given: str) -> dict[str, Any]:
    """One command to its end."""
    close_old_connections()
    output, errors, standard_input = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(given)
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            call_command(*arguments, "--json")
    except SystemExit as ended:
        if ended.code:
            return {"error": errors.getvalue()}
    finally:
        sys.stdin = standard_input
    result: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
    return result


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    django.setup()
    answers = sys.stdout
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answer(asked["arguments"], asked["given"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
