"""One request to an address that somebody configured. It goes to an address that was checked, follows no redirect, ends
when its time is over however slowly the answer drips, and keeps little of the answer however much it unpacks to."""

from __future__ import annotations

import re
import ssl
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import httpcore
import httpx

from opsconsole.errors import UnavailableError, UsageError
from opsconsole.outgoing.connection import CheckedBackend
from opsconsole.outgoing.urls import is_address

CONNECT_SECONDS = 10.0
"""To one address, TLS included. The whole call has its own limit."""

MOST_KEPT = 2_000
"""Bytes of an answer, unpacked."""

MOST_READ = 1024 * 1024
"""Bytes of an answer as they come. Of a longer one the rest is left."""

SUCCESS = range(200, 300)
REDIRECT = range(300, 400)
SERVER_ERRORS, TOO_MANY = range(500, 600), 429
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
HEADER_NAME = re.compile(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})
ANY_COMPRESSION = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class Request:
    """`secret_headers` are sent like the others; nothing that is kept of the answer has their values."""

    method: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is its beginning, unpacked, without the values of secret headers."""

    status: int
    text: str = ""

    @property
    def is_success(self) -> bool:
        return self.status in SUCCESS

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self.status in SERVER_ERRORS or self.status == TOO_MANY

    def beginning(self, most: int) -> Answer:
        """With at most so many characters of its text. Cut from what was read whole, it has no half of a secret."""
        return replace(self, text=self.text[:most])

    @property
    def said(self) -> str:
        """`answered 302 (redirects are not followed): …`"""
        redirect = " (redirects are not followed)" if self.status in REDIRECT else ""
        return f"answered {self.status}{redirect}" + (f": {self.text}" if self.text else ".")


def call(request: Request, *, patience: float, place: str = "The address", keep: int = MOST_KEPT) -> Answer:
    """Make the call; all of it takes at most `patience` seconds once the name is resolved. Of the answer `keep` bytes
    are kept; with 0 it is not read beyond its status. `place` is the address in sentences, where it may be a secret.

    Raises UsageError where the address or a header is refused, UnavailableError where no answer came. No sentence and
    no log has a header's value.
    """
    if not is_address(request.url):
        raise UsageError(f"{place} does not begin with http:// or https:// and a host's name.")
    url = httpx.URL(request.url)
    limits = {"connect": CONNECT_SECONDS, "read": patience, "write": patience, "pool": patience}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=CheckedBackend(patience)) as pool,
            pool.stream(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/"),
                headers=_headers(url, request),
                content=request.body,
                extensions={"timeout": limits},
            ) as response,
        ):
            text = _beginning(response, keep).decode("utf-8", "replace")
            return Answer(response.status, _without(text, [*request.secret_headers.values(), url.password]))
    except httpcore.TimeoutException as error:
        raise UnavailableError(f"{place} did not answer within {patience:g} s.") from error
    except httpcore.ConnectError as error:
        raise UnavailableError(f"{place} cannot be reached: {error}.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise UnavailableError(f"{place} broke the connection off, or does not speak HTTP.") from error


def require_headers(names: Iterable[str]) -> None:
    """Raises UsageError for a name that is none, or whose header the console makes itself."""
    for name in names:
        if not HEADER_NAME.match(name):
            raise UsageError(f"{name[:60]!r} is no name of a header.")
        if name.lower() in OURS:
            raise UsageError(f"The header {name} is made by the console and cannot be given.")


def _headers(url: httpx.URL, request: Request) -> list[tuple[bytes, bytes]]:
    given = {"User-Agent": "opsconsole", **request.headers, **request.secret_headers}
    require_headers(given)
    host = url.netloc.decode("ascii")
    sent = {"Host": host, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    if url.userinfo:
        sent["Authorization"] = f"Basic {b64encode(f'{url.username}:{url.password}'.encode()).decode()}"
    if request.body or request.method in WITH_BODY:
        sent["Content-Length"] = str(len(request.body))
    for name, value in given.items():
        if not (value.isascii() and value.isprintable()):
            raise UsageError(f"The header {name} cannot be sent: its value has characters that HTTP does not allow.")
        sent = {known: was for known, was in sent.items() if known.lower() != name.lower()}
        sent[name] = value.strip()
    return [(name.encode(), value.encode()) for name, value in sent.items()]


@cache
def _tls() -> ssl.SSLContext:
    """Certificates are verified: by SSL_CERT_FILE or SSL_CERT_DIR where the environment has them."""
    return httpx.create_ssl_context()


def _beginning(response: httpcore.Response, keep: int) -> bytes:
    """The first `keep` bytes, unpacked. The rest is read and forgotten: who breaks off may end what the other does."""
    kept, read = bytearray(), 0
    if not keep:
        return b""
    unpack = _unpacker(dict(response.headers))
    for piece in response.iter_stream():
        if len(kept) < keep:
            kept += unpack(piece, keep - len(kept))
        read += len(piece)
        if read > MOST_READ:
            break
    return bytes(kept)


def _unpacker(headers: Mapping[bytes, bytes]) -> Callable[[bytes, int], bytes]:
    """A function that unpacks a piece into at most so many bytes. What was not asked for and is unknown is nothing."""
    encoding = next((value for name, value in headers.items() if name.lower() == b"content-encoding"), b"identity")
    if encoding.lower() == b"identity":
        return lambda piece, most: piece[:most]
    if encoding.lower() not in (b"gzip", b"x-gzip", b"deflate"):
        return lambda piece, most: b""
    packed = zlib.decompressobj(ANY_COMPRESSION)

    def unpack(piece: bytes, most: int) -> bytes:
        try:
            return packed.decompress(piece, most)
        except zlib.error:
            return b""

    return unpack


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(None, map(str.strip, secrets)), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text
