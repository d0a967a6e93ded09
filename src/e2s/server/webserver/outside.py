"""The outside web server: it carries sealed records inward and shows public files; it understands neither.

Broken into, it can delay, drop and repeat; it holds no key but its links', no session, no price of any
contract.  It takes public files only from the catalogue component and writes only names it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response, refused
from e2s.base.instants import Clock
from e2s.base.wire import unb64u
from e2s.network.sessions.calls import LOGIN_PATH, PAGE_PATH, RECORD_PATH
from e2s.network.sessions.doors import Ask, front
from e2s.network.sessions.link import LinkDoor
from e2s.security.keys.durable import replace_file

#: Public files by the path that shows them.
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/catalogue.cms": ("catalogue.cms", "application/cms"),
    "/catalogue.bin": ("catalogue.bin", "application/octet-stream"),
}
PUBLISH_PATH = "/publish"
MAX_LOGIN_BYTES = 64 * 1024
MAX_RECORD_BYTES = 1024 * 1024
MAX_PUBLISH_BYTES = 2 * 1024 * 1024
_CARRIED = {PAGE_PATH: 0, LOGIN_PATH: MAX_LOGIN_BYTES, RECORD_PATH: MAX_RECORD_BYTES}
_CSS = b"""body{margin:0;font:1rem/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff}
main{max-width:44rem;margin:0 auto;padding:1.5rem}
code{overflow-wrap:anywhere;background:#f2f2f2;padding:.1em .3em}
dt{font-weight:600}
@media(prefers-color-scheme:dark){body{color:#eee;background:#16181c}code{background:#2a2d33}a{color:#8ab4ff}}
"""
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Outside:
    """The component: public HTTP doors, and one link door for publications."""

    def __init__(
        self,
        *,
        ask: Ask,
        folder: Path,
        me: str,
        catalogue: str,
        keys: Mapping[str, bytes],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``ask`` leads to purchasing; ``folder`` holds public files; ``keys`` the link to ``catalogue``."""
        self._front = front(ask)
        self._folder = folder
        links = {name: key for name, key in keys.items() if name == catalogue}
        self._door = LinkDoor(me, links, {PUBLISH_PATH: self._publish}, clock, random)

    def handle(self, request: Request) -> Response:
        """One request from anywhere."""
        path = request.path.split("?", 1)[0]
        most = _CARRIED.get(path)
        if most is not None:
            if len(request.body) > most:
                return refused(Refusal("too-large", "the request is larger than may be carried"), 413)
            return self._front(request)
        if path == PUBLISH_PATH:
            return self._door.handle(request) if request.method == "POST" else Response(405)
        return self._shown(request.method, path)

    def _shown(self, method: str, path: str) -> Response:
        """A public file."""
        if path != "/shop.css" and path not in FILES:
            return Response(404)
        if method not in {"GET", "HEAD"}:
            return Response(405, b"", {"allow": "GET, HEAD"})
        if path == "/shop.css":
            return Response(200, _CSS, {"content-type": "text/css", "cache-control": "max-age=3600"})
        name, kind = FILES[path]
        try:
            body = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return Response(404)
        headers = {"content-type": kind, "cache-control": "max-age=60", "content-security-policy": _POLICY}
        return Response(200, body if method == "GET" else b"", headers)

    def _publish(self, _peer: str, body: bytes) -> bytes:
        """Take the public files of a version: all of them, by the names known here."""
        asked = wire.decode(body, MAX_PUBLISH_BYTES)
        files = asked.get("files")
        known = {name for name, _ in FILES.values()}
        if set(asked) != {"files"} or not isinstance(files, dict) or set(files) != known:
            raise Refusal("bad-request", "a publication holds exactly the public files")
        if not all(isinstance(octets, str) for octets in files.values()):
            raise Refusal("bad-request", "octets are written as text")
        opened = {name: unb64u(octets) for name, octets in files.items()}
        for name, octets in opened.items():
            replace_file(self._folder / name, octets, 0o644)
        return wire.encode({"files": len(opened)})

    def tick(self) -> None:
        """Nothing here waits."""

    def close(self) -> None:
        """Nothing here is held."""
