"""How log lines are written: for people or as JSON, each with its trace id, none with a secret."""

from __future__ import annotations

import logging
import re
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from opsconsole import trace
from opsconsole.visible import one_line, visible

NO_TRACE = "-"
HIDDEN = "…"
SECRETS = (
    (re.compile(r"(?<=://)[^\s/@:]*:[^\s@]+(?=@)"), HIDDEN),
    (re.compile(r"\bops_[\w-]{8,}"), f"ops_{HIDDEN}"),
    (re.compile(r"(?i)(?<=bearer )[^\s'\"]+"), HIDDEN),
    (re.compile(r"(?i)\b(password|secret|token|api_key)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;)]+"), rf"\1\2{HIDDEN}"),
)


def without_secrets(text: str) -> str:
    """The text with addresses' passwords, tokens and the like hidden: libraries put them into their errors."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class TraceFilter(logging.Filter):
    """Gives each record the trace id of what is going on."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.trace_id = str(trace.current() or NO_TRACE)
        return True


class LineFormatter(logging.Formatter):
    """One line a message, whatever texts from outside are in it; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        return one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return visible(without_secrets(super().format(record)))


class JsonLineFormatter(JsonFormatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, `trace_id`, and `exc_info` where there is one."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s %(levelname)s %(name)s %(message)s %(trace_id)s",
            rename_fields={"asctime": "at", "levelname": "level", "name": "logger"},
            reserved_attrs=RESERVED,
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Before it is written as JSON: afterwards a secret's end could be the JSON's, too."""
        return {name: without_secrets(value) if isinstance(value, str) else value for name, value in log_data.items()}


RESERVED = [*vars(logging.makeLogRecord({})), "message", "asctime", "request", "server_time", "status_code"]
"""What a record carries that is no part of its message; Django's are whole requests."""
