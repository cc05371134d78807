"""What texts from outside become where people read them."""

from __future__ import annotations

import pytest

from opsconsole.visible import cut, one_line, visible


@pytest.mark.parametrize(
    ("text", "shown", "on_one_line"),
    [
        (
            "Zoë\u2019s café, 東京, مرحبا\u200f",
            "Zoë\u2019s café, 東京, مرحبا\u200f",
            "Zoë\u2019s café, 東京, مرحبا\u200f",
        ),
        ("a\tb\nc", "a\tb\nc", "a\tb␊c"),
        ("a\r\nb", "a\r\nb", "a␍␊b"),
        ("a\rb", "a␍b", "a␍b"),
        ("\x1b[31m\x07\x7f", "␛[31m␇␡", "␛[31m␇␡"),
        ("\x9b2J\x85", "\\u009b2J\\u0085", "\\u009b2J\\u0085"),
        ("a\u202egpj.exe\u2028", "a\\u202egpj.exe\\u2028", "a\\u202egpj.exe\\u2028"),
    ],
)
def test_what_cannot_be_seen_is_a_sign(text: str, shown: str, on_one_line: str) -> None:
    assert (visible(text), one_line(text)) == (shown, on_one_line)


def test_a_cut_is_seen() -> None:
    assert (cut("abc", 3), cut("abcd", 3)) == ("abc", "ab…")
