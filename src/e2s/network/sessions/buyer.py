"""The buyer's end: she logs in to the merchant she chose, and takes no word that is not from there.

What a carrier says in clear, an answer that does not open or is to another request, all count as no
answer: the caller asks again with the same ``rid``.  Only ``no-session`` is believed, as it costs no
more than a new login.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import Clock, passed_for_counterpart
from e2s.crypto import cms, oids
from e2s.crypto.acts import Act, read_act, sign_act
from e2s.crypto.exchange import Ephemeral
from e2s.crypto.ports import Signer
from e2s.crypto.suites import Policy
from e2s.network.sessions.calls import (
    LOGIN_PATH,
    PAGE_PATH,
    RECORD_PATH,
    Answer,
    Call,
    read_answer,
    write_call,
)
from e2s.network.sessions.keys import derive, session_suite, transcript
from e2s.network.sessions.login import (
    LOGIN_ANSWER,
    MERCHANT,
    MERCHANT_AGREEMENT,
    Binding,
    Checker,
    Terms,
    write_login,
)
from e2s.network.sessions.login import read_answer as read_login_answer
from e2s.network.sessions.offers import (
    ALL_SESSIONS,
    ALL_SIGNATURES,
    Offer,
    check_sealing_suite,
    check_signature_suite,
    common_suites,
    offer,
)
from e2s.network.sessions.pages import Page, read_page_answer
from e2s.network.sessions.presence import write_presence
from e2s.network.sessions.records import Channel, Kind, Side

_NONCE_BYTES = 32
_MAX_PROOFS = 2


@dataclass(frozen=True, kw_only=True)
class Session:
    """An agreed session as the buyer holds it."""

    channel: Channel
    terms: Terms
    th: bytes


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user chose: the merchant, its origin, and whether plaintext is declared there.

    She offers those of the session ``suites`` and of the ``signatures`` that her ``location`` permits when
    she logs in.
    """

    merchant: str
    origin: str
    location: str = "*"
    suites: tuple[str, ...] = ALL_SESSIONS
    signatures: tuple[str, ...] = ALL_SIGNATURES
    policy: Policy | None = None
    plain: bool = False

    def offer(self, at: datetime) -> Offer:
        """What she takes then; raises :class:`Refusal` ``suite-not-permitted`` when nothing."""
        return offer(
            self.location, sessions=self.suites, signatures=self.signatures, at=at, policy=self.policy
        )


class LoginRequest:
    """One login under way: :attr:`octets` go to the merchant, :meth:`finish` takes the answer."""

    def __init__(
        self,
        *,
        choice: Choice,
        page: Page,
        ours: Offer,
        act: Act,
        octets: bytes,
        shares: dict[str, Ephemeral],
    ) -> None:
        """Made by :func:`begin`."""
        self.octets = octets
        self._choice = choice
        self._page = page
        self._ours = ours
        self._act = act
        self._shares = shares

    def finish(self, octets: bytes, *, checker: Checker, at: datetime) -> Session:
        """The session that the merchant's answer opens; its keys exist from here on.

        Raises :class:`Refusal`: the checker's rules, ``wrong-origin``, ``altered-page``, ``wrong-answer``,
        ``suite-stripped``, ``suite-not-permitted``, ``stale-answer``, ``invalid-point``.
        """
        answer = read_act(octets)
        me, merchant = self._act.certificate.id, self._choice.merchant
        checker.check_act(answer, type=LOGIN_ANSWER, to=me, purpose=MERCHANT, at=at, name=merchant)
        if self._choice.origin not in answer.certificate.names:
            raise Refusal("wrong-origin", "the merchant's certificate does not name this shop")
        if answer.certificate.id != self._page.signing or answer.over:
            raise Refusal("altered-page", "another certificate answered than the page named")
        check_signature_suite(
            answer.certificate, self._ours, self._page.offer, at=at, policy=self._choice.policy
        )
        suite, share, terms = read_login_answer(
            answer.document,
            login_id=self._act.id,
            page=self._page,
            nonce=wire.unb64u(self._act.document["nB"]),
            offered=tuple(self._shares),
            at=at,
        )
        secret = self._shares[suite].secret(share)
        th = transcript(self._page.octets, self._act.signed.octets, answer.signed.octets)
        channel = Channel(Side.BUYER, terms.sid, derive(session_suite(suite), secret, th))
        return Session(channel=channel, terms=terms, th=th)


