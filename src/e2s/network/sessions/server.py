"""A handler becomes a plain ASGI application: bounded bodies, a small pool of threads, security headers.

A refusal goes back in its own words, an unexpected error as an empty 500 with a line in the log: a
caller never sees a traceback.  The listening socket is opened first and handed over, so that its
port is known, and may be inherited, before anything is served.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import MAX_BODY_BYTES, Handler, Quick, Request, Response, never, refused
from e2s.network.sessions.tls import Renewable, TlsFiles

if TYPE_CHECKING:
    import uvicorn

_LOG = logging.getLogger("e2s.server")

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

#: Sent with every answer unless the handler says otherwise.
SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "content-type": "application/octet-stream",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_BODY_SECONDS = 30.0
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 10
_LINGER_SECONDS = 1.0
_CONCURRENT = 256
#: Where the certificate of a TLS client stands in the state of its connection.
_PEER = "e2s.peer"
_NONE: dict[str, Any] = {}
#: RFC 9110, 8.6: their length would be that of another answer.
_LENGTHLESS = frozenset({204, 304})


def answered(handler: Handler, request: Request) -> Response:
    """The handler's answer; refusals and errors become answers as well."""
    try:
        return handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except Unreachable as unreachable:
        return Response(503, b"", {"e2s-rule": unreachable.rule})
    except Exception:  # noqa: BLE001  # the last line: whatever went wrong stays here
        _LOG.exception("unexpected error at %s %s", request.method, request.path.split("?", 1)[0])
        return Response(500, b"", {"e2s-rule": "internal-error"})


def application(
    handler: Handler,
    *,
    pool: ThreadPoolExecutor,
    max_body_bytes: int = MAX_BODY_BYTES,
    quick: Quick = never,
) -> Application:
    """The ASGI application of ``handler``, which runs in a thread of ``pool``.

    What is ``quick`` is answered in the loop's own thread: to hand it over and back costs as much.
    """

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise Misuse("http-only", "only HTTP is served here")
        body = await body_of(scope, receive, send, max_body_bytes)
        if body is None:
            return
        loop = asyncio.get_running_loop()
        request = _request(scope, body)
        if quick(request):
            response = answered(handler, request)
        else:
            response = await loop.run_in_executor(pool, answered, handler, request)
        await answer(send, response, bodiless=request.method == "HEAD")

    return app


async def body_of(scope: Message, receive: Receive, send: Send, most: int) -> bytes | None:
    """The whole body; None where the client went away, or was told that it is too late or too large."""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _body(scope, receive, most)
    except TimeoutError:
        await answer(send, Response(408, b"", {"connection": "close"}))
    except Refusal as refusal:
        response = refused(refusal, 413)
        await answer(send, Response(413, response.body, {**response.headers, "connection": "close"}))
    return None


async def _body(scope: Message, receive: Receive, most: int) -> bytes | None:
    """The whole body, ``None`` when the client went away; raises :class:`Refusal` ``too-large``."""
    announced = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
    if len(announced) > 12 or int(announced) > most:
        raise Refusal("too-large", "the request is larger than may be read")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise Refusal("too-large", "the request is larger than may be read")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _request(scope: Message, body: bytes) -> Request:
    path = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        path += "?" + scope["query_string"].decode("latin-1")
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    client = scope.get("client")
    peer = scope.get("state", _NONE).get(_PEER, b"")
    address, secure = client[0] if client else "", scope.get("scheme") == "https"
    return Request(scope["method"], path, body, headers, address, peer, secure)


async def answer(send: Send, response: Response, *, bodiless: bool = False) -> None:
    """Send a whole response, with security headers."""
    # The length goes last: an answer cut within its headers can't pass for a whole one.
    headers = {**SECURITY_HEADERS, **response.headers}
    if response.status not in _LENGTHLESS:
        headers["content-length"] = str(len(response.body))
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": b"" if bodiless else response.body})


@dataclass(frozen=True)
class Mounted:
    """Another's ASGI application, served in a handler's place (see :mod:`~e2s.network.sessions.guarding`)."""

    app: Application


