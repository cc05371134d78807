"""Whether a secured broker lets this console in, asked by one connection before a client is made.

kafka-python 3.0 takes a refused login or an untrusted certificate for an outage: it tries again until its time is over
and then says that it could not bootstrap. It cannot know better: a broker answers a wrong password and hangs up, and
what arrives together with the end of a connection is thrown away unread.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from kafka import errors
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from opsconsole.errors import OutsideDataError
from opsconsole.estate.model import Kafka, SecurityProtocol
from opsconsole.kafka_client import client_settings

SECONDS = 5.0
"""For each step of the conversation with one server."""
READ_BYTES = 65_536


class LoginRefusedError(OutsideDataError):
    """The broker refuses the login, or is not the one that the estate's certificates vouch for."""


class _RefusalError(Exception):
    """What the broker refuses, as the rest of a sentence that begins with its name."""


def check_login(kafka: Kafka) -> None:
    """Raises LoginRefusedError where the first broker that answers refuses this client, or is not to be trusted.

    Returns where it lets the client in, and also where none answers: the client itself will say that. Without security
    settings it connects to nothing.
    """
    if kafka.security.security_protocol is SecurityProtocol.PLAINTEXT:
        return
    for server in kafka.bootstrap_servers:
        try:
            _log_in(server, kafka)
        except _RefusalError as refusal:
            raise LoginRefusedError(f"Kafka ({server}) {refusal}.") from refusal
        except (OSError, errors.KafkaError):
            continue
        return


def _log_in(server: str, kafka: Kafka) -> None:
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    settings = client_settings(kafka)
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        if kafka.security.security_protocol.encrypts:
            _speak_encrypted(connection, host, settings)
        else:
            _speak(connection, settings)


def _speak_encrypted(connection: socket.socket, host: str, settings: dict[str, Any]) -> None:
    try:
        with settings["ssl_context"].wrap_socket(connection, server_hostname=host.rstrip(".")) as encrypted:
            _speak(encrypted, settings)
    except (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError):
        raise  # the connection broke: that may pass
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message.rstrip(".")
        raise _RefusalError(f"shows a certificate that is not trusted here (kafka.ca_file): {reason}") from error
    except ssl.SSLError as error:
        # With TLS 1.3 a broker that wants the client's certificate says so only here, after the handshake.
        reason = (error.reason or "no reason given").replace("_", " ").lower()
        raise _RefusalError(f"and this console do not agree on TLS: {reason}") from error


def _speak(connection: socket.socket, settings: dict[str, Any]) -> None:
    conversation = _Conversation(connection)
    conversation.ask(ApiVersionsRequest(version=0))
    name = settings.get("sasl_mechanism")
    if not name:
        return
    answer = conversation.ask(SaslHandshakeRequest(mechanism=name, version=1))
    if answer.error_code == errors.UnsupportedSaslMechanismError.errno:
        offered = ", ".join(sorted(answer.mechanisms))
        raise _RefusalError(f"knows no login by {name}; it offers {offered} (kafka.sasl_mechanism)")
    if answer.error_code:
        raise _RefusalError("asks for no login here (kafka.security_protocol)")
    _authenticate(conversation, settings)


def _authenticate(conversation: _Conversation, settings: dict[str, Any]) -> None:
    mechanism = get_sasl_mechanism(settings["sasl_mechanism"])(**settings)
    while not mechanism.is_done():
        answer = conversation.ask(SaslAuthenticateRequest(mechanism.auth_bytes(), version=0))
        if answer.error_code:
            user, how = settings["sasl_plain_username"], settings["sasl_mechanism"]
            reason = (answer.error_message or errors.for_code(answer.error_code).__name__).rstrip(".")
            raise _RefusalError(f"refuses the login of {user!r} by {how}: {reason}")
        mechanism.receive(answer.auth_bytes)


class _Conversation:
    """Kafka's protocol over a connected socket, one question at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._protocol = KafkaProtocol(client_id="opsconsole-login")

    def ask(self, request: Any) -> Any:
        """The response. Raises ConnectionError where the broker hangs up, TimeoutError where it says nothing."""
        self._protocol.send_request(request)
        self._connection.sendall(self._protocol.send_bytes())
        while True:
            received = self._connection.recv(READ_BYTES)
            if not received:
                raise ConnectionResetError("the broker hung up")
            for _, response in self._protocol.receive_bytes(received):
                return response