def begin(
    page_answer: bytes,
    *,
    choice: Choice,
    tls: Binding,
    signer: Signer,
    checker: Checker,
    random: Callable[[int], bytes],
    at: datetime,
) -> LoginRequest:
    """A login to the merchant that the user chose, signed by Ba and sealed to the merchant.

    Raises :class:`Refusal`: ``wrong-name``, ``wrong-origin``, ``stale-page``, ``plain-downgrade``,
    ``suite-not-permitted``, or what stands against the merchant's agreement certificate.
    """
    page, (_, agreement, *chain) = read_page_answer(page_answer)
    if page.merchant != choice.merchant:
        raise Refusal("wrong-name", "the page is of another merchant than was chosen")
    if page.origin != choice.origin:
        raise Refusal("wrong-origin", "the page is of another shop than was chosen")
    if passed_for_counterpart(page.until, at):
        raise Refusal("stale-page", "the page's time is over")
    if tls.kind == "plain" and not choice.plain:
        raise Refusal("plain-downgrade", "the link to this shop is not declared to be plaintext")
    checker.check_certificate(agreement, chain, purpose=MERCHANT_AGREEMENT, name=choice.merchant, at=at)
    ours, theirs, policy = choice.offer(at), page.offer, choice.policy
    check_signature_suite(signer.certificate, ours, theirs, at=at, policy=policy)
    check_sealing_suite(agreement, ours, theirs, at=at, policy=policy)
    shares = {name: Ephemeral(name, random) for name in common_suites(ours, theirs, at=at, policy=policy)}
    document = write_login(
        sender=signer.certificate.id,
        page=page,
        nonce=random(_NONCE_BYTES),
        offer=ours,
        shares=[(name, key.share) for name, key in shares.items()],
        tls=tls,
        at=at,
    )
    signed = sign_act(document, [], signer, at)
    octets = cms.seal(signed, oids.ACT, [agreement], random)
    return LoginRequest(
        choice=choice, page=page, ours=ours, act=read_act(signed), octets=octets, shares=shares
    )


class Visit:
    """A buyer's open session over an exchange: one request at a time, presence proved when asked."""

    def __init__(
        self,
        session: Session,
        *,
        choice: Choice,
        exchange: Exchange,
        signer: Signer,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """Use :meth:`open` unless a session is at hand."""
        self.session = session
        self.merchant = choice.merchant
        self._origin = choice.origin
        self._exchange = exchange
        self._signer = signer
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self.is_open = True

    @classmethod
    def open(
        cls,
        exchange: Exchange,
        *,
        choice: Choice,
        signer: Signer,
        checker: Checker,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> Visit:
        """Log in at ``choice.origin`` by two exchanges; raises as :func:`begin` and ``finish`` do."""
        got = exchange.send(choice.origin, Request("GET", PAGE_PATH))
        tls = Binding.of(got.spki)
        request = begin(
            expect(got, what="login page"),
            choice=choice,
            tls=tls,
            signer=signer,
            checker=checker,
            random=random,
            at=clock.now(),
        )
        answered = exchange.send(choice.origin, Request("POST", LOGIN_PATH, request.octets))
        if Binding.of(answered.spki) != tls:
            raise Refusal("foreign-tls-key", "page and answer came from different TLS servers")
        session = request.finish(expect(answered, what="login"), checker=checker, at=clock.now())
        return cls(session, choice=choice, exchange=exchange, signer=signer, clock=clock, random=random)

    def ask(self, op: str, args: wire.Document, *, rid: str = "") -> dict[str, Any]:
        """The merchant's result of ``op``; a repetition after :class:`Unreachable` passes the same ``rid``.

        Raises :class:`Refusal` with the merchant's rule, or ``no-session`` when a new login is needed.
        """
        call = Call(rid or wire.b64u(self._random(16)), op, args)
        body = write_call(call)
        with self._lock:
            for _ in range(_MAX_PROOFS + 1):
                seq, answer = self._exchanged(Kind.REQUEST, body)
                if not answer.challenge:
                    return _result(answer)
                self._prove(answer.challenge, seq)
        raise Refusal("no-presence", "the merchant did not accept the card's presence")

    def _prove(self, challenge: bytes, seq: int) -> None:
        at = self._clock.now()
        document = write_presence(
            sender=self._signer.certificate.id,
            merchant=self.merchant,
            challenge=challenge,
            sid=self.session.terms.sid,
            th=self.session.th,
            seq=seq,
            at=at,
        )
        _, answer = self._exchanged(Kind.PRESENCE, sign_act(document, [], self._signer, at))
        _result(answer)

    def _exchanged(self, kind: Kind, body: bytes) -> tuple[int, Answer]:
        """Send one record; the answer to it and the number of the answer's record."""
        channel = self.session.channel
        sealed = channel.seal(kind, body)
        response = self._exchange.send(self._origin, Request("POST", RECORD_PATH, sealed))
        try:
            octets = expect(response, what="record")
            got, seq, plain = channel.open(octets)
            if got is Kind.CLOSE:
                raise Refusal("no-session", "the merchant closed the session")
            answer = read_answer(plain)
        except Refusal as refusal:
            if refusal.rule == "no-session":
                self._forget()
                raise
            raise Unreachable(refusal.rule, "no authentic answer came") from refusal
        if answer.answers != channel.sent:
            raise Unreachable("wrong-answer", "the answer is to another request")
        return seq, answer

    def close(self) -> None:
        """End the session and forget its keys: on leaving, and at once when the card is removed."""
        with self._lock:
            if not self.is_open:
                return
            sealed = self.session.channel.seal(Kind.CLOSE, b"")
            self._forget()
        try:
            self._exchange.send(self._origin, Request("POST", RECORD_PATH, sealed))
        except Unreachable:
            return  # the merchant's end closes by being idle

    def _forget(self) -> None:
        self.is_open = False
        self.session.channel.close()


def _result(answer: Answer) -> dict[str, Any]:
    if answer.refusal is not None:
        raise answer.refusal
    return answer.result or {}
