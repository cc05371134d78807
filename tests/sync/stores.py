"""Tables of tasks for adapter tests: a schema of their own in the embedded PostgreSQL, dropped at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from opsconsole.estate import model
from opsconsole.keys import Key, KeyKind

_numbers = itertools.count(1)

COLUMN_TYPES = {KeyKind.UUID: "uuid", KeyKind.INTEGER: "bigint", KeyKind.TEXT: "text"}


@dataclass(frozen=True)
class Store:
    """`url` is a superuser's: adapters make their connections read-only by themselves."""

    url: str
    schema: str

    def table(self, name: str) -> tuple[str, str]:
        return (self.schema, name)

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            connection.execute(statement, values or None)

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                    sql.Identifier(self.schema, table),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(sql.Placeholder() * len(row)),
                ),
                list(row.values()),
            )


@contextmanager
def temporary_store(admin_url: str) -> Iterator[Store]:
    """Keeps no connection: the one that made it may be gone by the end, where a test restarts the server."""
    store = Store(admin_url, f"Test Store {next(_numbers)}")
    drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(store.schema))
    create = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(store.schema))
    _run(admin_url, drop, create)
    try:
        yield store
    finally:
        _run(admin_url, drop)


def _run(admin_url: str, *statements: sql.Composed) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def key_of(kind: KeyKind, number: int) -> Key:
    """Different keys whose order is not the order of `number`."""
    scattered = (number * 2_654_435_761) % 2**32
    match kind:
        case KeyKind.UUID:
            return UUID(int=scattered << 96 | number)
        case KeyKind.INTEGER:
            return scattered - 2**31
        case KeyKind.TEXT:
            return f"{'aBzZéÄ中😀ß_'[number % 10]}{scattered:x}{',% +&#'[number % 6]}{number}"


def estate_of(source: model.Source, index: model.Index, kafka: model.Kafka | None = None) -> model.Estate:
    return model.Estate(source, index, kafka or model.Kafka(("127.0.0.1:1",), "nowhere", "nobody"))
