"""What every Kafka client of the console is given, whatever it does: where the brokers are, and how to log in there."""

from __future__ import annotations

from typing import Any

from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import Kafka, Security
from opsconsole.estate.tls import tls_context


def client_settings(kafka: Kafka) -> dict[str, Any]:
    """Keyword arguments for KafkaProducer, KafkaConsumer and KafkaAdminClient alike. They hold the password.

    Call `kafka_login.check_login` before: kafka-python itself does not say why a broker lets nobody in. Reads the
    estate's PEM files; raises OutsideDataError where one is gone since the estate was read.
    """
    servers = {"bootstrap_servers": list(kafka.bootstrap_servers), "api_version": kafka.api_version}
    return servers | _security_settings(kafka.security)


def _security_settings(security: Security) -> dict[str, Any]:
    settings: dict[str, Any] = {"security_protocol": security.security_protocol.value}
    if security.security_protocol.encrypts:
        try:
            settings["ssl_context"] = tls_context(security)
        except OSError as error:
            raise OutsideDataError(
                f"The certificates that the estate names for Kafka cannot be read: {error}."
            ) from error
    if security.sasl_mechanism:
        settings |= {
            "sasl_mechanism": security.sasl_mechanism.value,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password,
        }
    return settings
