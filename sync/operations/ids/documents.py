"""JSON: arrays of ids, arrays of objects that have one, objects around such an array, and one value a line."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from opsconsole.errors import UsageError
from sync.operations.ids import columns
from sync.operations.ids.collector import Collector
from sync.operations.ids.model import LONGEST_SHOWN, IdReport, IdRules, Shape

# What can only be JSON. A list of quoted words in brackets may be, and is read as a list where it is not.
SURELY = re.compile(r"\s*(?:\[\s*[\[{]|\{\s*(?:\}|\"[^\"\n]{0,200}\"\s*:))")
PERHAPS = re.compile(r"\s*[\[{]")
BLANK = re.compile(r"[\s,]*")
BLANK_OR_COLON = re.compile(r"[\s:]*")

# Numbers stay as they are written: an id of twenty digits is a malformed id, not a rounded one.
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)


@dataclass(frozen=True, slots=True)
class Element:
    line: int
    value: Any
    start: int
    end: int


def read(text: str, rules: IdRules, column: str) -> IdReport | None:
    """The ids of a JSON text; None where it is none. Raises UsageError where it is broken JSON."""
    if not PERHAPS.match(text):
        return None
    collector = Collector(rules)
    names: dict[str, None] = {}
    try:
        for element in _elements(text, rules, column):
            _take(element, text, collector, column, names)
    except json.JSONDecodeError as error:
        if not SURELY.match(text):
            return None
        raise UsageError(
            f"This is no valid JSON: line {error.lineno:,}, column {error.colno:,}: {error.msg}."
        ) from error
    except RecursionError as error:
        raise UsageError("This is no list of ids: the JSON is nested too deeply.") from error
    return collector.report(Shape.JSON, next(iter(names), ""))


def _take(element: Element, text: str, collector: Collector, column: str, names: dict[str, None]) -> None:
    value = element.value
    if isinstance(value, dict):
        name = _id_name(value, collector.rules, column)
        why = f"has no key {column!r}" if column else f"has no id of one {collector.rules.subject.one}"
        if name is not None:
            names[name] = None
            value, why = value[name], f"has no id in {name!r}"
    else:
        why = "is no id, but a list inside the list" if isinstance(value, list) else "is no id"
    if isinstance(value, str):
        collector.add(element.line, value)
    else:
        size = element.end - element.start
        collector.refuse(
            element.line, text[element.start : min(element.end, element.start + LONGEST_SHOWN + 1)], why, size
        )


def _id_name(value: dict[str, Any], rules: IdRules, column: str) -> str | None:
    """The key of the object's id: the one asked for, or the most trusted of the usual names."""
    names = list(value)
    if column:
        place = columns.by_name(names, column)
        return None if place is None else names[place]
    for usual in columns.tiers(rules):
        for name in names:
            if columns.normal(name) in usual and isinstance(value[name], str):
                return name
    return None


def _elements(text: str, rules: IdRules, column: str) -> Iterator[Element]:
    """What stands in arrays and beside each other at the top. Commas too many are let pass."""
    lines = _Lines(text)
    position = _skip(BLANK, text, 0)
    while position < len(text):
        if text[position] == "[":
            position = yield from _array(text, position, lines)
        else:
            value, end = DECODER.raw_decode(text, position)
            inside = _inner_array(text, position, value, rules, column)
            if inside is None:
                yield Element(lines.of(position), value, position, end)
            else:
                yield from _array(text, inside, lines)
            position = end
        position = _skip(BLANK, text, position)


def _array(text: str, opening: int, lines: _Lines) -> Generator[Element, None, int]:
    """The elements of the array that opens here; returns where it has ended."""
    position = _skip(BLANK, text, opening + 1)
    while text[position : position + 1] != "]":
        value, end = DECODER.raw_decode(text, position)
        yield Element(lines.of(position), value, position, end)
        position = _skip(BLANK, text, end)
        if text[position : position + 1] != "]" and "," not in text[end:position]:
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
    return position + 1


def _inner_array(text: str, opening: int, value: Any, rules: IdRules, column: str) -> int | None:
    """Where the only array inside an object opens, where the object has no id of its own (`{"data": […]}`)."""
    if not isinstance(value, dict) or _id_name(value, rules, column) is not None:
        return None
    if sum(isinstance(one, list) for one in value.values()) != 1:
        return None
    position = _skip(BLANK, text, opening + 1)
    while text[position] != "}":
        _, position = DECODER.raw_decode(text, position)
        position = _skip(BLANK_OR_COLON, text, position)
        if text[position] == "[":
            return position
        _, position = DECODER.raw_decode(text, position)
        position = _skip(BLANK, text, position)
    return None


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


class _Lines:
    """Line numbers of positions that only rise: each stretch of the text is counted once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position, self._line = 0, 1

    def of(self, position: int) -> int:
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return self._line
