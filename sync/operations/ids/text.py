"""From bytes and lines to one clean text. Line numbers of the result are those of the input."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from opsconsole.errors import UsageError
from opsconsole.keys import KeyKind
from sync.operations.ids.model import MOST_CHARACTERS

# Byte order marks, joiners and direction marks that travel along when a page or a mail is copied; no id has them.
INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u00ad"))
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode(data: bytes, kind: KeyKind, what: str = "The text") -> str:
    """The text of a file: UTF-8, or UTF-16 with a byte order mark. Raises UsageError.

    In an estate whose ids are plain ASCII a byte of another encoding (a name in an old spreadsheet) does no harm.
    """
    if len(data) > MOST_CHARACTERS:
        raise too_long(what)
    encoding = "utf-16" if data.startswith(WIDE_MARKS) else "utf-8"
    try:
        return data.decode(encoding, errors="strict" if kind is KeyKind.TEXT else "replace")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not {encoding.upper()} text (byte {error.start + 1:,}).") from error


def clean(lines: str | Iterable[str], what: str = "The text") -> str:
    """One text with `\\n` between lines, nothing invisible in it; each of several `lines` is one. Raises UsageError."""
    text = lines if isinstance(lines, str) else _joined(lines, what)
    if len(text) > MOST_CHARACTERS:
        raise too_long(what)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else text.translate(INVISIBLE)


def _joined(lines: Iterable[str], what: str) -> str:
    taken: list[str] = []
    size = 0
    for line in lines:
        taken.append(line.rstrip("\r\n"))
        size += len(taken[-1]) + 1
        if size > MOST_CHARACTERS + 1:
            raise too_long(what)
    return "\n".join(taken)


def too_long(what: str) -> UsageError:
    return UsageError(f"{what} is longer than {MOST_CHARACTERS // 1_000_000} MB, which is the most that is read.")
