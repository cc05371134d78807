"""Logins and TLS, tried against an Apache Kafka that requires them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest

from opsconsole.demo.processes import wait_until
from opsconsole.errors import OutsideDataError, UnavailableError
from opsconsole.estate.model import Kafka, SaslMechanism, Security, SecurityProtocol
from opsconsole.kafka_login import LoginRefusedError, check_login
from sync.engine.messages import Message
from sync.estate_check.result import Status
from sync.estate_check.services import check_kafka
from sync.failures import classify
from sync.lag import LagReader
from sync.publisher import Publisher, PublishError
from tests.brokers.certificates import Authority
from tests.brokers.properties import OPEN
from tests.brokers.secured import LOGIN, MUTUAL, PASSWORD, TLS, TLS_LOGIN, SecuredKafka

pytest_plugins = ["tests.fixtures_kafka"]
# kafka-python leaves sockets of refused connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.timeout(300),  # the first test of a fresh checkout waits for Maven, too
]

MESSAGES = [Message(UUID(int=number), b"{}", ()) for number in range(1, 4)]


@pytest.fixture(autouse=True)
def collect_sockets() -> Iterator[None]:
    """Here, where the warning is expected, and not in the middle of another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def topic(secured: SecuredKafka) -> str:
    secured.cluster.create_topic("secured")
    return "secured"


def entries(secured: SecuredKafka) -> dict[str, tuple[str, Security]]:
    """Each way in that is right: the listener, and what the estate says for it."""
    ways = {f"login by {mechanism}": (LOGIN, secured.login(mechanism)) for mechanism in SaslMechanism}
    ways["login over TLS"] = (TLS_LOGIN, secured.tls_login(SaslMechanism.SCRAM_SHA_512))
    ways["TLS"] = (TLS, secured.tls())
    ways["TLS with an own certificate"] = (MUTUAL, secured.mutual())
    return ways


def lag_is(kafka: Kafka, expected: int) -> bool:
    """A broker that has met no group yet makes its topic of offsets first, and tells nothing until then."""
    with closing(LagReader(kafka)) as lag:
        try:
            return lag.read() == expected
        except UnavailableError:
            return False


def test_every_way_in_publishes_reads_the_lag_and_passes_the_estate_check(secured: SecuredKafka, topic: str) -> None:
    published = 0
    for name, (listener, security) in entries(secured).items():
        kafka = replace(secured.kafka(listener, security), topic=topic)
        with Publisher(kafka) as publisher:
            assert len(publisher.publish(MESSAGES)) == len(MESSAGES), name
        published += len(MESSAGES)
        assert wait_until(partial(lag_is, kafka, published), 30), f"{name}: nobody has taken any of them"
        assert {result.status for result in check_kafka(kafka)} == {Status.OK}, name
        with closing(LagReader(kafka)) as reader:
            assert reader.read() > 0, name


def refused(secured: SecuredKafka) -> dict[str, tuple[Kafka, str]]:
    """Each wrong way in, and what is said of it."""
    wrong_password = replace(secured.tls_login(SaslMechanism.SCRAM_SHA_256), password="wrong-s3cret")
    stranger = replace(secured.login(SaslMechanism.PLAIN), username="nobody-we-know")
    other_host = secured.kafka(TLS, secured.tls())
    other_host = replace(
        other_host, bootstrap_servers=(other_host.bootstrap_servers[0].replace("127.0.0.1", "localhost"),)
    )
    return {
        "password": (secured.kafka(TLS_LOGIN, wrong_password), "refuses the login of 'console' by SCRAM-SHA-256: "),
        "user": (secured.kafka(LOGIN, stranger), "refuses the login of 'nobody-we-know' by PLAIN: "),
        "mechanism": (
            secured.kafka(TLS_LOGIN, secured.tls_login(SaslMechanism.PLAIN)),
            "knows no login by PLAIN; it offers SCRAM-SHA-256, SCRAM-SHA-512",
        ),
        "no login wanted": (secured.kafka(OPEN, secured.login(SaslMechanism.PLAIN)), "asks for no login here"),
        "no certificate": (secured.kafka(MUTUAL, secured.tls()), "do not agree on TLS: "),
        "host": (other_host, "certificate is not valid for 'localhost'"),
        "authority": (
            secured.kafka(TLS, replace(secured.tls(), ca_file="")),
            "shows a certificate that is not trusted here (kafka.ca_file): ",
        ),
    }


def test_what_is_refused_is_told_at_once_and_not_tried_again(secured: SecuredKafka) -> None:
    for name, (kafka, sentence) in refused(secured).items():
        started = monotonic()
        with Publisher(kafka) as publisher, pytest.raises(LoginRefusedError) as caught:
            publisher.publish(MESSAGES)
        assert sentence in str(caught.value), name
        assert not classify(caught.value).transient
        assert monotonic() - started < 4, name
        with closing(LagReader(kafka)) as reader, pytest.raises(LoginRefusedError):
            reader.read()
        (result,) = check_kafka(kafka)
        assert (result.status, result.sentence) == (Status.PROBLEM, str(caught.value))
        assert PASSWORD not in result.sentence
        assert "wrong-s3cret" not in result.sentence


def test_another_authority_than_the_brokers(secured: SecuredKafka, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other.pem", "Somebody else's authority")
    kafka = secured.kafka(TLS, replace(secured.tls(), ca_file=str(other.path)))
    with pytest.raises(LoginRefusedError, match=r"not trusted here \(kafka\.ca_file\): unable to get local issuer"):
        check_login(kafka)
    with pytest.raises(LoginRefusedError, match="not trusted"):  # the host's name does not matter, the authority does
        check_login(replace(kafka, security=replace(kafka.security, check_hostname=False)))


def test_a_name_that_is_not_checked(secured: SecuredKafka) -> None:
    kafka, _ = refused(secured)["host"]
    check_login(replace(kafka, security=replace(kafka.security, check_hostname=False)))


def test_a_certificate_that_is_gone_since_the_estate_was_read(secured: SecuredKafka) -> None:
    kafka = secured.kafka(TLS, replace(secured.tls(), ca_file="/nowhere/ca.pem"))
    with pytest.raises(OutsideDataError, match="certificates that the estate names for Kafka cannot be read"):
        check_login(kafka)


def test_a_broker_that_is_away_may_come_back(secured: SecuredKafka) -> None:
    """Only a refusal is for good. The first server of the list need not answer where the second does."""
    kafka = secured.kafka(LOGIN, replace(secured.login(SaslMechanism.PLAIN), password="wrong"))
    away = replace(kafka, bootstrap_servers=("127.0.0.1:1",))
    check_login(away)
    with Publisher(away) as publisher, pytest.raises(PublishError, match="did not answer"):
        publisher.publish(MESSAGES)
    with pytest.raises(LoginRefusedError):
        check_login(replace(kafka, bootstrap_servers=("127.0.0.1:1", *kafka.bootstrap_servers)))


def test_an_open_listener_is_not_asked(secured: SecuredKafka) -> None:
    check_login(Kafka(("127.0.0.1:1",), "any", "nobody", security=Security(SecurityProtocol.PLAINTEXT)))
