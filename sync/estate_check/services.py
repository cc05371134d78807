"""Kafka, Redis and the console's own database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from kafka import KafkaAdminClient, errors

from opsconsole.estate.model import Kafka
from opsconsole.kafka_client import client_settings
from opsconsole.kafka_login import LoginRefusedError, check_login
from opsconsole.words import counted
from sync.estate_check.result import Result, ok, problem, warning

CONNECT_SECONDS = 5


def check_kafka(kafka: Kafka) -> Iterator[Result]:
    """Whether a broker answers, lets this console in, and has the topic."""
    servers = ", ".join(kafka.bootstrap_servers)
    try:
        check_login(kafka)
        admin = KafkaAdminClient(
            **client_settings(kafka),
            client_id="opsconsole-check",
            bootstrap_timeout_ms=CONNECT_SECONDS * 1000,
            request_timeout_ms=CONNECT_SECONDS * 1000,
        )
    except LoginRefusedError as error:
        yield problem("kafka", str(error))
        return
    except (errors.KafkaError, OSError) as error:
        what = f"No broker of {servers} answered within {CONNECT_SECONDS} s: {_kind(error)}"
        yield problem("kafka", f"{what}. Host, port and security_protocol must be those of one of its listeners.")
        return
    try:
        brokers = len(admin.describe_cluster()["brokers"])
        yield ok("kafka", f"{counted(brokers, 'broker')}, reached by {servers}.")
        yield _topic(kafka.topic, admin.describe_topics([kafka.topic]))
    except errors.KafkaError as error:
        yield problem("kafka", f"The broker at {servers} did not answer as needed: {_kind(error)}.")
    finally:
        admin.close()


def _topic(name: str, described: list[dict[str, Any]]) -> Result:
    topic = next((entry for entry in described if entry.get("name", entry.get("topic")) == name), None)
    partitions = topic.get("partitions", []) if topic else []
    if not topic or topic.get("error_code") or not partitions:
        return problem("kafka topic", f"There is no topic {name}, or this console may not see it.")
    leaderless = [entry for entry in partitions if entry.get("leader_id", entry.get("leader", 0)) == -1]
    if leaderless:
        return problem(
            "kafka topic",
            f"Topic {name}: {len(leaderless)} of {counted(len(partitions), 'partition')} without a leader.",
        )
    return ok("kafka topic", f"Topic {name} has {counted(len(partitions), 'partition')}, each with a leader.")


def _kind(error: Exception) -> str:
    return type(error).__name__


def check_redis(url: str) -> Iterator[tuple[Result, timedelta | None]]:
    """Whether Redis answers, and how far its clock is ahead."""
    client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS)
    settings = client.connection_pool.connection_kwargs
    where = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    try:
        with client:
            before = datetime.now(UTC)
            seconds, micros = client.time()
            server = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)
            ahead = server - (before + (datetime.now(UTC) - before) / 2)
            info: dict[str, Any] = client.info()
            yield _redis_found(where, info), ahead
    except redis.RedisError as error:
        yield problem("redis", f"Redis at {where} cannot be reached: {_kind(error)}."), None


def _redis_found(where: str, info: dict[str, Any]) -> Result:
    version = f"{info.get('server_name') or 'Redis'} {info.get('valkey_version') or info.get('redis_version')}"
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", 0) and policy != "noeviction":
        return warning("redis", f"{version} at {where} evicts keys ({policy}); set maxmemory-policy to noeviction.")
    return ok("redis", f"{version} at {where}.")


def check_console_database() -> Iterator[tuple[Result, timedelta | None]]:
    """The console's own database: version, clock, and migrations that wait."""
    try:
        with connection.cursor() as cursor:
            before = datetime.now(UTC)
            cursor.execute("SELECT current_setting('server_version'), clock_timestamp()")
            version, server = cursor.fetchone()
            ahead = server - (before + (datetime.now(UTC) - before) / 2)
        executor = MigrationExecutor(connection)
        waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        yield problem("console database", "The database of DATABASE_URL cannot be reached or used."), None
        return
    if waiting:
        yield problem("console database", f"{waiting} migrations are not applied; run manage.py migrate."), ahead
    else:
        yield ok("console database", f"PostgreSQL {version.split(' ')[0]}, all migrations applied."), ahead
