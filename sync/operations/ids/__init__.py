"""Ids in any shape: what people paste is read, looked up in the source, and given back as it is asked for.

`reader` and `output` are pure; `lookup` and `conversion` ask the source, and are imported by their own names.
"""

from sync.operations.ids.model import (
    MOST_CHARACTERS,
    MOST_IDS,
    AmbiguousColumnError,
    IdReport,
    IdRules,
    Malformed,
    Shape,
    Subject,
    TooManyIdsError,
    organization_rules,
    rules_of,
    task_rules,
)
from sync.operations.ids.output import Output, render
from sync.operations.ids.reader import read_ids, require_keys
from sync.operations.ids.text import decode

__all__ = [
    "MOST_CHARACTERS",
    "MOST_IDS",
    "AmbiguousColumnError",
    "IdReport",
    "IdRules",
    "Malformed",
    "Output",
    "Shape",
    "Subject",
    "TooManyIdsError",
    "decode",
    "organization_rules",
    "read_ids",
    "render",
    "require_keys",
    "rules_of",
    "task_rules",
]
