"""A message is a value: what carries it (a socket, memory, a proxy) is a port with one method.

Doors are handlers from :class:`Request` to :class:`Response`; tests join them in one process,
processes join them by HTTP/1.1.  Signed and sealed bodies never rely on the carrier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from e2s.base.errors import Refusal

MAX_BODY_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request: ``path`` starts with ``/`` and carries the query; header names in lower case.

    ``client`` is the address that it came from, as the carrier saw it; empty where none did.  ``peer`` is
    the certificate, DER, whose key the client used in TLS; empty without one.  Who issued it, and whether it
    is still good, is the handler's to judge.  ``secure`` is whether it came by TLS.
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    peer: bytes = field(default=b"", repr=False)
    secure: bool = False


@dataclass(frozen=True)
class Response:
    """One response; ``spki`` is SHA-256 of the TLS server's SubjectPublicKeyInfo, empty without TLS."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    spki: bytes = b""


Handler: TypeAlias = Callable[[Request], Response]
#: Which requests are answered in a fraction of a millisecond, without waiting for anything.
Quick: TypeAlias = Callable[[Request], bool]


def never(_request: Request) -> bool:
    """Every answer may take a while."""
    return False


class Exchange(Protocol):
    """Port: sends one request to an origin (``http://host:port``) and gives its response."""

    def send(self, origin: str, request: Request) -> Response:
        """Raises :class:`~e2s.base.errors.Unreachable` when no whole answer came."""


def route(doors: Mapping[tuple[str, str], Handler], request: Request) -> Response:
    """Give ``request`` to the door of its (method, path without query); 404 or 405 otherwise."""
    path = request.path.split("?", 1)[0]
    door = doors.get((request.method, path))
    if door is not None:
        return door(request)
    known = any(p == path for _, p in doors)
    return Response(405 if known else 404, b"", {})


def expect(response: Response, *, what: str) -> bytes:
    """The body of a 200 answer; a refusal in the peer's words otherwise (rule in ``e2s-rule``)."""
    if response.status == 200:
        return response.body
    rule = response.headers.get("e2s-rule", "peer-refused")
    detail = response.body[:500].decode("utf-8", "replace")
    raise Refusal(rule, detail or f"{what}: status {response.status}", status=response.status)


def refused(refusal: Refusal, status: int = 400) -> Response:
    """The answer that carries a refusal's rule and sentence back to the asker."""
    headers = {"e2s-rule": refusal.rule, "content-type": "text/plain; charset=utf-8"}
    return Response(status, refusal.message.encode()[:500], headers)
