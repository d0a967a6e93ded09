"""A lean kept-alive HTTP/1.1 client: one whole, bounded answer within its time, or ``Unreachable``.

One connection per thread and origin.  A request is sent again only where a kept-alive connection
turned out stale before one octet of answer came; every receiver is idempotent.  Redirections are
not followed, cookies not kept, contents not decoded.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import MAX_BODY_BYTES, Request, Response
from e2s.network.sessions.tls import (
    TlsFiles,
    check_host,
    client_context,
    spki_digest,
    unverified_context,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", re.ASCII)
_TARGET = re.compile(r"/[!-~]*", re.ASCII)
_CHUNK_BYTES = 64 * 1024
_MAX_KEPT_PER_THREAD = 32
#: What a proxy or a front end says when it did not reach the peer: nothing is known about effects.
_NOT_REACHED = frozenset({502, 503, 504})
_STALE = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port of ``http://host:port``."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Read an origin; raises :class:`Misuse` ``bad-origin``."""
        match = _ORIGIN.fullmatch(text)
        port = int(match[3] or {"http": 80, "https": 443}[match[1]]) if match else 0
        if not match or not 0 < port < 65536:
            raise Misuse("bad-origin", "an origin is written http://host:port or https://host:port")
        return cls(match[1], match[2].strip("[]"), port)

    @property
    def authority(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class HttpExchange:
    """Implements :class:`~e2s.base.http.Exchange` over sockets, directly or through an HTTP proxy."""

    def __init__(
        self,
        *,
        proxy: str = "",
        anchors: bytes = b"",
        identity: TlsFiles | None = None,
        unverified: bool = False,
        timeout_seconds: float = 30.0,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """``proxy`` is ``http://host:port``; ``anchors`` PEM certificates, without which https is misuse.

        ``identity`` is the certificate and key that are shown to a server that asks for them.  ``unverified``
        believes whoever answers to an https origin: only for what proves itself otherwise, as by a digest
        that came another way, and never with a secret.
        """
        self._proxy = Origin.parse(proxy) if proxy else None
        if self._proxy and self._proxy.scheme != "http":
            raise Misuse("bad-origin", "a proxy is written http://host:port")
        self._unverified = unverified and not anchors
        self._context = client_context(anchors, identity) if anchors else None
        if self._unverified:
            self._context = unverified_context()
        self._timeout = timeout_seconds
        self._max_body = max_body_bytes
        self._kept = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    def send(self, origin: str, request: Request) -> Response:
        """One exchange; raises :class:`Unreachable` when no whole answer came within the time-out."""
        target = Origin.parse(origin)
        if not _TARGET.fullmatch(request.path):
            raise Misuse("bad-request", "a path starts with / and holds printable ASCII only")
        meter.count("hop")
        kept = self._kept_connections()
        connection = kept.pop(origin, None)
        if connection is not None and not connection.line.quiet():
            connection.end()
        elif connection is not None:
            try:
                return self._keep(origin, connection, request)
            except _STALE as error:
                if connection.line.received:
                    raise Unreachable("connection-lost", _DETAIL, origin=origin) from error
        return self._keep_or_unreachable(origin, target, request)

    def _keep_or_unreachable(self, origin: str, target: Origin, request: Request) -> Response:
        try:
            connection = self._connect(target)
            return self._keep(origin, connection, request)
        except OSError as error:
            raise Unreachable("unreachable", _DETAIL, origin=origin, why=_why(error)) from error

    def _keep(self, origin: str, connection: _Connection, request: Request) -> Response:
        """Exchange on ``connection`` and keep it when the answer came whole; close it otherwise."""
        good = False
        try:
            response = connection.exchange(request, self._timeout, self._max_body)
            good = True
        except TimeoutError as error:
            raise Unreachable("timed-out", _DETAIL, origin=origin) from error
        except _STALE:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable("broken-answer", _DETAIL, origin=origin, why=_why(error)) from error
        finally:
            if good and connection.reusable:
                kept = self._kept_connections()
                kept[origin] = connection
                if len(kept) > _MAX_KEPT_PER_THREAD:
                    kept.popitem(last=False)[1].end()
            else:
                connection.end()
        if response.status in _NOT_REACHED:
            raise Unreachable("peer-unavailable", _DETAIL, origin=origin, status=response.status)
        return response

    def _connect(self, target: Origin) -> _Connection:
        first = self._proxy or target
        deadline = time.monotonic() + self._timeout
        raw = socket.create_connection((first.host, first.port), self._timeout)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if target.scheme == "http":
                prefix = f"http://{target.authority}" if self._proxy else ""
                connection = _Connection(raw, target, prefix, b"")
            else:
                if self._context is None:
                    raise Misuse("no-anchors", "https needs the community's trust anchors")
                if self._proxy:
                    _tunnel(raw, target, deadline)
                raw.settimeout(max(deadline - time.monotonic(), 0.001))
                secured = self._context.wrap_socket(raw, server_hostname=target.host)
                raw = secured
                der = secured.getpeercert(binary_form=True) or b""
                if not self._unverified:
                    check_host(der, target.host)
                connection = _Connection(secured, target, "", spki_digest(der))
        except Refusal as refusal:
            raw.close()
            raise Unreachable(refusal.rule, refusal.message, **refusal.facts) from refusal
        except BaseException:
            raw.close()
            raise
        with self._lock:
            self._all.add(connection)
        return connection

    def _kept_connections(self) -> OrderedDict[str, _Connection]:
        kept: OrderedDict[str, _Connection] | None = getattr(self._kept, "connections", None)
        if kept is None:
            kept = self._kept.connections = OrderedDict()
        return kept

    def close(self) -> None:
        """Close every kept connection of every thread; the exchange may be used again."""
        with self._lock:
            for connection in list(self._all):
                connection.end()


_DETAIL = "no whole answer came; nothing is known about its effects"


def _why(error: BaseException) -> str:
    """The kind of a transport error and, of a TLS one, OpenSSL's reason: never its contents."""
    reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or ""
    return f"{type(error).__name__} {reason}".strip()


class _Line:
    """A socket that http.client writes to and reads from, with one deadline, counting what came."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = 0.0
        self.received = 0
        self.unsent: list[bytes] = []
        self.probing = False
        self.ended = False
        self._reader = _Reader(_Incoming(self), _CHUNK_BYTES)

    def begin(self, deadline: float) -> None:
        self.deadline = deadline
        self.received = 0
        self.unsent = []

    def remaining(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left

    def sendall(self, octets: bytes) -> None:
        """Gather what is sent: head and body leave together by :meth:`flush`."""
        self.unsent.append(octets)

    def flush(self) -> None:
        self.sock.settimeout(self.remaining())
        octets, self.unsent = b"".join(self.unsent), []
        self.sock.sendall(octets)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._reader

    def quiet(self) -> bool:
        """Whether nothing came since the last answer: neither octets that nobody asked for nor the end."""
        self.probing = True
        try:
            return not self._reader.peek(1) and not self.ended
        finally:
            self.probing = False

    def close(self) -> None:
        """http.client lets go before the last answer is read; :meth:`end` is the end."""

    def end(self) -> None:
        self.sock.close()


class _Reader(io.BufferedReader):
    """One for all answers of a connection, so that what follows an answer is not lost from sight."""

    def close(self) -> None:
        """An answer's end is not the line's."""


class _Incoming(io.RawIOBase):
    """What arrives on a line, read within its deadline."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        line = self._line
        if line.probing:
            return self._probe(buffer)
        line.sock.settimeout(line.remaining())
        count = line.sock.recv_into(buffer)
        line.received += count
        return count

    def _probe(self, buffer: Buffer) -> int | None:
        """What is there already: octets, the end, or ``None`` for nothing."""
        line = self._line
        line.sock.settimeout(0)
        try:
            count = line.sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            count = 0
        line.ended = count == 0
        return count


class _Connection(http.client.HTTPConnection):
    """One established connection; what is sent and read obeys the line's deadline."""

    def __init__(self, sock: socket.socket, target: Origin, prefix: str, spki: bytes) -> None:
        super().__init__(target.host, target.port)
        self.line = _Line(sock)
        self.sock = self.line
        self.auto_open = 0
        self.reusable = False
        self._prefix = prefix
        self._authority = target.authority
        self._spki = spki
        # A thread that ends takes its connections with it.
        weakref.finalize(self, sock.close)

    def end(self) -> None:
        """Close the connection for good."""
        self.close()
        self.line.end()

    def exchange(self, request: Request, timeout_seconds: float, max_body_bytes: int) -> Response:
        """Send ``request`` and read one whole answer of at most ``max_body_bytes``."""
        self.line.begin(time.monotonic() + timeout_seconds)
        self._write(request)
        answer = self.getresponse()
        body = _whole_body(answer, request.method, max_body_bytes, self.line)
        self.reusable = not answer.will_close
        headers: dict[str, str] = {}
        for name, value in answer.getheaders():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Response(answer.status, body, headers, self._spki)

    def _write(self, request: Request) -> None:
        try:
            target = self._prefix + request.path
            self.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            self.putheader("Host", self._authority)
            for name, value in request.headers.items():
                if name not in {"host", "content-length", "transfer-encoding", "connection"}:
                    self.putheader(name, value)
            if request.body or request.method not in {"GET", "HEAD"}:
                self.putheader("Content-Length", str(len(request.body)))
        except (ValueError, http.client.InvalidURL) as error:
            raise Misuse("bad-request", "the request's method, path or headers cannot be sent") from error
        self.endheaders(request.body or None)
        self.line.flush()


def _whole_body(answer: http.client.HTTPResponse, method: str, most: int, line: _Line) -> bytes:
    """Read the body to its announced end; an answer whose end is not announced is broken."""
    if method == "HEAD" or answer.status in {204, 304}:
        answer.close()
        return b""
    if not answer.chunked and answer.length is None:
        raise http.client.HTTPException("the answer does not say where it ends")
    announced = answer.length
    if announced is not None and announced > most:
        raise http.client.HTTPException("the answer is larger than may be read")
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_CHUNK_BYTES):
        line.remaining()
        size += len(part)
        if size > most:
            raise http.client.HTTPException("the answer is larger than may be read")
        parts.append(part)
    if announced is not None and size != announced:
        raise http.client.IncompleteRead(b"", announced - size)
    answer.close()
    return b"".join(parts)


def _tunnel(sock: socket.socket, target: Origin, deadline: float) -> None:
    """Ask the proxy for a way through to ``target`` (RFC 9110, 9.3.6)."""
    line = _Line(sock)
    line.begin(deadline)
    where = target.authority
    line.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode("ascii"))
    line.flush()
    answer = http.client.HTTPResponse(line, method="CONNECT")  # type: ignore[arg-type]  # a line reads like a socket
    try:
        answer.begin()
    except http.client.HTTPException as error:
        raise Unreachable("proxy-refused", _DETAIL, why=_why(error)) from error
    if answer.status != 200:
        raise Unreachable("proxy-refused", _DETAIL, status=answer.status)
