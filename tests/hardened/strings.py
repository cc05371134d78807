"""The one list of hostile strings: what a text from outside may hold, and how a page that ran it would show."""

from __future__ import annotations

TAG = "x-hostile"
"""No page has such an element of its own: as an element in a page, a text became markup."""

FORMULA = "=1+1"
MARKUP = f"'\"><{TAG} onhostile=1><script>alert(1)</script><img src=x onerror=alert(2)>"
TEMPLATE = "{{ 7|add:70000 }}{% now 'Y' %}${7*10001}"
RAN_TEMPLATE = "70007"
SQL = "'; DROP TABLE sync_job; --"
OVERRIDE = "\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}"
TERMINAL = "\x1b[31m\x1b]0;owned\x07\x9b2J\x08\x7f"
LINES = "\r\nSet-Cookie: owned=1\r\n\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\x85\x0b\x0c"

HOSTILE = f"{FORMULA}<{TAG}>\x1b{OVERRIDE}{MARKUP}{TEMPLATE}{SQL}{TERMINAL}{LINES}end"
"""All of it in one, the shortest things first: a column that holds little still gets a bit of each."""

HUGE = "\N{GREEK SMALL LETTER OMEGA}" * 5_000_000
"""10 MB, by a letter that no page has."""

DANGEROUS = frozenset(
    {
        *(chr(code) for code in range(0x20) if chr(code) not in "\t\n\r"),
        *(chr(code) for code in range(0x7F, 0xA0)),
        *"\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}",
        *(chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    }
)
"""What breaks a line, moves a terminal's cursor, or shows a line in another order than it is written in."""


def dangerous_in(text: str) -> set[str]:
    return {repr(character) for character in DANGEROUS & set(text)}
