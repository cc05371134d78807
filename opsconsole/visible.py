"""Texts from outside as they are shown: characters that break a line, move a terminal's cursor or reorder what is
read are written as signs that can be seen. What is stored, and what programs get as JSON, stays as it came."""

from __future__ import annotations

import re

_PICTURES = 0x2400
"""Unicode has a picture of each control character from here on: ESC is shown as ␛."""

# Marks that hold for a single character (U+200E, U+200F) are part of ordinary names and stay.
_REORDERS = "\u202a-\u202e\u2066-\u2069"
_BREAKS = "\u2028\u2029"
_INVISIBLE = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_BREAKS}{_REORDERS}]|\r(?!\n)")
_NO_LINE = re.compile(rf"[\x00-\x08\x0a-\x1f\x7f-\x9f{_BREAKS}{_REORDERS}]")


def visible(text: str) -> str:
    """The text with its lines and tabs, and everything else that cannot be seen as a sign."""
    return _INVISIBLE.sub(_sign, text)


def one_line(text: str) -> str:
    """The same, and its line ends as signs, too: for cells, log lines and lists with one text a line."""
    return _NO_LINE.sub(_sign, text)


def cut(text: str, most: int) -> str:
    """At most so many characters; where there were more, the last one says so."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:  # noqa: PLR2004  (the control characters of ASCII)
        return chr(_PICTURES + code)
    return "\N{SYMBOL FOR DELETE}" if found.group() == "\x7f" else f"\\u{code:04x}"
