"""One small file is fetched from a stranger's host: by one clock, up to a size, wherever he redirects to.

HTTP/1.1 as RFC 8555, 8.3 has it.  A redirection may lead to TLS, whose certificate is not looked at: what is
proven is who serves the host, and the host is asking for the certificate.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from e2s.base.errors import Refusal
from e2s.security.acme.identifiers import host_name
from e2s.security.acme.reach import Reach

if TYPE_CHECKING:
    from typing_extensions import Buffer

MOST_REDIRECTS: Final = 10
#: A key authorisation has less than two hundred octets; some servers add lines.
_MAX_BODY: Final = 1024
#: Head and body together.
_MAX_OCTETS: Final = 32 * 1024
_MAX_URL: Final = 2000
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "e2s-acme/1"


class _Place(NamedTuple):
    secured: bool
    host: str
    port: int
    path: str


def fetch(reach: Reach, host: str, path: str, seconds: float) -> bytes:
    """What stands at ``http://HOST/PATH``, within ``seconds`` altogether.

    Raises :class:`Refusal` of :meth:`Reach.connect`, and ``timed-out``, ``broken-answer``, ``bad-handshake``,
    ``answer-status``, ``answer-too-large``, ``bad-redirect``, ``port-not-permitted``, ``too-many-redirects``.
    """
    deadline = time.monotonic() + seconds
    url = f"http://{_bracketed(host)}{path}"
    for _ in range(MOST_REDIRECTS + 1):
        status, location, body = _got(reach, _place(reach, url), deadline)
        if status not in _REDIRECTS:
            if status != http.client.OK:
                raise Refusal("answer-status", "the host did not answer with status 200", status=status)
            return body
        try:
            url = urljoin(url, location)
        except ValueError as error:
            raise Refusal("bad-redirect", "the host redirects to what is no URL") from error
    raise Refusal("too-many-redirects", "the host redirects again and again")


def _place(reach: Reach, url: str) -> _Place:
    """Where a URL leads; ports are those of the two protocols alone."""
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise Refusal("bad-redirect", "the host redirects to what is no URL")
    try:
        parts = urlsplit(url)
        host, number = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refusal("bad-redirect", "the host redirects to what is no URL") from error
    if parts.scheme not in {"http", "https"} or parts.username is not None or parts.password is not None:
        raise Refusal("bad-redirect", "the host redirects to another protocol")
    secured = parts.scheme == "https"
    usual, ours = (443, reach.tls_port) if secured else (80, reach.http_port)
    if number not in {None, usual, ours}:
        raise Refusal("port-not-permitted", "the host redirects to another port", port=number)
    if ":" not in host and not host.replace(".", "").isdigit():
        host_name(host)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Place(secured, host, ours, path)


def _got(reach: Reach, place: _Place, deadline: float) -> tuple[int, str, bytes]:
    """Status, location and body of one request."""
    raw = reach.connect(place.host, place.port, deadline)
    try:
        line = _secured(raw, place.host, deadline) if place.secured else raw
        with line:
            line.settimeout(_left(deadline))
            line.sendall(
                f"GET {place.path} HTTP/1.1\r\nHost: {_bracketed(place.host)}\r\nUser-Agent: {_AGENT}\r\n"
                "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            answer = http.client.HTTPResponse(_Stranger(line, deadline))  # type: ignore[arg-type]  # reads like one
            answer.begin()
            if answer.status in _REDIRECTS:
                return answer.status, answer.getheader("location", ""), b""
            body = answer.read(_MAX_BODY + 1)
    except TimeoutError as error:
        raise Refusal("timed-out", "the host took too long", host=place.host) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Refusal("broken-answer", "the host's answer is no whole answer", host=place.host) from error
    finally:
        raw.close()
    if len(body) > _MAX_BODY:
        raise Refusal("answer-too-large", "the host's answer is larger than may be read", host=place.host)
    return answer.status, "", body


def _secured(raw: socket.socket, host: str, deadline: float) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw.settimeout(_left(deadline))
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except TimeoutError:
        raise
    except (OSError, ValueError) as error:
        raise Refusal("bad-handshake", "the host does not speak TLS", host=host) from error


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("deadline passed")
    return left


class _Stranger(io.RawIOBase):
    """A socket that is read up to a size and by one deadline, as http.client reads one."""

    def __init__(self, line: socket.socket, deadline: float) -> None:
        super().__init__()
        self._line, self._deadline, self._more = line, deadline, _MAX_OCTETS

    def makefile(self, _mode: str) -> Any:
        return io.BufferedReader(self, 4096)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        if self._more <= 0:
            raise OSError("more than may be read")
        self._line.settimeout(_left(self._deadline))
        count = self._line.recv_into(buffer)
        self._more -= count
        return count


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
