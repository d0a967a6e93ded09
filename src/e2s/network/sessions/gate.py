"""A page on loopback answers its owner's browser alone: host, cookie and token are checked before anything.

Other sites can make a browser send requests here, and a name can be made to point here (DNS rebinding);
so the Host header must be ours, the cookie comes only by the start link, and each form carries a token.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from urllib.parse import parse_qsl, urlsplit

from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.http import Request, Response
from e2s.base.wire import b64u

MAX_FORM_BYTES = 64 * 1024
MAX_FIELDS = 1000
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that passed the gate: its path, its query or form, and the token for the page's own forms."""

    method: str
    path: str
    fields: Mapping[str, str] = field(repr=False)
    token: str = field(repr=False)

    def get(self, name: str, default: str = "") -> str:
        """A field's text, without space around it."""
        return self.fields.get(name, default).strip()

    def secret(self) -> str:
        """The pass phrase as it was typed, or the empty string."""
        return self.fields.get("phrase", "")

    def count(self, name: str, most: int = 1_000_000) -> int:
        """A field as a whole number, 0 where it is none."""
        text = self.get(name)
        return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 10 else 0


Answering = Callable[[Asked], Response]


class Gate:
    """Lets the owner's browser through to ``inner``; all others get an empty refusal."""

    def __init__(self, inner: Answering, *, port: int, random: Callable[[int], bytes]) -> None:
        """``port`` is where the page is served, on loopback only."""
        self._inner = inner
        self._hosts = frozenset(f"{host}:{port}" for host in LOOPBACK)
        self._cookie = f"e2s-{port}"
        self._secret = random(32)
        self._session = b64u(random(32))
        self._start: str | None = b64u(random(32))
        self._lock = Lock()
        self.start_path = f"/start?token={self._start}"

    def handle(self, request: Request) -> Response:
        """One request of a browser."""
        if request.headers.get("host", "").lower() not in self._hosts:
            return Response(421, b"", {"connection": "close"})
        if request.headers.get("sec-fetch-site", "same-origin") == "cross-site":
            return Response(403)
        parts = urlsplit(request.path)
        if request.method == "GET" and parts.path == "/start":
            return self._begin(dict(parse_qsl(parts.query)).get("token", ""))
        if not self._known(request):
            return Response(
                403, b"Open the start link that the command showed.\n", {"content-type": "text/plain"}
            )
        if request.method not in {"GET", "POST"}:
            return Response(405, b"", {"allow": "GET, POST"})
        query = parts.query if request.method == "GET" else self._form(request)
        if query is None:
            return Response(403)
        try:
            fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            return Response(400)
        if request.method == "POST" and not self._ours(request, fields.pop("token", "")):
            return Response(403)
        asked = Asked(method=request.method, path=parts.path, fields=fields, token=self._token())
        return self._inner(asked)

    def _begin(self, token: str) -> Response:
        """Turn the start link into a cookie, once."""
        with self._lock:
            start, good = self._start, hmac.compare_digest(token.encode(), (self._start or "").encode())
            if start is None or not good:
                return Response(403, b"This start link was used before.\n", {"content-type": "text/plain"})
            self._start = None
        cookie = f"{self._cookie}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        return Response(303, b"", {"location": "/", "set-cookie": cookie})

    def _known(self, request: Request) -> bool:
        """Whether the browser has the cookie of the start link."""
        pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
        held = next((value for name, _, value in pairs if name == self._cookie), "")
        return self._start is None and hmac.compare_digest(held.encode(), self._session.encode())

    def _form(self, request: Request) -> str | None:
        """A form's body as text; none for any other content."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != "application/x-www-form-urlencoded" or len(request.body) > MAX_FORM_BYTES:
            return None
        return request.body.decode("ascii", "replace")

    def _ours(self, request: Request, token: str) -> bool:
        """Whether a form was sent by one of our own pages."""
        origin = request.headers.get("origin", "")
        from_here = origin in {"", *(f"http://{host}" for host in self._hosts)}
        return from_here and hmac.compare_digest(token.encode(), self._token().encode())

    def _token(self) -> str:
        return b64u(hmac.new(self._secret, self._session.encode(), sha256).digest())


def redirect(where: str) -> Response:
    """After a form, go and look: a reload repeats nothing."""
    return Response(303, b"", {"location": where})


def told(error: E2SError) -> str:
    """What a page says about an error: the sentence and its rule."""
    if isinstance(error, Misuse):
        return f"This cannot be done: {error.message} ({error.rule})"
    if isinstance(error, Refusal):
        return f"{error.message[:1].upper()}{error.message[1:]} ({error.rule})."
    return "The other side did not answer. Nothing is lost: try again in a moment."