class Server:
    """One handler on one listening socket, run by uvicorn until told to stop."""

    def __init__(
        self,
        handler: Handler | Mounted,
        listening: socket.socket,
        *,
        tls: TlsFiles | None = None,
        tick: Callable[[], None] | None = None,
        tick_seconds: float = 1.0,
        threads: int = 8,
        max_body_bytes: int = MAX_BODY_BYTES,
        quick: Quick = never,
    ) -> None:
        """``tick`` is called in a thread of its own about every ``tick_seconds``; ``quick`` as above."""
        self._listening = listening
        self._tls = Renewable(tls) if tls else None
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(threads, "door")
        self._server: uvicorn.Server | None = None
        self._app = (
            handler.app
            if isinstance(handler, Mounted)
            else application(handler, pool=self._pool, max_body_bytes=max_body_bytes, quick=quick)
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listening.getsockname()[1])

    def run(self, ready: Callable[[], None] | None = None) -> None:
        """Serve until :meth:`stop` or, in the main thread, SIGTERM or SIGINT; then finish what is begun."""
        import uvloop  # noqa: PLC0415  # late: a command line that serves nothing does not pay for it

        ticking = threading.Thread(target=self._keep_ticking, name="tick", daemon=True)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve(ready, ticking))
        finally:
            self._stopping.set()
            if ticking.ident:
                ticking.join(_GRACE_SECONDS)
            self._pool.shutdown(wait=True)
            self._listening.close()

    def stop(self) -> None:
        """Ask the server to end; safe from any thread."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True

    async def _serve(self, ready: Callable[[], None] | None, ticking: threading.Thread) -> None:
        server = self._server = self._uvicorn(ready)
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        if self._stopping.is_set():
            return
        if self._tick:
            ticking.start()
        looking = asyncio.create_task(self._keep_looking()) if self._tls else None
        await server.serve(sockets=[self._listening])
        if looking is not None:
            looking.cancel()

    def _uvicorn(self, ready: Callable[[], None] | None) -> uvicorn.Server:
        import uvicorn  # noqa: PLC0415  # late, as above
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415  # late, as above

        class Shown(HttpToolsProtocol):
            """Tells each request of a connection whose certificate the client used in TLS."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                secured = transport.get_extra_info("ssl_object")
                shown = secured.getpeercert(binary_form=True) if secured is not None else None
                if shown:
                    self.app_state = {**self.app_state, _PEER: shown}

        class Quiet(uvicorn.Server):
            """Leaves signals to us and tells when it listens."""

            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets=sockets)
                if ready:
                    ready()

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                ending = asyncio.create_task(_end_lingering(self))
                await super().shutdown(sockets=sockets)
                ending.cancel()

        config = uvicorn.Config(
            self._app,
            http=Shown,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            limit_concurrency=_CONCURRENT,
        )
        config.load()
        config.ssl = self._tls.context if self._tls else None
        return Quiet(config)

    async def _keep_looking(self) -> None:
        """Take a renewed certificate, in the thread that makes the handshakes: none sees half of it."""
        while self._tls is not None:
            await asyncio.sleep(self._tick_seconds)
            if self._tls.look():
                _LOG.info("the TLS certificate was renewed")

    def _keep_ticking(self) -> None:
        while not self._stopping.wait(self._tick_seconds):
            try:
                if self._tick:
                    self._tick()
            except Exception:  # noqa: BLE001  # a tick that fails is tried again at the next
                _LOG.exception("a periodic act failed")


async def _end_lingering(server: uvicorn.Server) -> None:
    """A client that keeps an idle TLS connection and does not read its end can't hold up ours."""
    while True:
        await asyncio.sleep(_LINGER_SECONDS)
        if not server.server_state.tasks:
            for connection in list(server.server_state.connections):
                transport = getattr(connection, "transport", None)
                if transport is not None:
                    transport.abort()


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket; port 0 takes a free one.  Raises :class:`Misuse` ``port-taken``."""
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise Misuse("port-taken", "the address cannot be listened on", host=host, port=port) from error


def serve(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int,
    tls: TlsFiles | None = None,
    ready: Callable[[], None] | None = None,
    tick: Callable[[], None] | None = None,
    tick_seconds: float = 1.0,
    quick: Quick = never,
) -> None:
    """Serve ``handler`` in this process until SIGTERM; returns when everything begun is finished."""
    listening = listen(host, port)
    Server(handler, listening, tls=tls, tick=tick, tick_seconds=tick_seconds, quick=quick).run(ready)


class Served:
    """A handler served by a thread of this process on a free port, within a ``with`` block."""

    def __init__(
        self,
        handler: Handler | Mounted,
        *,
        tls: TlsFiles | None = None,
        tick: Callable[[], None] | None = None,
        tick_seconds: float = 1.0,
        max_body_bytes: int = MAX_BODY_BYTES,
        host: str = "127.0.0.1",
        port: int = 0,
        threads: int = 8,
        quick: Quick = never,
    ) -> None:
        """The socket listens from here on; answers come once the block is entered."""
        self._server = Server(
            handler,
            listen(host, port),
            tls=tls,
            tick=tick,
            tick_seconds=tick_seconds,
            threads=threads,
            max_body_bytes=max_body_bytes,
            quick=quick,
        )
        self.port = self._server.port
        self.origin = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self._ready = threading.Event()
        run = self._server.run
        self._thread = threading.Thread(target=run, args=(self._ready.set,), name="served", daemon=True)

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        if not self._ready.wait(_GRACE_SECONDS):
            raise Misuse("not-started", "the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop and wait for the end."""
        self.close()

    def close(self) -> None:
        """Stop serving and wait until the port is free."""
        self._server.stop()
        self._thread.join(_GRACE_SECONDS * 2)
