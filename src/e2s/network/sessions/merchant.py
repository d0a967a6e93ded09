"""The merchant's end, inside: who logs in gets keys in memory; each record is judged before it is served.

A session is *pending* until a record opens under its keys.  It ends by a close record, by being idle,
at its absolute end, when Ba's certificate is no longer good, or with the process.  The merchant's
signing and agreement keys live elsewhere: opening an envelope and signing a document are ports.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from e2s.base import wire
from e2s.base.errors import Misuse, Refusal, Unreachable
from e2s.base.instants import Clock, parse_instant, passed_for_counterpart
from e2s.crypto.acts import Act, read_act, write_content
from e2s.crypto.certificates import Certificate
from e2s.crypto.exchange import respond
from e2s.network.sessions.calls import Call, read_call, write_challenge, write_refusal, write_result
from e2s.network.sessions.keys import derive, session_suite, transcript
from e2s.network.sessions.login import (
    BUYER_SESSION,
    LOGIN,
    Checker,
    Login,
    OpenEnvelope,
    SignDocument,
    Terms,
    check_login,
    read_login,
    write_answer,
)
from e2s.network.sessions.offers import check_signature_suite
from e2s.network.sessions.pages import (
    SECRET_BYTES,
    Page,
    Shop,
    check_page,
    make_page,
    write_page_answer,
)
from e2s.network.sessions.presence import CHALLENGE_BYTES, PRESENCE, check_presence
from e2s.network.sessions.records import SID_BYTES, Channel, Kind, Side, read_header


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long a session lasts and what it may do; seconds."""

    idle_seconds: int = 600
    absolute_seconds: int = 8 * 3600
    presence_seconds: int = 300
    pending_seconds: int = 120
    challenge_seconds: int = 120
    recheck_seconds: int = 60
    max_sessions: int = 4096
    max_per_buyer: int = 8
    fresh_ops: frozenset[str] = frozenset({"offer"})


@dataclass(frozen=True)
class Caller:
    """Who asks: the certificate Ba that the session's login was signed with, and its issuers."""

    certificate: Certificate
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True)
class _Challenge:
    octets: bytes
    seq: int
    rid: str
    at: datetime


@dataclass
class _Session:
    """One session of the table; its lock is held while a record of it is judged and served."""

    caller: Caller
    channel: Channel
    th: bytes
    started: datetime
    last: datetime
    end: datetime
    checked: datetime
    proved: datetime
    opened: bool = False
    ended: bool = False
    challenge: _Challenge | None = None
    ready_rid: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


Serve: TypeAlias = Callable[[Caller, Call], wire.Document]


