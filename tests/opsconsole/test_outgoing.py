"""Calls to addresses that people configured: real receivers on loopback that lead astray, drip, or never end."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import tracemalloc
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pytest_django import Settings

from opsconsole import outgoing
from opsconsole.errors import ConsoleError, UnavailableError, UsageError
from opsconsole.outgoing import Request, client
from opsconsole.outgoing.reach import addresses_of, allowed_connections_only, is_allowed, is_public
from tests.brokers.certificates import Authority
from tests.outgoing import Answering, Handler, Names, fine, serving

BOMB = gzip.compress(bytes(64 * 1024 * 1024))


def drip(handler: Handler) -> None:
    """A header, a byte at a time, each well before any wait for one would be over."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
        handler.wfile.write(bytes([byte]))
        if handler.server.over.wait(0.05):
            return


def drip_body(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"x")


def silent(handler: Handler) -> None:
    handler.server.over.wait()


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(b"y" * 65_536)


def bomb(handler: Handler) -> None:
    handler.say(200, BOMB, Content_Encoding="gzip")


def get(url: str, patience: float = 10.0, **fields: Any) -> outgoing.Answer:
    return outgoing.call(Request("GET", url, **fields), patience=patience)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "address",
        [
            *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200"),  # noqa: S104
            *("169.254.169.254", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
            *("::1", "::", "fe80::1", "fd00:ec2::254", "fc00::1", "ff02::1", "2001:db8::1", "::7f00:1"),
            *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1"),
        ],
    )
    def test_addresses_that_are_not_of_the_open_internet(self, address: str) -> None:
        assert not is_public(ip_address(address))

    @pytest.mark.parametrize(
        "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
    )
    def test_not_those_that_are(self, address: str) -> None:
        assert is_public(ip_address(address))

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "localhost", "LOCALHOST", "127.1", "2130706433", "0x7f.0.0.1", "0"),
            *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]"),
        ],
    )
    def test_no_way_of_writing_loopback_gets_there(self, host: str, settings: Settings) -> None:
        settings.OUTGOING_ALLOW = []
        with serving(fine) as server:
            with pytest.raises(UsageError, match="OPSCONSOLE_OUTGOING_ALLOW"):
                get(server.url(host))
            assert server.heard == []

    def test_a_name_with_one_refused_address_among_public_ones(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.OUTGOING_ALLOW = []
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in ("93.184.216.34", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        with pytest.raises(UsageError, match="inside"):
            addresses_of("inside.example", 80)


class TestWhatTheSettingAllows:
    def test_a_network_and_nothing_beside_it(self, settings: Settings) -> None:
        settings.OUTGOING_ALLOW = ["10.1.0.0/16", "fd00:1::/32", "127.0.0.1"]
        allowed = ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "127.0.0.1", "8.8.8.8")
        refused = ("10.2.0.1", "fd00:2::5", "127.0.0.2", "169.254.169.254")
        assert [one for one in (*allowed, *refused) if is_allowed(ip_address(one))] == list(allowed)

    def test_a_host_by_its_name_only(self, settings: Settings) -> None:
        settings.OUTGOING_ALLOW = ["localhost"]
        with serving(fine) as server:
            assert get(server.url("LocalHost")).text == "taken"
            with pytest.raises(UsageError):
                get(server.url())


class TestWhereItConnects:
    def test_a_redirect_is_not_followed(self) -> None:
        with serving(fine) as inside:
            with serving(lambda handler: handler.say(302, Location=inside.url())) as server:
                answer = get(server.url())
            assert (answer.status, answer.is_success, inside.heard) == (302, False, [])
            assert "redirects are not followed" in answer.said

    def test_to_the_address_that_was_checked_whatever_the_name_says_later(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.OUTGOING_ALLOW = ["127.0.0.1"]
        names = Names({"moves.example": ["127.0.0.1", "127.0.0.2"]})
        names.install(monkeypatch)
        with serving(fine) as server:
            assert get(server.url("moves.example")).is_success
            assert names.asked == ["moves.example"]
            assert server.heard[0].headers["Host"] == f"moves.example:{server.server_port}"
            with pytest.raises(UsageError):
                get(server.url("moves.example"))

    def test_to_the_next_address_where_the_first_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serving(fine) as server:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("127.0.0.9", "127.0.0.1")]
            real = socket.getaddrinfo
            monkeypatch.setattr(
                socket, "getaddrinfo", lambda host, *a, **k: found if host == "two.example" else real(host, *a, **k)
            )
            assert get(server.url("two.example")).is_success

    def test_tls_goes_by_the_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        authority = Authority(tmp_path / "ca.pem", "tests")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(authority.server_keystore(tmp_path / "server.pem", "127.0.0.1"))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
        client._tls.cache_clear()
        try:
            with serving(fine, tls) as server:
                assert get(server.url(scheme="https")).is_success
                with pytest.raises(UnavailableError, match="localhost"):
                    get(server.url("localhost", scheme="https"))
        finally:
            monkeypatch.undo()
            client._tls.cache_clear()


class TestLimits:
    @pytest.mark.parametrize("answer", [silent, drip, drip_body])
    def test_the_whole_call_ends_in_time(self, answer: Answering) -> None:
        """Each of them goes on for as long as the test does."""
        with serving(answer) as server:
            with pytest.raises(UnavailableError, match=r"did not answer within 0\.4 s"):
                get(server.url(), patience=0.4)
            assert not server.over.is_set()

    def test_a_bomb_is_not_unpacked(self) -> None:
        with serving(bomb) as server:
            tracemalloc.start()
            answer = get(server.url())
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert answer.text == "\0" * client.MOST_KEPT
        assert peak < 4 * 1024 * 1024

    def test_an_endless_answer_is_left(self) -> None:
        with serving(endless) as server:
            assert get(server.url()).text == "y" * client.MOST_KEPT

    @pytest.mark.parametrize(
        ("encoding", "body", "text"),
        [
            ("gzip", gzip.compress(b"taken", mtime=0), "taken"),
            ("gzip", b"no gzip", ""),
            ("br", b"\x0b\x02\x80taken\x03", ""),
            ("identity", b"taken", "taken"),
        ],
    )
    def test_what_was_packed_without_being_asked_for(self, encoding: str, body: bytes, text: str) -> None:
        with serving(lambda handler: handler.say(200, body, Content_Encoding=encoding)) as server:
            assert get(server.url()) == outgoing.Answer(200, text)
            assert server.heard[0].headers["Accept-Encoding"] == "identity"

    def test_a_post_without_a_body_says_so(self) -> None:
        with serving(fine) as server:
            outgoing.call(Request("POST", server.url()), patience=5)
            assert server.heard[0].headers["Content-Length"] == "0"

    @pytest.mark.parametrize("url", ["", "hooks", "ftp://127.0.0.1/", "http://", "file:///etc/passwd"])
    def test_what_is_no_address_is_refused_without_repeating_it(self, url: str) -> None:
        with pytest.raises(UsageError, match="The address does not begin with"):
            get(url)

    def test_what_speaks_no_http_is_said(self) -> None:
        with serving(lambda handler: handler.wfile.write(b"220 mail.example ESMTP\r\n")) as server:  # noqa: SIM117
            with pytest.raises(UnavailableError, match="does not speak HTTP"):
                get(server.url())


class TestSecrets:
    def test_an_echo_of_a_secret_header_is_not_kept_nor_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with serving(lambda handler: handler.say(200, str(handler.headers).encode())) as server:
            url = server.url().replace("://", "://ann:hunter2@")
            answer = get(url, secret_headers={"Authorization": "Bearer very-secret"}, headers={"X-Run": "7"})
            assert "X-Run: 7" in answer.text
            assert server.heard[0].headers["Authorization"] == "Bearer very-secret"
        assert "very-secret" not in answer.text + caplog.text
        assert "hunter2" not in answer.text + caplog.text

    @pytest.mark.parametrize("value", ["very-secret\r\nX-More: 1", "very-secret\n", "very-sécret", "very-secret\0"])
    def test_a_value_that_cannot_be_sent_is_not_repeated(self, value: str) -> None:
        with serving(fine) as server, pytest.raises(UsageError, match="The header X-Key cannot be sent") as caught:
            get(server.url(), secret_headers={"X-Key": value})
        assert "very" not in str(caught.value)
        assert server.heard == []

    @pytest.mark.parametrize("name", ["Host", "Content-Length", "transfer-encoding", "X: y", "X\r\nY", ""])
    def test_headers_that_the_console_makes_cannot_be_given(self, name: str) -> None:
        with pytest.raises(UsageError):
            get("http://127.0.0.1:1/", headers={name: "x"})

    def test_a_header_that_is_given_takes_the_place_of_the_usual_one(self) -> None:
        with serving(fine) as server:
            get(server.url(), headers={"accept": "text/plain"}, secret_headers={"user-agent": "exports"})
            assert server.heard[0].headers.get_all("Accept") == ["text/plain"]
            assert server.heard[0].headers.get_all("User-Agent") == ["exports"]

    def test_user_and_password_of_an_address_are_sent_and_not_told(self) -> None:
        with serving(fine) as server:
            get(server.url().replace("://", "://ann:hunter2@"))
            assert server.heard[0].headers["Authorization"] == "Basic YW5uOmh1bnRlcjI="
        with pytest.raises(ConsoleError) as caught:
            get("http://ann:hunter2@127.0.0.1:1/secret")
        assert "hunter2" not in str(caught.value)
        assert "secret" not in str(caught.value)


class TestConnectionsOfLibraries:
    """What a library connects to on its own is asked about by the interpreter."""

    def test_are_refused_where_they_are_made(self, settings: Settings) -> None:
        settings.OUTGOING_ALLOW = []
        with serving(fine) as server:
            with allowed_connections_only(), pytest.raises(UsageError, match="OPSCONSOLE_OUTGOING_ALLOW"):
                socket.create_connection(("localhost", server.server_port))
            with allowed_connections_only(), socket.socket() as one, pytest.raises(UsageError):
                one.connect(("localhost", server.server_port))
            settings.OUTGOING_ALLOW = ["127.0.0.0/8"]
            with allowed_connections_only():
                socket.create_connection(("127.0.0.1", server.server_port)).close()

    def test_only_there(self, settings: Settings) -> None:
        settings.OUTGOING_ALLOW = []
        with serving(fine) as server:
            with allowed_connections_only():
                thread = Thread(target=lambda: socket.create_connection(("127.0.0.1", server.server_port)).close())
                thread.start()
                thread.join()
            socket.create_connection(("127.0.0.1", server.server_port)).close()
