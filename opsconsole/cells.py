"""Cells of a CSV that a spreadsheet cannot be tricked with."""

from __future__ import annotations

import re

from opsconsole.visible import cut, one_line

# What spreadsheets run, full-width signs too. Quotes in front get one more, so that it can be taken off again.
FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


LONGEST_CELL = 32_000
"""Spreadsheets take 32,767 characters, and break longer cells into rows or refuse the file."""


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front, and is on one line; numbers stay
    numbers."""
    if not isinstance(value, str):
        return value
    text = one_line(cut(value, LONGEST_CELL))
    return f"'{text}" if FORMULA.match(text) else text


def as_written(cell: str) -> str:
    """What `safe_cell` was given, from what it gave back: the text with its line ends. Other signs stay signs."""
    text = cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell
    return text.replace("\N{SYMBOL FOR CARRIAGE RETURN}", "\r").replace("\N{SYMBOL FOR LINE FEED}", "\n")
