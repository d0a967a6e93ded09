"""The OCSP responder: tells how certificates stand, by GET and POST, for every CA that delegated it.

RFC 6960 with the profile of RFC 5019.  An answer to a plain query is kept and given again until half its
time is over or its certificate's status changes; one with a nonce, or of several certificates, is made as it
is asked for.  A responder that lost touch with a CA's register says so, and nothing else: *try later*.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import unquote

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.http import Request, Response
from e2s.base.instants import Clock
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Signer
from e2s.security.status import answers, store
from e2s.security.status.answers import Single, Status
from e2s.security.status.queries import DIGESTS, MAX_ASKED, MAX_QUERY_BYTES, Query, UsualQueries, read_query
from e2s.security.verification.ocsp import hashes_of, is_delegated

Key = TypeVar("Key")
Value = TypeVar("Value")

QUERY, ANSWER = "application/ocsp-request", "application/ocsp-response"
_HALF = 2
#: A delegated key is renewed when a third of its certificate's time is left.
_RENEWAL = 3
#: Base64 of the longest query.
_MAX_PATH = (MAX_QUERY_BYTES + 2) // 3 * 4
#: A query about one certificate, with its nonce.
_USUAL_BYTES = 512
#: How many changes are remembered one by one; after that, every answer of the CA is made anew.
_MAX_CHANGED = 50_000


@dataclass(frozen=True, kw_only=True)
class Answering:
    """How a responder answers.

    ``lifetime`` of an answer; ``max_age_seconds``: how long caches on the way may keep it; ``never_issued``:
    what is told of serials that the CA never used (RFC 6960, 2.2); ``most_behind``: how long ago the CA's
    register may have been heard of last; ``kept``: how many answers are held ready; ``most_asked``: of how
    many certificates one query may ask.
    """

    lifetime: timedelta = timedelta(hours=1)
    max_age_seconds: int = 60
    never_issued: Literal["unknown", "revoked"] = "unknown"
    most_behind: timedelta = timedelta(minutes=5)
    kept: int = 50_000
    most_asked: int = MAX_ASKED


_NEVER = datetime.min.replace(tzinfo=UTC)


class _Kept(NamedTuple):
    """An answer that is held ready, with what was known when it was made."""

    voice: _Voice
    serial: int
    number: int
    body: bytes
    at: datetime
    half: datetime
    headers: dict[str, str]

    def stands(self, now: datetime) -> bool:
        """Whether it may be given now."""
        voice = self.voice
        good = self.at <= now < self.half and now < voice.stale
        return good and voice.is_newest(self.serial, self.number)


class _Voice:
    """One CA, and who answers in its name."""

    __slots__ = ("ca", "changed", "floor", "known", "seen", "signer", "stale")

    def __init__(self, ca: Certificate, signer: Signer) -> None:
        self.ca = ca
        self.signer = signer
        #: When the CA's register was not heard of for too long.
        self.stale = _NEVER
        #: The number of the last change; of each serial that changed; below which no answer stands.
        self.seen = 0
        self.changed: dict[int, int] = {}
        self.floor = 0
        #: How certificates stand that were asked for lately, and at which change that was known.
        self.known: dict[int, tuple[int, Status]] = {}

    def is_newest(self, serial: int, number: int) -> bool:
        """Whether what was known of a certificate at change ``number`` is what is known now."""
        return number >= self.floor and number >= self.changed.get(serial, 0)


class Responder:
    """A door that answers OCSP queries from the statuses in its database."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        answering: Answering | None = None,
        prefix: str = "",
    ) -> None:
        """``database`` has :data:`store.TABLES`; ``prefix`` is the path before a query's base64."""
        self._database = database
        self._clock = clock
        self._answering = answering or Answering()
        self._prefix = prefix
        self._voices: dict[bytes, _Voice] = {}
        self._named: dict[bytes, _Voice] = {}
        self._usual = UsualQueries()
        self._kept: dict[bytes, _Kept] = {}
        #: The same by the path of a GET, as it was asked.
        self._at_path: dict[str, _Kept] = {}

    # ------------------------------------------------------------------ whose statuses

    def speak(self, ca: Certificate, signer: Signer) -> None:
        """Answer in the name of ``ca`` by ``signer``, from now on; again with a renewed one.

        Raises :class:`Misuse` ``wrong-purpose`` unless it is the CA's own or one that it delegated (4.2.2.2).
        """
        own = signer.certificate
        if own != ca and not is_delegated(own, ca):
            raise Misuse("wrong-purpose", "the CA did not delegate its answers to this key", ca=ca.subject)
        known = self._voices.get(ca.digest)
        if known is not None:
            known.signer = signer
            return
        voice = self._voices[ca.digest] = _Voice(ca, signer)
        with self._database.reading() as connection:
            voice.seen = voice.floor = store.followed(connection, ca)
        for hashing, algorithms in DIGESTS.items():
            named = b"".join(map(der.octet_string, hashes_of(ca, hashing)))
            for algorithm in algorithms:
                self._named[algorithm + named] = voice
                self._usual.add(algorithm + named)

    def due(self, at: datetime) -> tuple[Certificate, ...]:
        """The CAs whose delegate's certificate is in its last third, or over: time for another."""
        return tuple(voice.ca for voice in self._voices.values() if _is_due(voice.signer.certificate, at))

    # ------------------------------------------------------------------ following the CA's register

    def followed(self, connection: sa.Connection, ca: Certificate) -> int:
        """The number of the last change of ``ca`` that is known here."""
        return store.followed(connection, ca)

    def apply(
        self, connection: sa.Connection, ca: Certificate, changes: Sequence[store.Change], at: datetime
    ) -> int:
        """Take the CA's next changes, which were heard of at ``at``; the number of the last one.

        Without changes it says that there are none.  What was answered of these certificates before is not
        given again.  Raises :class:`Refusal` ``feed-gap`` or ``feed-entry``, and then the transaction is to
        be undone.
        """
        voice = self._voices.get(ca.digest)
        number = store.apply(connection, ca, changes) if changes else 0
        if voice is not None:
            for change in changes:
                voice.changed[change.serial] = change.number
            if len(voice.changed) > _MAX_CHANGED:
                voice.floor = number
                voice.changed = {}
            voice.seen = max(voice.seen, number)
            voice.stale = at + self._answering.most_behind
        return number

    def tick(self) -> None:
        """Notice what another process applied; answers from before it are not given again."""
        for voice in self._voices.values():
            with self._database.reading() as connection:
                number = store.followed(connection, voice.ca)
            if number > voice.seen:
                voice.seen = voice.floor = number

    # ------------------------------------------------------------------ the door

    def handle(self, request: Request) -> Response:
        """One query, one answer; whatever cannot be answered is told as RFC 6960, 4.2.1 names it."""
        if request.method == "GET":
            kept = self._at_path.get(request.path)
            if kept is not None and kept.stands(self._clock.now()):
                return _given(request, kept)
        try:
            octets = self._asked(request)
        except Refusal as refusal:
            return _failed(answers.MALFORMED, refusal.rule)
        if octets is None:
            return Response(415 if request.method == "POST" else 405, b"", {"allow": "GET, HEAD, POST"})
        now = self._clock.now()
        kept = self._kept.get(octets)
        if kept is None or not kept.stands(now):
            try:
                made = self._made(octets, now)
            except Refusal as refusal:
                return _failed(_FAILURES.get(refusal.rule, answers.MALFORMED), refusal.rule)
            if isinstance(made, Response):
                return made
            kept = made
        if request.method == "POST":
            return Response(200, kept.body, _POSTED)
        if request.method == "GET":
            _hold(self._at_path, request.path, kept, self._answering.kept)
        return _given(request, kept)

    def quick(self, request: Request) -> bool:
        """Whether it is a query of usual size: read, answered and signed at once, by a key in memory."""
        usual = max(len(request.path), len(request.body)) <= _USUAL_BYTES
        return usual and request.path.startswith(self._prefix)

    def _asked(self, request: Request) -> bytes | None:
        """The query's octets, None where the request is not one for this door (RFC 6960, A.1)."""
        if request.method == "POST":
            kind = request.headers.get("content-type", "")
            return request.body if kind.split(";", 1)[0].strip().lower() == QUERY else None
        if request.method not in {"GET", "HEAD"}:
            return None
        text = request.path[len(self._prefix) + 1 :]
        if "%" in text:
            text = text.replace("%2F", "/").replace("%2B", "+").replace("%3D", "=")
            if "%" in text:
                text = unquote(text[: 3 * _MAX_PATH], errors="replace")
        if len(text) > _MAX_PATH:
            raise Refusal("query-too-large", "the query is larger than may be read", size=len(text))
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except ValueError as error:
            raise Refusal("bad-query", "a query is asked for in base64 (RFC 6960, A.1)") from error

    def _made(self, octets: bytes, now: datetime) -> _Kept | Response:
        """A new answer; of a plain query about a certificate that is known it is kept."""
        query = self._usual.read(octets) or read_query(octets, most=self._answering.most_asked)
        voice = self._voice(query)
        signer, until = voice.signer, self._until(voice, now)
        if until is None:
            return _failed(answers.TRY_LATER, "status-stale")
        try:
            number, singles = self._singles(voice, query)
        except Unreachable as unreachable:
            return _failed(answers.TRY_LATER, unreachable.rule)
        extended = self._answering.never_issued == "revoked"
        try:
            body = answers.write_answer(
                singles, signer, voice.ca, at=now, until=until, nonce=query.nonce, extended=extended
            )
        except (Refusal, Misuse, Unreachable) as error:
            return _failed(answers.INTERNAL, error.rule)
        (first, *_), half = singles, now + (until - now) / _HALF
        if not query.plain or not (first.status.known or first.status.entry):
            return Response(200, body, _POSTED)
        headers, serial = self._headers(body, now, until), query.asked[0].serial
        kept = _Kept(voice, serial, number, body, now, half, headers)
        _hold(self._kept, octets, kept, self._answering.kept)
        return kept

    def _voice(self, query: Query) -> _Voice:
        """Who answers: all certificates of a query are of one CA that is known here (4.2.2.2)."""
        voice = self._named.get(query.asked[0].issuer)
        if voice is None or any(self._named.get(one.issuer) is not voice for one in query.asked):
            raise Refusal("unknown-issuer", "no answer can be given for such a CA, or for several at once")
        return voice

    def _until(self, voice: _Voice, now: datetime) -> datetime | None:
        """Until when an answer may hold; None where nothing certain can be said now."""
        own = voice.signer.certificate
        if now >= voice.stale or not own.not_before <= now < own.not_after:
            return None
        return min(now + self._answering.lifetime, own.not_after)

    def _singles(self, voice: _Voice, query: Query) -> tuple[int, list[Single]]:
        """How each certificate stands, and the number of a change of the CA that the first one knows."""
        found = [self._status(voice, one.serial) for one in query.asked]
        singles = [Single(one.der, status) for one, (_, status) in zip(query.asked, found, strict=True)]
        return found[0][0], singles

    def _status(self, voice: _Voice, serial: int) -> tuple[int, Status]:
        """How a certificate stands; of those that were asked for lately it is remembered."""
        known = voice.known.get(serial)
        if known is not None and voice.is_newest(serial, known[0]):
            return known
        with self._database.glance() as connection:
            known = store.status(connection, voice.ca, serial)
        if known[1].known or known[1].entry is not None:
            _hold(voice.known, serial, known, self._answering.kept)
        return known

    def _headers(self, body: bytes, at: datetime, until: datetime) -> dict[str, str]:
        """What caches are told (RFC 5019, 6.2)."""
        most = min(self._answering.max_age_seconds, int((until - at).total_seconds()))
        return {
            "content-type": ANSWER,
            "cache-control": f"max-age={most}, public, no-transform, must-revalidate",
            "etag": f'"{sha256(body).hexdigest()}"',
            "last-modified": _date(at),
            "expires": _date(until),
        }


def _hold(held: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Hold a value, in place of the oldest where there are too many."""
    while len(held) >= most:
        try:
            held.pop(next(iter(held)), None)
        except (StopIteration, RuntimeError):  # another thread was quicker
            break
    held[key] = value


def _given(request: Request, kept: _Kept) -> Response:
    """A held answer to a GET, or that what the asker has still stands."""
    if request.headers.get("if-none-match") == kept.headers["etag"]:
        return Response(304, b"", kept.headers)
    return Response(200, kept.body, kept.headers)


_POSTED = {"content-type": ANSWER}
_FAILURES = {"unknown-issuer": answers.UNAUTHORIZED}


def _failed(body: bytes, rule: str) -> Response:
    """An answer without a signature; the rule stands beside it."""
    return Response(200, body, {**_POSTED, "e2s-rule": rule})


@lru_cache(maxsize=256)
def _date(at: datetime) -> str:
    """An instant as HTTP writes it."""
    return format_datetime(at, usegmt=True)


def _is_due(own: Certificate, at: datetime) -> bool:
    return own.not_after - at < (own.not_after - own.not_before) / _RENEWAL
