"""A certificate authority for one test run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

A_DAY = timedelta(days=1)


class Authority:
    """Its own certificate is at `path`, in PEM."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self._certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        path.write_bytes(_pem(self._certificate))

    def server_keystore(self, path: Path, address: str) -> Path:
        """Key and certificate of a server at an IP address, in the one file that Kafka wants."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        path.write_bytes(_key_pem(key) + _pem(self._sign(_named("broker"), key, names)))
        return path

    def client(self, path: Path, key_path: Path, name: str, password: str = "") -> tuple[Path, Path]:
        """The paths of a client's certificate and key. With a password the key is locked by it."""
        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(_pem(self._sign(_named(name), key)))
        key_path.write_bytes(_key_pem(key, password))
        return path, key_path

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - A_DAY).not_valid_after(now + A_DAY)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey, password: str = "") -> bytes:
    locked = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
