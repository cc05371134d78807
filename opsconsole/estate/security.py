"""How the console logs in to Kafka, and by what it knows the broker: the security keys of `[kafka]`."""

from __future__ import annotations

import ssl
from pathlib import Path

from opsconsole.estate.fields import Fields
from opsconsole.estate.model import SaslMechanism, Security, SecurityProtocol
from opsconsole.estate.tls import load_authority, load_certificate

LOGIN_KEYS = ("sasl_mechanism", "username_env", "password_env")
TLS_KEYS = ("ca_file", "certificate_file", "key_file", "key_password_env", "check_hostname")


def read_security(fields: Fields, folder: Path) -> Security:
    """Relative paths start at `folder`, the estate file's. Reads the PEM files, so that a bad one is told here."""
    protocol = fields.choice("security_protocol", SecurityProtocol, SecurityProtocol.PLAINTEXT)
    protocol = protocol or SecurityProtocol.PLAINTEXT
    mechanism, username, password = _login(fields, protocol)
    if not protocol.encrypts:
        fields.useless(TLS_KEYS, 'security_protocol = "SSL" or "SASL_SSL"')
        return Security(protocol, mechanism, username, password)
    security = Security(
        protocol,
        mechanism,
        username,
        password,
        ca_file=_path(fields, "ca_file", folder),
        certificate_file=_path(fields, "certificate_file", folder),
        key_file=_path(fields, "key_file", folder),
        key_password=fields.secret("key_password_env", required=False),
        check_hostname=fields.boolean("check_hostname", True),
    )
    _try_files(fields, security)
    return security


def _login(fields: Fields, protocol: SecurityProtocol) -> tuple[SaslMechanism | None, str, str]:
    if not protocol.logs_in:
        fields.useless(LOGIN_KEYS, 'security_protocol = "SASL_SSL" or "SASL_PLAINTEXT"')
        return None, "", ""
    mechanism = fields.choice("sasl_mechanism", SaslMechanism, None)
    return mechanism, fields.secret("username_env"), fields.secret("password_env")


def _path(fields: Fields, key: str, folder: Path) -> str:
    text = fields.text(key, "", needed="the path of a PEM file")
    return str(folder / text) if text else ""


def _try_files(fields: Fields, security: Security) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        load_authority(context, security)
    except OSError as error:
        fields.mistake("ca_file", f"names {security.ca_file}, {_trouble(error, 'certificates')}.")
    try:
        load_certificate(context, security)
    except OSError as error:
        names = " and ".join(filter(None, (security.certificate_file, security.key_file)))
        fields.mistake("certificate_file", f"gives {names}, {_trouble(error, 'a certificate with its key')}.")
    if not security.certificate_file:
        fields.useless(("key_file", "key_password_env"), "certificate_file")


def _trouble(error: OSError, what: str) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no PEM in it, or a wrong or missing key_password_env").replace("_", " ").lower()
        return f"which cannot be used as {what}: {reason}"
    return f"which cannot be read: {error.strerror}"
