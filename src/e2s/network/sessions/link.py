"""Components of one party talk over links: a pairwise key says who asks, and each message is sealed.

Keys are 32 octets in files of mode 0600, made at set-up for each pair.  Every request has a key of
its own, derived from the pair's key, the direction and the request's 16-octet identifier; every
answer likewise from that identifier and its own.  Names, path and instant are authenticated with
the body.  The door answers a request once, within the clock bound, and not from before its start;
a refusal that is not sealed proves nothing and is only ``Unreachable`` to the asker.
"""

from __future__ import annotations

import os
import stat
import threading
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Exchange, Request, Response, refused
from e2s.base.instants import DELTA, Clock, format_instant, parse_instant

KEY_BYTES = 32
_ID_BYTES = 16
#: Identifiers remembered within twice the clock bound; more is refused rather than forgotten.
_MAX_REMEMBERED = 2**17
_DONE, _REFUSED, _UNREACHABLE = b"\x00", b"\x01", b"\x02"

Door: TypeAlias = Callable[[str, bytes], bytes]


def make_key(path: Path, random: Callable[[int], bytes]) -> None:
    """Write a new link key at ``path`` (mode 0600); an existing file is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Misuse("link-key-file", "the link key cannot be written", path=str(path)) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(random(KEY_BYTES))


def read_key(path: Path) -> bytes:
    """The link key at ``path``; raises :class:`Misuse` where others may read it or it is no key."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise Misuse("link-key-file", "the link key cannot be read", path=str(path)) from error
    if stat.S_IMODE(mode) & 0o077 or len(key) != KEY_BYTES:
        raise Misuse("link-key-file", "a link key is 32 octets that only its owner can read", path=str(path))
    return key


def _cipher(key: bytes, salt: bytes, direction: str, sender: str, receiver: str) -> AESGCM:
    """The cipher of one message: no two messages share a key, so the nonce is all zeros."""
    return AESGCM(HKDF(hashes.SHA256(), 32, salt, _label(direction, sender, receiver)).derive(key))


@lru_cache(maxsize=256)
def _label(direction: str, sender: str, receiver: str) -> bytes:
    """What a link's keys are derived for."""
    return wire.encode({"type": "e2s/1/link-key", "direction": direction, "from": sender, "to": receiver})


def _header(direction: str, sender: str, receiver: str, path: str, at: str, ident: bytes) -> bytes:
    """What is authenticated beside the body."""
    return wire.encode(
        {
            "type": "e2s/1/link",
            "direction": direction,
            "from": sender,
            "to": receiver,
            "path": path,
            "at": at,
            "id": wire.b64u(ident),
        }
    )


_NONCE = bytes(12)


