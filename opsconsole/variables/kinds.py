"""What an environment variable is declared as: name, kind, default, unit, what is allowed, meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from opsconsole import env

T = TypeVar("T")
Read = Callable[[Mapping[str, str], Any], T]


@dataclass(frozen=True, slots=True)
class Variable(Generic[T]):
    """`default` and `unit` are as the reference shows them; `allowed` is empty where every value of the kind is."""

    name: str
    kind: str
    default: str
    meaning: str
    reader: Read[T]
    unit: str = ""
    allowed: str = ""
    secret: bool = False

    def read(self, default: T | None = None, environ: Mapping[str, str] = os.environ) -> T:
        """The value, `default` taking the place of the declared one. Raises ImproperlyConfigured with a sentence."""
        return self.reader(environ, default)


@dataclass(slots=True)
class Section:
    """Variables that belong together, under a heading of the reference; `before` and `after` are said around them."""

    title: str
    before: str = ""
    after: str = ""
    variables: list[Variable[Any]] = field(default_factory=list)

    def _declare(self, variable: Variable[T]) -> Variable[T]:
        self.variables.append(variable)
        return variable

    def text(
        self, name: str, default: str, meaning: str, *, shown: str = "", allowed: str = "", secret: bool = False
    ) -> Variable[str]:
        def reader(environ: Mapping[str, str], other: str | None) -> str:
            return env.text(name, default if other is None else other, environ)

        shown = shown or code(default)
        return self._declare(Variable(name, "text", shown, meaning, reader, allowed=allowed, secret=secret))

    def choice(self, name: str, default: str, meaning: str, *, allowed: tuple[str, ...]) -> Variable[str]:
        def reader(environ: Mapping[str, str], other: str | None) -> str:
            return env.choice(name, default if other is None else other, allowed, environ)

        among = ", ".join(code(one) for one in allowed)
        return self._declare(Variable(name, "choice", code(default), meaning, reader, allowed=among))

    def boolean(self, name: str, meaning: str, *, default: bool = False, shown: str = "") -> Variable[bool]:
        def reader(environ: Mapping[str, str], other: bool | None) -> bool:
            return env.boolean(name, default if other is None else other, environ)

        return self._declare(Variable(name, "boolean", shown or ("on" if default else "off"), meaning, reader))

    def integer(self, name: str, default: int, meaning: str, *, unit: str, minimum: int = 0) -> Variable[int]:
        def reader(environ: Mapping[str, str], other: int | None) -> int:
            return env.integer(name, default if other is None else other, minimum=minimum, environ=environ)

        allowed = f"{minimum} or more"
        return self._declare(Variable(name, "number", str(default), meaning, reader, unit=unit, allowed=allowed))

    def words(self, name: str, meaning: str, *, shown: str = "empty", allowed: str = "") -> Variable[list[str]]:
        def reader(environ: Mapping[str, str], other: list[str] | None) -> list[str]:
            return env.words(name, tuple(other or ()), environ)

        return self._declare(Variable(name, "list", shown, meaning, reader, allowed=allowed))

    def networks(self, name: str, meaning: str) -> Variable[list[str]]:
        allowed = "addresses and networks: `10.0.0.0/8`, `::1`"
        return self._declare(
            Variable(name, "list", "empty", meaning, lambda environ, _: env.networks(name, environ), allowed=allowed)
        )

    def reachable(self, name: str, meaning: str) -> Variable[list[str]]:
        allowed = "networks, addresses and hosts' names: `10.0.0.0/8`, `hooks.internal`"
        return self._declare(
            Variable(name, "list", "empty", meaning, lambda environ, _: env.reachable(name, environ), allowed=allowed)
        )

    def pairs(self, name: str, meaning: str) -> Variable[dict[str, str]]:
        return self._declare(
            Variable(name, "list", "empty", meaning, lambda environ, _: env.pairs(name, environ), allowed="`this=that`")
        )

    def time_of_day(self, name: str, default: str, meaning: str) -> Variable[time | None]:
        return self._declare(
            Variable(
                name,
                "time",
                code(default),
                meaning,
                lambda environ, _: env.time_of_day(name, default, environ),
                allowed="a time of day, or empty",
            )
        )

    def zone(self, name: str, default: str, meaning: str) -> Variable[ZoneInfo]:
        return self._declare(
            Variable(
                name,
                "zone",
                code(default),
                meaning,
                lambda environ, _: env.zone(name, default, environ),
                allowed="a name such as `Europe/Paris`",
            )
        )

    def postgres(self, name: str, default: str, meaning: str) -> Variable[dict[str, object]]:
        return self._declare(
            Variable(
                name,
                "text",
                code(default),
                meaning,
                lambda environ, _: env.postgres(name, default, environ),
                allowed="what libpq takes",
                secret=True,
            )
        )


def code(value: str) -> str:
    return f"`{value}`" if value else "empty"
