"""Listeners that ask for a login, for TLS, for both, or for the client's own certificate; and who may come in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from opsconsole.estate.model import Kafka, SaslMechanism, Security, SecurityProtocol
from tests.brokers.certificates import Authority
from tests.brokers.cluster import KafkaCluster
from tests.brokers.properties import Listener

USER, PASSWORD = "console", "s3cret-of-the-console"
LOGIN, TLS, TLS_LOGIN, MUTUAL = "LOGIN", "TLS", "TLSLOGIN", "MUTUAL"
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A broker with all four doors, and the PEM files that its clients need."""

    cluster: KafkaCluster
    authority: Path
    certificate: Path
    key: Path

    def kafka(self, listener: str, security: Security) -> Kafka:
        return Kafka(
            (self.cluster.addresses(listener),), "task-updates", "nobody", security=security, delivery_timeout=20
        )

    def login(self, mechanism: SaslMechanism) -> Security:
        return Security(SecurityProtocol.SASL_PLAINTEXT, mechanism, USER, PASSWORD)

    def tls(self) -> Security:
        return Security(SecurityProtocol.SSL, ca_file=str(self.authority))

    def tls_login(self, mechanism: SaslMechanism) -> Security:
        encrypted = replace(self.login(mechanism), security_protocol=SecurityProtocol.SASL_SSL)
        return replace(encrypted, ca_file=str(self.authority))

    def mutual(self) -> Security:
        return replace(self.tls(), certificate_file=str(self.certificate), key_file=str(self.key))


def secured_kafka(folder: Path, class_path: str) -> SecuredKafka:
    """Not started yet."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority(folder / "ca.pem", "The tests' own authority")
    both = authority.server_keystore(folder / "broker.pem", "127.0.0.1")
    certificate, key = authority.client(folder / "client.pem", folder / "client.key", USER)
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.path),
    }
    listeners = (
        Listener(LOGIN, "SASL_PLAINTEXT", _login(*SaslMechanism)),
        Listener(TLS, "SSL", tls),
        Listener(TLS_LOGIN, "SASL_SSL", tls | _login(SaslMechanism.SCRAM_SHA_256, SaslMechanism.SCRAM_SHA_512)),
        Listener(MUTUAL, "SSL", tls | {"ssl.client.auth": "required"}),
    )
    cluster = KafkaCluster(folder, class_path, listeners=listeners, users=[(USER, PASSWORD)])
    return SecuredKafka(cluster, authority.path, certificate, key)


def _login(*mechanisms: SaslMechanism) -> dict[str, str]:
    scram = f"{MODULES}.scram.ScramLoginModule required;"
    return {
        "sasl.enabled.mechanisms": ",".join(mechanisms),
        "plain.sasl.jaas.config": f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        "scram-sha-256.sasl.jaas.config": scram,
        "scram-sha-512.sasl.jaas.config": scram,
    }
