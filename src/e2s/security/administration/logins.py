"""An officer logs in by signing a challenge, and is known for a short while by a token.

A challenge is good once, for two minutes, at one audience; nothing is kept of one until it is used.  A token
is kept as its digest and in memory only; whoever has one reads, but changes nothing without the officer's
signed word.  At each use her certificate and rights are looked at anew: who was revoked is out at once.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.administration.desk import Desk
from e2s.security.administration.documents import CHALLENGE_BYTES, LOGIN
from e2s.security.pki.rights import RIGHTS
from e2s.security.registration.documents import read_word

CHALLENGE_LIFE: Final = timedelta(minutes=2)
#: A token ends after so long without use, and after so long in any case.
IDLE: Final = timedelta(minutes=15)
LIFE: Final = timedelta(hours=4)
#: Sessions that there are at once; of one officer.
MOST: Final = 256
MOST_OF_ONE: Final = 4
_MOST_USED: Final = 65536
_TIME_BYTES, _RANDOM_BYTES, _MAC_BYTES = 8, 16, 24
_FORMS: Final = {LOGIN.type: LOGIN}
MAX_WORD_BYTES: Final = 64 * 1024
#: One of these is needed to log in.
ANY: Final = (
    RIGHTS.audit,
    RIGHTS.policy,
    RIGHTS.officers,
    RIGHTS.register,
    RIGHTS.approve,
    RIGHTS.revoke,
)


@dataclass(kw_only=True)
class Session:
    """Who is logged in, by which certificate, since when and until when."""

    officer: str
    certificate: Certificate
    certificates: tuple[Certificate, ...] = field(repr=False)
    since: datetime
    used: datetime

    @property
    def until(self) -> datetime:
        """When it ends unless it is used before."""
        return min(self.used + IDLE, self.since + LIFE)


class Logins:
    """The challenges and sessions of one interface."""

    def __init__(self, desk: Desk, *, audience: str, random: Callable[[int], bytes]) -> None:
        """``audience`` is the origin by which officers reach the interface."""
        self.audience = audience
        self._desk = desk
        self._random = random
        self._key = random(32)
        self._used: dict[bytes, datetime] = {}
        self._sessions: dict[bytes, Session] = {}
        self._lock = Lock()

    def challenge(self) -> bytes:
        """A new challenge."""
        until = int((self._desk.now() + CHALLENGE_LIFE).timestamp())
        said = until.to_bytes(_TIME_BYTES, "big") + self._random(_RANDOM_BYTES)
        return said + self._mac(said)

    def begin(self, octets: bytes) -> tuple[str, Session]:
        """A token for the officer who signed; raises :class:`Refusal`.

        ``wrong-audience``, ``bad-challenge``, ``challenge-used``, ``stale-word``, ``other-community``,
        ``other-ca``, ``not-authorised``, or of the word and the verifier.
        """
        word = read_word(octets, _FORMS, max_bytes=MAX_WORD_BYTES)
        document, now = word.document, self._desk.now()
        if not hmac.compare_digest(document["audience"].encode(), self.audience.encode()):
            raise Refusal("wrong-audience", "the log-in was signed for another place", officer=word.officer)
        office = self._desk.office
        if document["community"] != office.community or document["ca"] != office.ca:
            raise Refusal("other-ca", "the log-in was signed for another CA", officer=word.officer)
        if abs(now - parse_instant(document["at"])) > CHALLENGE_LIFE + DELTA:
            raise Refusal("stale-word", "the log-in was signed too long ago, or in time to come")
        challenge = wire.unb64u(document["challenge"])
        self._check(challenge, now)
        session = Session(
            officer=word.officer,
            certificate=word.certificate,
            certificates=word.certificates,
            since=now,
            used=now,
        )
        self._require_good(session, now)
        token = wire.b64u(self._random(32))
        with self._lock:
            self._use(challenge, now)
            self._make_room(word.officer, now)
            self._sessions[_called(token)] = session
        self._desk.told("admin.login", officer=word.officer, certificate=word.certificate.id)
        return token, session

    def session(self, token: str) -> Session:
        """The session of a token; raises :class:`Refusal` ``no-session``, or why its officer is out."""
        now, called = self._desk.now(), _called(token)
        with self._lock:
            found = self._sessions.get(called)
            if found is None or not found.since - DELTA <= now < found.until:
                self._sessions.pop(called, None)
                raise Refusal("no-session", "log in: there is no session of this token, or it is over")
        try:
            self._require_good(found, now)
        except Refusal:
            self.end(token)
            raise
        found.used = now
        return found

    def end(self, token: str) -> None:
        """Forget a session."""
        with self._lock:
            self._sessions.pop(_called(token), None)

    def _require_good(self, session: Session, now: datetime) -> None:
        """The officer's certificate is good, and she holds some right."""
        self._desk.office.trust.check_certificate(
            session.certificate,
            session.certificates,
            purpose=oids.SIGNING["officer"],
            name=session.officer,
            at=now,
        )
        if not self._desk.holds(session.officer, *ANY):
            sentence = f"{session.officer} holds no right in {self._desk.office.ca}"
            raise Refusal("not-authorised", sentence, officer=session.officer)

    def _check(self, challenge: bytes, now: datetime) -> None:
        said, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
        if len(challenge) != CHALLENGE_BYTES or not hmac.compare_digest(mac, self._mac(said)):
            raise Refusal("bad-challenge", "this is no challenge that was given here")
        until = int.from_bytes(said[:_TIME_BYTES], "big")
        if now.timestamp() >= until:
            raise Refusal("bad-challenge", "the challenge is over: ask for another", now=format_instant(now))

    def _use(self, challenge: bytes, now: datetime) -> None:
        """Note that a challenge was used; raises where it was before, or where too many are noted."""
        self._used = {one: until for one, until in self._used.items() if until > now}
        if challenge in self._used or len(self._used) >= _MOST_USED:
            raise Refusal("challenge-used", "this challenge was used before: ask for another")
        self._used[challenge] = now + CHALLENGE_LIFE + DELTA

    def _make_room(self, officer: str, now: datetime) -> None:
        """Forget sessions that are over, and the oldest of who has many."""
        live: Mapping[bytes, Session] = {
            called: one for called, one in self._sessions.items() if now < one.until
        }
        kept = dict(live)
        own = sorted((one.used, called) for called, one in live.items() if one.officer == officer)
        for _used, called in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del kept[called]
        if len(kept) >= MOST:
            raise Refusal("too-many-sessions", "there is no room for another session", most=MOST)
        self._sessions = kept

    def _mac(self, said: bytes) -> bytes:
        return hmac.new(self._key, said, sha256).digest()[:_MAC_BYTES]


def _called(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()
