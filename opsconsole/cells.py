"""Cells of a CSV that a spreadsheet cannot be tricked with."""

from __future__ import annotations

import re

# What spreadsheets run, full-width signs too. Quotes in front get one more, so that it can be taken off again.
FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def as_written(cell: str) -> str:
    """What `safe_cell` was given, from what it gave back."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