class Sessions:
    """Pages, logins and open sessions of one shop."""

    def __init__(
        self,
        shop: Shop,
        *,
        checker: Checker,
        open_envelope: OpenEnvelope,
        sign_document: SignDocument,
        clock: Clock,
        random: Callable[[int], bytes],
        limits: Limits | None = None,
    ) -> None:
        """Ports: who checks, who opens envelopes, who signs; and how long sessions last."""
        self.shop = shop
        self.limits = limits or Limits()
        self._checker = checker
        self._open_envelope = open_envelope
        self._sign_document = sign_document
        self._clock = clock
        self._random = random
        self._secret = random(SECRET_BYTES)
        self._used: dict[bytes, datetime] = {}
        self._table: dict[bytes, _Session] = {}
        self._lock = threading.Lock()

    def page(self) -> bytes:
        """A fresh login page with its certificates beside it."""
        return write_page_answer(
            self.shop, make_page(self.shop, self._secret, self._random, self._clock.now())
        )

    def login(self, octets: bytes) -> bytes:
        """The signed answer to a login; the session stays pending until its first record opens.

        Raises :class:`Refusal`: of the envelope, the act, the checker, the page and the login, and
        ``replayed-login``, ``suite-not-permitted``, ``invalid-point``, ``too-many-sessions``.
        """
        now = self._clock.now()
        act = read_act(self._open_envelope(octets))
        self._checker.check_act(act, type=LOGIN, to=self.shop.merchant, purpose=BUYER_SESSION, at=now)
        login = read_login(act.document)
        if act.over:
            raise Refusal("bad-act", "a login is over no other act")
        if passed_for_counterpart(parse_instant(act.document["until"]), now):
            raise Refusal("stale-page", "the login's time is over")
        page = check_page(self.shop, self._secret, login.page, now)
        check_login(login, page, self.shop)
        for certificate in (act.certificate, self.shop.signing):
            check_signature_suite(certificate, page.offer, login.offer, at=now, policy=self.shop.policy)
        self._use(page, now)
        return self._agree(act, login, page, now)

    def _use(self, page: Page, now: datetime) -> None:
        """A page serves one login."""
        with self._lock:
            self._used = {nonce: until for nonce, until in self._used.items() if now < until}
            if page.nonce in self._used:
                raise Refusal("replayed-login", "a login with this page was taken before")
            self._used[page.nonce] = page.until

    def _agree(self, act: Act, login: Login, page: Page, now: datetime) -> bytes:
        name, theirs = login.shares[0]  # the strongest of both offers, as check_login has it
        share, secret = respond(name, theirs, self._random)
        terms = Terms(
            sid=self._random(SID_BYTES),
            catalogue=self.shop.catalogue,
            idle=self.limits.idle_seconds,
            presence=self.limits.presence_seconds,
            end=min(now + timedelta(seconds=self.limits.absolute_seconds), act.certificate.not_after),
        )
        document = write_answer(
            sender=self.shop.signing.id,
            act=act,
            login=login,
            suite=name,
            share=share,
            terms=terms,
            at=now,
        )
        answer = self._sign_document(document, [])
        content = write_content(wire.encode(document), [])
        th = transcript(page.octets, act.signed.octets, content)
        self._admit(
            _Session(
                caller=Caller(act.certificate, act.certificates),
                channel=Channel(Side.MERCHANT, terms.sid, derive(session_suite(name), secret, th)),
                th=th,
                started=now,
                last=now,
                end=terms.end,
                checked=now,
                proved=now,
            )
        )
        return answer

    def _admit(self, session: _Session) -> None:
        """Enter a pending session; a buyer's oldest gives way to her newest."""
        self.sweep()
        with self._lock:
            hers = [s for s in self._table.values() if s.caller.certificate == session.caller.certificate]
            if len(hers) >= self.limits.max_per_buyer:
                self._drop(min(hers, key=lambda one: (one.opened, one.last)))
            if len(self._table) >= self.limits.max_sessions:
                raise Refusal("too-many-sessions", "the shop holds as many sessions as it can")
            self._table[session.channel.sid] = session

    def receive(self, octets: bytes, serve: Serve) -> bytes:
        """The sealed answer to one record; ``serve`` gets the authenticated caller and her call.

        Raises :class:`Refusal` without effect: those of :meth:`Channel.open` and ``no-session``;
        :class:`Unreachable` ``session-busy`` while another record of the session is served.
        """
        sid = read_header(octets).sid
        now = self._clock.now()
        with self._lock:
            session = self._table.get(sid)
            if session is not None and self._over(session, now):
                self._drop(session)
                session = None
        if session is None:
            raise Refusal("no-session", "there is no such session; log in anew")
        if not session.lock.acquire(blocking=False):
            raise Unreachable("session-busy", "a request of this session is being served")
        try:
            kind, seq, body = session.channel.open(octets)
            session.opened = True
            session.last = now
            if kind is Kind.CLOSE:
                answer = session.channel.seal(Kind.CLOSE, b"")
                self._end(session)
                return answer
            return session.channel.seal(Kind.ANSWER, self._answered(session, kind, seq, body, serve, now))
        finally:
            session.lock.release()
            self._forget_ended(session)

    def _answered(
        self, session: _Session, kind: Kind, seq: int, body: bytes, serve: Serve, now: datetime
    ) -> bytes:
        """The body of the answer to an authentic record; a refusal is an answer too."""
        rid = ""
        try:
            self._recheck(session, now)
            if kind is Kind.PRESENCE:
                self._take_proof(session, body, now)
                return write_result(seq, rid, {"present": True})
            call = read_call(body)
            rid = call.rid
            challenge = self._wanted(session, call, now)
            if challenge:
                return write_challenge(seq, rid, challenge)
            return write_result(seq, rid, serve(session.caller, call))
        except Refusal as refusal:
            return write_refusal(seq, rid, refusal)
        except Misuse as misuse:
            if misuse.rule != "too-large":
                raise
            return write_refusal(seq, rid, Refusal("too-large", "the result does not fit in one answer"))

    def _recheck(self, session: _Session, now: datetime) -> None:
        """Ba's certificate must still be good; looked up again when the last time is too long ago."""
        if timedelta(0) <= now - session.checked < timedelta(seconds=self.limits.recheck_seconds):
            return
        caller = session.caller
        try:
            self._checker.check_certificate(
                caller.certificate, caller.certificates, purpose=BUYER_SESSION, name=None, at=now
            )
        except Refusal:
            self._end(session)
            raise
        session.checked = now

    def _wanted(self, session: _Session, call: Call, now: datetime) -> bytes:
        """The challenge to be met before ``call`` is served, or nothing."""
        waiting = session.challenge
        if waiting is not None and now - waiting.at < timedelta(seconds=self.limits.challenge_seconds):
            due = True
        else:
            waiting = None
            due = now - session.proved >= timedelta(seconds=self.limits.presence_seconds)
            due = due or (call.op in self.limits.fresh_ops and session.ready_rid != call.rid)
        if not due:
            return b""
        octets = waiting.octets if waiting else self._random(CHALLENGE_BYTES)
        # The answer with it is the next record sent; a repeated challenge is bound to its newest answer.
        session.challenge = _Challenge(
            octets, session.channel.sent + 1, call.rid, waiting.at if waiting else now
        )
        return octets

    def _take_proof(self, session: _Session, body: bytes, now: datetime) -> None:
        """Ba's signature on the challenge that waits; raises ``no-presence`` or the checker's rule."""
        waiting = session.challenge
        if waiting is None or now - waiting.at >= timedelta(seconds=self.limits.challenge_seconds):
            raise Refusal("no-presence", "no challenge waits for a proof")
        act = read_act(body)
        self._checker.check_act(act, type=PRESENCE, to=self.shop.merchant, purpose=BUYER_SESSION, at=now)
        check_presence(
            act,
            signer=session.caller.certificate.id,
            challenge=waiting.octets,
            sid=session.channel.sid,
            th=session.th,
            seq=waiting.seq,
        )
        session.challenge = None
        session.proved = now
        session.ready_rid = waiting.rid

    def _over(self, session: _Session, now: datetime) -> bool:
        """Whether the session has ended by time; a busy one is idle only once it is served."""
        if now >= session.end:
            return True
        span = self.limits.idle_seconds if session.opened else self.limits.pending_seconds
        return now - session.last >= timedelta(seconds=span)

    def sweep(self) -> None:
        """Forget the sessions that have ended by time; called from time to time."""
        now = self._clock.now()
        with self._lock:
            for session in [s for s in self._table.values() if self._over(s, now)]:
                self._drop(session)

    def _end(self, session: _Session) -> None:
        """Take the session out of the table; its keys go once the record in hand is answered."""
        session.ended = True
        with self._lock:
            self._table.pop(session.channel.sid, None)

    def _forget_ended(self, session: _Session) -> None:
        if session.ended:
            session.channel.close()

    def _drop(self, session: _Session) -> None:
        """Take out and forget; the table's lock is held."""
        self._table.pop(session.channel.sid, None)
        if session.lock.acquire(blocking=False):
            session.channel.close()
            session.lock.release()
        else:
            session.ended = True

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for session in list(self._table.values()):
                self._drop(session)

    def __len__(self) -> int:
        """How many sessions are pending or open."""
        return len(self._table)