class Link:
    """The asking end: ``me`` speaks to the component ``peer`` at ``origin``."""

    def __init__(
        self,
        me: str,
        peer: str,
        key: bytes,
        exchange: Exchange,
        origin: str,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``key`` as from :func:`read_key`."""
        if len(key) != KEY_BYTES:
            raise Misuse("link-key-file", "a link key is 32 octets")
        self.me = me
        self.peer = peer
        self.origin = origin
        self._key = key
        self._exchange = exchange
        self._clock = clock
        self._random = random

    def ask(self, path: str, body: bytes) -> bytes:
        """The peer's answer to ``body`` at ``path``.

        Raises :class:`Refusal` with the rule that the peer's door gave, :class:`Unreachable` when no
        authentic answer came; what a carrier or the link itself refused is ``Unreachable`` by that rule.
        """
        ident = self._random(_ID_BYTES)
        at = format_instant(self._clock.now())
        cipher = _cipher(self._key, ident, "ask", self.me, self.peer)
        sealed = cipher.encrypt(_NONCE, body, _header("ask", self.me, self.peer, path, at, ident))
        headers = {"e2s-from": self.me, "e2s-to": self.peer, "e2s-at": at, "e2s-id": wire.b64u(ident)}
        response = self._exchange.send(self.origin, Request("POST", path, sealed, headers))
        if response.status != 200:
            rule = response.headers.get("e2s-rule", "link-refused")
            raise Unreachable(rule, "the link gave no authentic answer", peer=self.peer)
        return self._opened(response.body, path, at, ident)

    def _opened(self, octets: bytes, path: str, at: str, ident: bytes) -> bytes:
        mine, sealed = octets[:_ID_BYTES], octets[_ID_BYTES:]
        cipher = _cipher(self._key, ident + mine, "answer", self.peer, self.me)
        try:
            plain = cipher.decrypt(_NONCE, sealed, _header("answer", self.peer, self.me, path, at, ident))
        except (InvalidTag, ValueError) as error:
            raise Unreachable("link-altered", "the answer is not the peer's", peer=self.peer) from error
        if plain[:1] == _DONE:
            return plain[1:]
        told = wire.decode(plain[1:])
        if plain[:1] == _REFUSED:
            raise Refusal(told["rule"], told["message"], **told["facts"])
        raise Unreachable(told["rule"], told["message"], **told["facts"])


class LinkDoor:
    """The answering end: authenticates the peer, then gives the body to the door of its path."""

    def __init__(
        self,
        me: str,
        keys: Mapping[str, bytes],
        doors: Mapping[str, Door],
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """``keys`` by peer's name, ``doors`` by path; a door gets peer and body, gives the answer's body."""
        if any(len(key) != KEY_BYTES for key in keys.values()):
            raise Misuse("link-key-file", "a link key is 32 octets")
        self.me = me
        self._keys = dict(keys)
        self._doors = dict(doors)
        self._clock = clock
        self._random = random
        self._started = self._latest = clock.now()
        self._seen: dict[tuple[str, bytes], datetime] = {}
        self._purged = self._started
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Response:
        """Answer one sealed request; a fault of the link itself is refused in clear, with no effect."""
        try:
            peer, at, ident, body = self._authenticated(request)
            plain = self._served(peer, request.path, body)
        except Refusal as refusal:
            return refused(refusal, 403)
        mine = self._random(_ID_BYTES)
        cipher = _cipher(self._keys[peer], ident + mine, "answer", self.me, peer)
        header = _header("answer", self.me, peer, request.path, at, ident)
        return Response(200, mine + cipher.encrypt(_NONCE, plain, header))

    def _authenticated(self, request: Request) -> tuple[str, str, bytes, bytes]:
        peer = request.headers.get("e2s-from", "")
        at = request.headers.get("e2s-at", "")
        key = self._keys.get(peer)
        if key is None or request.headers.get("e2s-to") != self.me:
            raise Refusal("link-unknown-peer", "no link joins these two components", component=self.me)
        try:
            sent = parse_instant(at)
            ident = wire.unb64u(request.headers.get("e2s-id", ""))
            header = _header("ask", peer, self.me, request.path, at, ident)
        except (Refusal, Misuse) as error:
            raise Refusal("link-altered", "the link's fields are not well formed") from error
        if len(ident) != _ID_BYTES:
            raise Refusal("link-altered", "the link's fields are not well formed")
        try:
            body = _cipher(key, ident, "ask", peer, self.me).decrypt(_NONCE, request.body, header)
        except (InvalidTag, ValueError) as error:
            raise Refusal("link-altered", "the request is not what the peer sealed") from error
        self._once(peer, ident, sent)
        return peer, at, ident, body

    def _once(self, peer: str, ident: bytes, sent: datetime) -> None:
        """Refuse what is outside the window, from before our start, or known."""
        now = self._clock.now()
        with self._lock:
            if now < self._latest - DELTA:
                # The clock was set back: what it forgot while it was ahead may be fresh again, and what it
                # took for our start may lie ahead.  So this is a start: only what is sealed from now on.
                self._started = self._latest = self._purged = now
            self._latest = max(now, self._latest)
            if abs(now - sent) > DELTA or sent < self._started:
                raise Refusal("link-stale", "the request was sealed too long ago")
            if now - self._purged > timedelta(seconds=1):
                self._seen = {k: at for k, at in self._seen.items() if now - at <= 3 * DELTA}
                self._purged = now
            if (peer, ident) in self._seen:
                raise Refusal("link-replayed", "this request was answered before")
            if len(self._seen) >= _MAX_REMEMBERED:
                raise Refusal("link-busy", "more requests than can be remembered")
            self._seen[peer, ident] = now

    def _served(self, peer: str, path: str, body: bytes) -> bytes:
        door = self._doors.get(path)
        try:
            if door is None:
                raise Refusal("link-no-door", "nothing is served at this path", path=path)
            return _DONE + door(peer, body)
        except (Refusal, Unreachable) as error:
            facts = {name: value for name, value in error.facts.items() if value is not None}
            message = unicodedata.normalize("NFC", error.message)
            told = {"rule": error.rule, "message": message, "facts": facts}
            return (_REFUSED if isinstance(error, Refusal) else _UNREACHABLE) + wire.encode(told)
