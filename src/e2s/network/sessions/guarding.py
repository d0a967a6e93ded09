"""Another's ASGI application is served as our own are: bounded bodies, security headers, loopback names only.

The whole body is read before the application sees the request, so that none of it is half done; what the
application forgets to say of a document's safety is said for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from e2s.base.errors import Misuse
from e2s.base.http import MAX_BODY_BYTES, Response
from e2s.network.sessions.server import (
    SECURITY_HEADERS,
    Application,
    Message,
    Receive,
    Send,
    answer,
    body_of,
)

_FORBIDDEN: Final = Response(403, b"", {"e2s-rule": "cross-site", "connection": "close"})
_MISDIRECTED: Final = Response(421, b"", {"e2s-rule": "wrong-host", "connection": "close"})


def guarded(
    app: Application, *, origins: Collection[str], max_body_bytes: int = MAX_BODY_BYTES
) -> Application:
    """``app`` for requests that come by one of ``origins`` (``http://127.0.0.1:28500``).

    A request under another host's name is answered 421 (a name can be made to point here), one that another
    site's page makes 403, one that is too large 413; ``app`` never sees them.
    """
    hosts = {origin.split("//", 1)[1].encode("ascii") for origin in origins}
    ours = {origin.encode("ascii") for origin in origins}

    async def guarding(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise Misuse("http-only", "only HTTP is served here")
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").lower() not in hosts:
            await answer(send, _MISDIRECTED)
            return
        foreign = headers.get(b"origin", b"") not in {b"", *ours}
        if foreign or headers.get(b"sec-fetch-site", b"same-origin") not in {b"same-origin", b"none"}:
            await answer(send, _FORBIDDEN)
            return
        body = await body_of(scope, receive, send, max_body_bytes)
        if body is not None:
            await app(scope, _replaying(body, receive), _adding(send))

    return guarding


def _replaying(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once; then what the client does."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _adding(send: Send) -> Send:
    """Security headers where the application says none of that name."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = list(message.get("headers", ()))
            names = {name.lower() for name, _ in said}
            more = [
                (name.encode("ascii"), value.encode("ascii"))
                for name, value in SECURITY_HEADERS.items()
                if name.encode("ascii") not in names and name != "content-type"
            ]
            message = {**message, "headers": [*said, *more]}
        await send(message)

    return add
