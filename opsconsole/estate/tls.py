"""TLS as the estate's security settings want it, for every client that speaks to Kafka."""

from __future__ import annotations

import ssl

from opsconsole.estate.model import Security


def tls_context(security: Security) -> ssl.SSLContext:
    """Reads the PEM files. Raises OSError where one cannot be read or used (ssl.SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = security.check_hostname
    load_authority(context, security)
    load_certificate(context, security)
    return context


def load_authority(context: ssl.SSLContext, security: Security) -> None:
    """The estate's own authority alone, or those of the operating system."""
    if security.ca_file:
        context.load_verify_locations(security.ca_file)
    else:
        context.load_default_certs()


def load_certificate(context: ssl.SSLContext, security: Security) -> None:
    """This client's own certificate, where it has one; the key may be in the same file."""
    if security.certificate_file:
        # Never None: OpenSSL would then ask whoever sits at the terminal for the password of a locked key.
        context.load_cert_chain(security.certificate_file, security.key_file or None, password=security.key_password)
