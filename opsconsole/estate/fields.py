"""One TOML table, read key by key: every mistake is collected, none stops the reading.

Each reader returns a usable value even after a mistake, so that one pass finds all of them; the values are thrown
away when there was any mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from textwrap import shorten
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from opsconsole import env
from opsconsole.estate import units
from opsconsole.estate.model import TableName

E = TypeVar("E", bound=StrEnum)

MOST_NAME_PARTS = 3  # database.schema.table

_TYPE_NAMES = {
    dict: "a table",
    list: "a list",
    bool: "true or false",
    str: "a text",
    int: "a number",
    float: "a number",
}


def found(value: object) -> str:
    """What the file has, short enough for one sentence."""
    if isinstance(value, (dict, list)):
        return _TYPE_NAMES[type(value)]
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return shorten(text, 80, placeholder="...")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """` (did you mean "x"?)`, or nothing where no allowed name is near."""
    matches = get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


class Fields:
    """The keys of the table at `path`; `mistakes` is shared by all tables of one file."""

    def __init__(
        self, path: str, values: Mapping[str, object], environ: Mapping[str, str], mistakes: list[str]
    ) -> None:
        self.path = path
        self._values = values
        self._environ = environ
        self._mistakes = mistakes
        self._known: list[str] = []

    def mistake(self, key: str, sentence: str) -> None:
        self._mistakes.append(f"{self._at(key)} {sentence}")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def _take(self, key: str) -> object:
        """The raw value, None where absent (TOML has no null)."""
        self._known.append(key)
        return self._values.get(key)

    def _missing(self, key: str, needed: str) -> None:
        self.mistake(key, f"is missing; {needed} is needed.")

    def _wrong(self, key: str, value: object, allowed: str) -> None:
        self.mistake(key, f"is {found(value)}; allowed is {allowed}.")

    def text(self, key: str, default: str | None = None, *, needed: str = "a text") -> str:
        """A text that is not empty. Required where `default` is None."""
        value = self._take(key)
        if value is None:
            if default is None:
                self._missing(key, needed)
            return default or ""
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            self._wrong(key, value, f"{needed} that is not empty")
            return default or ""
        return value

    def plain(self, key: str, default: str = "") -> str:
        """A text that may be empty."""
        value = self._take(key)
        if value is None or isinstance(value, str):
            return default if value is None else value
        self._wrong(key, value, "a text")
        return default

    def condition(self, key: str) -> str:
        """A piece of SQL by the estate's author: trusted, but one condition only."""
        value = self.text(key, "", needed="an SQL condition")
        if ";" in value:
            self._wrong(key, value, "one SQL condition without a semicolon")
        return value

    def choice(self, key: str, kind: type[E], default: E | None) -> E | None:
        value = self._take(key)
        allowed = ", ".join(f'"{member.value}"' for member in kind)
        if value is None:
            if default is None:
                self._missing(key, f"one of {allowed}")
            return default
        if isinstance(value, str) and value in [member.value for member in kind]:
            return kind(value)
        self.mistake(key, f"is {found(value)}; allowed are {allowed}{nearest(str(value), [m.value for m in kind])}.")
        return default

    def one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._take(key)
        if value is None or (isinstance(value, str) and value in allowed):
            return default if value is None else str(value)
        names = ", ".join(f'"{name}"' for name in allowed)
        self.mistake(key, f"is {found(value)}; allowed are {names}{nearest(str(value), allowed)}.")
        return default

    def words(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of different, non-empty texts."""
        value = self._take(key)
        if value is None:
            if required:
                self._missing(key, "a list of texts with at least one entry")
            return ()
        if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
            self._wrong(key, value, "a list of texts, none of them empty")
            return ()
        if required and not value:
            self._wrong(key, value, "a list with at least one entry")
        twice = sorted({word for word in value if value.count(word) > 1})
        if twice:
            self.mistake(key, f"names {', '.join(map(repr, twice))} more than once; each entry is allowed once.")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(key, value, "a table of texts")
            return {}
        for name, entry in value.items():
            if not isinstance(entry, str) or not entry.strip():
                self._wrong(f"{key}.{name}", entry, "a text that is not empty")
        return {name: str(entry) for name, entry in value.items()}

    def table_name(self, key: str, default: TableName | None = None) -> TableName:
        """`table`, `schema.table` or a list of the parts."""
        allowed = 'a table name: "table", "schema.table", or the parts as a list ["Schema", "Table"]'
        value = self._take(key)
        if value is None:
            if default is None:
                self._missing(key, allowed)
            return default or "missing"
        parts = value.split(".") if isinstance(value, str) else value
        if (
            isinstance(parts, list)
            and 1 <= len(parts) <= MOST_NAME_PARTS
            and all(isinstance(part, str) and part.strip() and "\0" not in part for part in parts)
        ):
            return value if isinstance(value, str) else tuple(parts)
        self._wrong(key, value, allowed)
        return default or "missing"

    def boolean(self, key: str, default: bool) -> bool:
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self._wrong(key, value, "true or false")
        return default

    def duration(self, key: str, default: float, *, minimum: float = 0.0, maximum: float = 86400.0) -> float:
        """Seconds, from "30s", "500ms", "2m", "1h" or a plain number."""
        return self._bounded(key, default, units.seconds, units.DURATION_FORMS, minimum, maximum, "seconds")

    def durations(self, key: str, default: tuple[float, ...], *, most: int, maximum: float) -> tuple[float, ...]:
        """A list of durations in seconds, which may be empty."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, list) or len(value) > most:
            self._wrong(key, value, f"a list of at most {most} durations")
            return default
        entries = Fields(self._at(key), {str(place): entry for place, entry in enumerate(value, 1)}, {}, self._mistakes)
        return tuple(entries.duration(str(place), 0.0, maximum=maximum) for place in range(1, len(value) + 1))

    def anything(self, key: str) -> dict[str, Any]:
        """A table of texts, numbers, truths, lists and tables of these: what JSON can hold."""
        value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(key, value, "a table")
            return {}
        for name, entry in value.items():
            if not _is_json(entry):
                self._wrong(f"{key}.{name}", str(entry), "a text, a number, true, false, or a list or table of these")
        return value

    def size(self, key: str, default: int, *, minimum: int, maximum: int) -> int:
        return int(self._bounded(key, default, units.size, units.SIZE_FORMS, minimum, maximum, "bytes"))

    def integer(self, key: str, default: int, *, minimum: int, maximum: int) -> int:
        return int(self._bounded(key, default, _whole, "a whole number", minimum, maximum, ""))

    def limit(self, key: str, *, maximum: int) -> int | None:
        """A whole number from 0 up; None, no limit, where it is absent."""
        value = self.integer(key, -1, minimum=0, maximum=maximum)
        return None if value < 0 else value

    def _bounded(
        self,
        key: str,
        default: float,
        read: Callable[[object], float],
        forms: str,
        minimum: float,
        maximum: float,
        unit: str,
    ) -> float:
        value = self._take(key)
        if value is None:
            return default
        try:
            number = read(value)
        except ValueError:
            self._wrong(key, value, forms)
            return default
        if not math.isfinite(number) or not minimum <= number <= maximum:
            self._wrong(key, value, f"{minimum:,g} to {maximum:,g} {unit}".strip())
            return default
        return number

    def secret(self, key: str, *, required: bool = True) -> str:
        """The value of the environment variable (or of the file in NAME_FILE) that the file names."""
        name = self.text(key, None if required else "", needed="the name of an environment variable")
        if not name:
            return ""
        try:
            value = env.text(name, "", self._environ)
        except ImproperlyConfigured as error:
            self.mistake(key, f"names {name}, which cannot be read: {error}")
            return ""
        if not value:
            self.mistake(key, f"names the environment variable {name}, which is not set; set it or {name}_FILE.")
        return value

    def variables(self, key: str) -> dict[str, str]:
        """A table of names of environment variables, each of which is set. The names, not their values."""
        named = self.mapping(key)
        entries = Fields(self._at(key), named, self._environ, self._mistakes)
        for name in named:
            entries.secret(name)
        return named

    def useless(self, keys: Iterable[str], needs: str) -> None:
        """Each of `keys` that is there is a mistake: without `needs` it would silently do nothing."""
        for key in keys:
            if self._take(key) is not None:
                self.mistake(key, f"does nothing without {needs}.")

    def table(self, key: str, *, required: bool = True) -> Fields:
        """The table below, empty after a mistake; read as if it were there, so that its own mistakes show too."""
        value = self._take(key)
        if value is None and required:
            self.mistake(key, "is missing; a table is needed.")
        elif value is not None and not isinstance(value, dict):
            self._wrong(key, value, "a table")
        if isinstance(value, dict):
            return Fields(self._at(key), value, self._environ, self._mistakes)
        return Fields(self._at(key), {}, self._environ, [])

    def optional_table(self, key: str) -> Fields | None:
        """The table below, None where it is absent."""
        table = self.table(key, required=False)
        return None if self._values.get(key) is None else table

    def tables(self, key: str) -> list[Fields]:
        """The tables of a `[[key]]`, named by their place from 1 on in messages; none where it is absent."""
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self._wrong(key, value, f"a list of tables, each written as [[{self._at(key)}]]")
            return []
        return [
            Fields(f"{self._at(key)}[{place}]", entry, self._environ, self._mistakes)
            for place, entry in enumerate(value, start=1)
        ]

    def postgres_url(self, *, required: bool = True) -> str:
        """The PostgreSQL URL in the variable that `url_env` names; empty where it is not required and not there."""
        url = self.secret("url_env", required=required)
        try:
            conninfo_to_dict(url)
        except ProgrammingError:  # its text would repeat parts of the value, which may hold a password
            self.mistake(
                "url_env", "names a variable whose value is no PostgreSQL URL (postgresql://role@host/database)."
            )
        return url

    def link(self) -> str:
        """`link`: an address with `{id}` in it. Only http and https: the link is shown to people who click it."""
        link = self.text("link", "", needed="an address with {id} in it")
        rest = link.replace("{id}", "")
        if link and (urlsplit(link).scheme not in ("http", "https") or rest == link or "{" in rest or "}" in rest):
            self.mistake(
                "link",
                f'is {link!r}; allowed is an http or https address with {{id}} in it, "https://app.example.com/{{id}}".',
            )
        return link

    def end(self) -> None:
        """Every key that nothing has read is a mistake."""
        for key in self._values:
            if key not in self._known:
                names = ", ".join(self._known)
                self.mistake(key, f"is no known key{nearest(key, self._known)}; allowed are {names}.")


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(value)
