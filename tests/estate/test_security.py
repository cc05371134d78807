"""The security keys of `[kafka]`: what they mean, and each mistake by its name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from opsconsole.estate import EstateError
from opsconsole.estate.model import SaslMechanism, Security, SecurityProtocol
from opsconsole.estate.reader import build
from tests.brokers.certificates import Authority

EXAMPLE = Path(__file__).parents[2] / "estate.example.toml"
ENVIRON = {
    "SOURCE_DATABASE_URL": "postgresql://db/x",
    "INDEX_DATABASE_URL": "postgresql://db/y",
    "KAFKA_BOOTSTRAP_SERVERS": "k1.example.com:9093",
    "KAFKA_USERNAME": "console",
    "KAFKA_PASSWORD": "hunter2",
    "KAFKA_KEY_PASSWORD": "l0cked",
}
LOGIN = {"sasl_mechanism": "SCRAM-SHA-512", "username_env": "KAFKA_USERNAME", "password_env": "KAFKA_PASSWORD"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca.pem", "Anybody")


def read(folder: Path, **keys: Any) -> Security:
    """The security of an estate file in `folder`, with `keys` in `[kafka]`."""
    values = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    values["kafka"] |= keys
    return build(values, str(folder / "estate.toml"), ENVIRON).kafka.security


def mistakes(folder: Path, **keys: Any) -> tuple[str, ...]:
    with pytest.raises(EstateError) as caught:
        read(folder, **keys)
    return caught.value.mistakes


def test_without_keys_nothing_is_secured(tmp_path: Path) -> None:
    assert read(tmp_path) == Security()


def test_a_login_over_tls(tmp_path: Path, authority: Authority) -> None:
    security = read(tmp_path, security_protocol="SASL_SSL", ca_file="ca.pem", check_hostname=False, **LOGIN)
    assert security.security_protocol is SecurityProtocol.SASL_SSL
    assert security.sasl_mechanism is SaslMechanism.SCRAM_SHA_512
    assert (security.username, security.password) == ("console", "hunter2")
    assert security.ca_file == str(authority.path)  # relative to the estate file
    assert not security.check_hostname
    assert "hunter2" not in repr(security)


def test_the_lines_of_the_example_are_right(tmp_path: Path, authority: Authority) -> None:
    authority.client(tmp_path / "console.pem", tmp_path / "console.key", "console", password="l0cked")
    authority.path.rename(tmp_path / "kafka-ca.pem")
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("# security_protocol"))
    last = next(number for number, line in enumerate(lines) if line.startswith("# check_hostname"))
    keys = tomllib.loads("\n".join(line.removeprefix("# ") for line in lines[first : last + 1]))
    assert len(keys) == 9
    assert read(tmp_path, **keys).key_password == "l0cked"


def test_a_login_needs_its_three_keys(tmp_path: Path) -> None:
    found = mistakes(tmp_path, security_protocol="SASL_PLAINTEXT")
    assert [mistake.split()[0] for mistake in found] == [
        "kafka.sasl_mechanism", "kafka.username_env", "kafka.password_env",
    ]  # fmt: skip


def test_what_is_not_allowed_is_told_with_what_is(tmp_path: Path) -> None:
    (wrong,) = mistakes(tmp_path, security_protocol="SASL-SSL")
    assert wrong.startswith("kafka.security_protocol is 'SASL-SSL'; allowed are \"PLAINTEXT\"")
    assert 'did you mean "SASL_SSL"' in wrong
    (wrong,) = mistakes(tmp_path, security_protocol="SASL_SSL", **(LOGIN | {"sasl_mechanism": "GSSAPI"}))
    assert '"SCRAM-SHA-256"' in wrong


def test_a_key_that_would_do_nothing_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(tmp_path, ca_file="ca.pem", check_hostname=False, **LOGIN)
    assert {mistake.split()[0].removeprefix("kafka.") for mistake in found} == {"ca_file", "check_hostname", *LOGIN}
    (found_one,) = mistakes(tmp_path, security_protocol="SSL", key_file="x.key")
    assert found_one == "kafka.key_file does nothing without certificate_file."


def test_files_that_cannot_be_used_are_told_all_at_once(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.client(tmp_path / "me.pem", tmp_path / "me.key", "me", password="l0cked")
    (tmp_path / "no.pem").write_text("no certificate\n")
    told = mistakes(tmp_path, security_protocol="SSL", ca_file="gone.pem", certificate_file="no.pem")
    assert told[0] == f"kafka.ca_file names {tmp_path / 'gone.pem'}, which cannot be read: No such file or directory."
    assert told[1].startswith(f"kafka.certificate_file gives {tmp_path / 'no.pem'}, which cannot be used as ")
    # A locked key without its password must not make OpenSSL ask for it at the terminal.
    (locked,) = mistakes(tmp_path, security_protocol="SSL", certificate_file="me.pem", key_file="me.key")
    assert str(certificate) in locked
    assert str(key) in locked
