"""What a CA does for the registration of its party: it issues and withdraws at officers' signed words.

Each word is judged here, whatever brought it; it is kept beside what it led to, and obeyed once: whoever asks
again gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509

from e2s.base import wire
from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, list_of, octets_max
from e2s.network.sessions.link import Door
from e2s.security.certificates.possession import MAX_REQUEST_BYTES, Proven
from e2s.security.certificates.profiles import Profile, profile
from e2s.security.pki import store, withdrawing
from e2s.security.pki.approvals import (
    MAX_APPROVAL_BYTES,
    MAX_REGISTRATION_BYTES,
    Approval,
    Judge,
    Word,
    read_approval,
    read_withdrawal,
)
from e2s.security.pki.ca import Authority
from e2s.security.pki.orders import Order
from e2s.security.status.lists import reason_flag

ISSUE: Final = "/issue"
REVOKE: Final = "/revoke"
#: Requests in one message, and its size.
MAX_REQUESTS: Final = 250
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
_MAX_MESSAGE_TEXT: Final = 300

_ISSUE = Form(
    "e2s/1/issue",
    {
        "approval": octets_max(MAX_APPROVAL_BYTES),
        "requests": list_of(octets_max(MAX_REQUEST_BYTES), MAX_REQUESTS, 1),
    },
    envelope=False,
)
_WITHDRAW = Form("e2s/1/withdraw", {"withdrawal": octets_max(MAX_REGISTRATION_BYTES)}, envelope=False)

#: Carries out orders: the authority itself, or a queue before it.
Issue = Callable[[Sequence[Order]], list["bytes | E2SError"]]


def doors(authority: Authority, judge: Judge, issue: Issue | None = None) -> Mapping[str, Door]:
    """The link doors of ``authority`` for registration; ``issue`` is a queue's, where there is one."""
    service = _Service(authority, judge, issue or authority.issue_ders)
    return {ISSUE: lambda _peer, body: service.issue(body), REVOKE: lambda _peer, body: service.revoke(body)}


def for_peers(all_doors: Mapping[str, Door], peers: Mapping[str, frozenset[str]]) -> Mapping[str, Door]:
    """The same doors, each for those peers only whose paths have it; others: ``link-no-door``."""

    def guarded(path: str, door: Door) -> Door:
        def answer(peer: str, body: bytes) -> bytes:
            if path not in peers.get(peer, frozenset()):
                raise Refusal("link-no-door", "nothing is served to this component at this path", path=path)
            return door(peer, body)

        return answer

    return {path: guarded(path, door) for path, door in all_doors.items()}


class _Service:
    """The doors' acts."""

    def __init__(self, authority: Authority, judge: Judge, issue: Issue) -> None:
        self._authority = authority
        self._judge = judge
        self._issue = issue

    def issue(self, body: bytes) -> bytes:
        """Certificates for the requests, each of an order of the approval."""
        asked = wire.decode(body, MAX_MESSAGE_BYTES)
        _ISSUE.check(asked)
        given = unb64u(asked["approval"])
        approval = read_approval(given)
        proofs = self._authority.prove([unb64u(one) for one in asked["requests"]])
        requests = _matched(approval, proofs)
        made: dict[bytes, bytes | E2SError] = {}
        authority = self._authority
        with authority.database.reading() as connection:
            for key in requests:
                known = store.of_approval(connection, authority.finder, approval.digest, key)
                if known is not None:
                    made[key] = known
        wanted = [key for key in requests if key not in made]
        if wanted:
            self._accept(approval, given)
            now = authority.clock.now()
            orders: dict[bytes, Order] = {}
            for key in wanted:
                order = _order(approval, key, requests[key], now, authority.profiles)
                if isinstance(order, Refusal):
                    made[key] = order
                else:
                    orders[key] = order
            made.update(zip(orders, self._issue(list(orders.values())), strict=True))
        return wire.encode(
            {
                "type": "e2s/1/issued",
                "chain": [b64u(one.der) for one in (authority.certificate, *authority.chain)],
                "results": [_result(key, made[key]) for key in requests],
            }
        )

    def _accept(self, approval: Approval, given: bytes) -> None:
        """Judge the approval, and keep it with its event; a refusal is an event too."""
        authority, now = self._authority, self._authority.clock.now()
        facts = {"approval": b64u(approval.digest), "officer": approval.first.officer}
        if approval.second is not None:
            facts["second"] = approval.second.officer
        try:
            self._judge.approval(approval, now, authority.profiles)
        except Refusal as refusal:
            with authority.database.transaction() as connection:
                authority.event(connection, "refused", now, facts, outcome=refusal.rule)
            raise
        with authority.database.transaction() as connection:
            if store.put_word(connection, approval.digest, given, now):
                orders = len(approval.first.document["orders"])
                authority.event(connection, "registration.accepted", now, {**facts, "orders": orders})

    def revoke(self, body: bytes) -> bytes:
        """Revoke, hold or release at an officer's, or the holder's own, word."""
        asked = wire.decode(body, MAX_MESSAGE_BYTES)
        _WITHDRAW.check(asked)
        given = unb64u(asked["withdrawal"])
        word = read_withdrawal(given)
        authority, now = self._authority, self._authority.clock.now()
        with authority.database.reading() as connection:
            done = store.word_at(connection, word.digest)
            own = self._own(word, store.by_serial(connection, authority.finder, _serial(word)))
        if done is None:
            try:
                self._judge.withdrawal(word, own, now)
            except Refusal as refusal:
                with authority.database.transaction() as connection:
                    facts = {"serial": word.document["serial"], "officer": word.officer}
                    authority.event(connection, "refused", now, facts, outcome=refusal.rule)
                raise
            done = self._withdraw(word, given, now)
        return wire.encode(
            {
                "type": "e2s/1/withdrawn",
                "serial": word.document["serial"],
                "act": word.document["act"],
                "at": format_instant(done),
            }
        )

    @staticmethod
    def _own(word: Word, row: object) -> Certificate | None:
        """The certificate that is to be withdrawn, if it is the very one that signed."""
        der = getattr(row, "der", None)
        return word.certificate if der is not None and word.certificate.der == der else None

    def _withdraw(self, word: Word, given: bytes, now: datetime) -> datetime:
        """Carry it out with the word kept, in one transaction: a word of yesterday does not work again."""
        document, authority = word.document, self._authority
        invalidity = document.get("invalidity")
        if document["act"] == "revoke":
            try:
                reason_flag(document["reason"])
            except Misuse as misuse:
                raise Refusal("bad-document", misuse.message, where="reason") from misuse
        with authority.database.transaction() as connection:
            if not store.put_word(connection, word.digest, given, now):
                return store.word_at(connection, word.digest) or now
            withdrawing.withdraw(
                authority,
                connection,
                withdrawing.ACTS[document["act"]],
                _serial(word),
                officer=word.officer,
                at=now,
                reason=document["reason"],
                invalidity=parse_instant(invalidity) if invalidity else None,
                case=document["case"],
            )
        return now


def _matched(approval: Approval, proofs: Sequence[Proven | Refusal]) -> dict[bytes, Proven]:
    """The key of each request by its digest, which the approval orders; raises ``foreign-key``."""
    orders = approval.orders
    matched: dict[bytes, Proven] = {}
    for proven in proofs:
        if isinstance(proven, Refusal):
            raise proven
        digest = sha256(proven.spki).digest()
        if digest not in orders or digest in matched:
            raise Refusal("foreign-key", "each request is for another key that the approval orders")
        matched[digest] = proven
    return matched


def _order(
    approval: Approval, digest: bytes, key: Proven, now: datetime, profiles: Mapping[str, Profile]
) -> Order | Refusal:
    """What the approval says of a key, as an order."""
    said = approval.orders[digest]
    subject = None
    if "subject" in said:
        try:
            subject = x509.Name.from_rfc4514_string(said["subject"])
        except ValueError:
            return Refusal("bad-subject", "a subject is written as RFC 4514 does")
    not_after = parse_instant(said["notAfter"]) if "notAfter" in said else None
    try:
        latest = now + profile(said["profile"], profiles).lifetime
    except Misuse as misuse:
        return Refusal(misuse.rule, misuse.message)
    if not_after is not None and not now < not_after <= latest:
        return Refusal("bad-end", "a certificate ends within the lifetime of its profile")
    return Order(
        profile=said["profile"],
        key=key,
        names=tuple(said["names"]),
        officer=approval.first.officer,
        not_after=not_after,
        subject=subject,
        confidence=said["confidence"] or None,
        case=said["case"],
        approval=approval.digest,
    )


def _serial(word: Word) -> int:
    return int(word.document["serial"], 16)


def _result(key: bytes, made: bytes | E2SError) -> Document:
    if isinstance(made, bytes):
        return {"spki": b64u(key), "certificate": b64u(made)}
    return {"spki": b64u(key), "rule": made.rule, "message": made.message[:_MAX_MESSAGE_TEXT]}
