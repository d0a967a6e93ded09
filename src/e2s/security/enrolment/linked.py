"""A CA that another process of the party holds: ordered from by what this component's officer key signs.

What is ordered is written and signed once, and kept before it is sent; so a repeat after a kill is the same
word, and leads to the same certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from e2s.base import prepared, wire
from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.instants import Clock, format_instant, parse_instant
from e2s.base.prepared import Prepared, given
from e2s.base.rights import Authoriser
from e2s.base.wire import Document, b64u, unb64u
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, octets_max, one_of, text
from e2s.crypto.ports import Renewed, Signer
from e2s.security.certificates.possession import Proven, read_proof
from e2s.security.certificates.profile import Profile
from e2s.security.pki.approvals import REGISTRATION, WITHDRAWAL
from e2s.security.pki.orders import Order
from e2s.security.pki.renewals import KNOWN, RECERTIFY
from e2s.security.pki.service import REVOKE
from e2s.security.registration.documents import (
    read_issued,
    read_withdrawn,
    sign_document,
    write_orders,
    write_withdraw,
)
from e2s.security.registration.ordering import FINAL

TABLES = sa.MetaData()
#: What was signed for an order, by the digest that the order follows from.
_WORDS = sa.Table(
    "order_words",
    TABLES,
    sa.Column("approval", sa.LargeBinary, primary_key=True),
    sa.Column("word", sa.LargeBinary, nullable=False),
)
_WORD: Final = Prepared(sa.select(_WORDS.c.word).where(_WORDS.c.approval == given("which")))
_VALID: Final = timedelta(days=1)
_KNOWN: Final = Form(
    "e2s/1/known-certificate",
    {
        "profile": text(64),
        "state": one_of("good", "held", "revoked", "expired"),
        "certificate": octets_max(32 * 1024),
    },
    envelope=False,
)
#: What the door for renewals refuses for good (:mod:`~e2s.security.pki.renewals`).
_NO_RENEWAL: Final = frozenset({"not-a-renewal"})
_HELD, _REVOKED, _UNKNOWN = "held", "revoked", "no-such-certificate"


@dataclass(frozen=True, eq=False, kw_only=True)
class LinkedCa:
    """A :class:`~e2s.security.enrolment.certifying.Ca` over a link: ``ask`` sends to its doors.

    ``signer`` has the officer's certificate of ``officer``, and ``database`` this module's tables.  It orders
    at ``door``: :data:`~e2s.security.pki.renewals.RECERTIFY` for renewals alone,
    :data:`~e2s.security.pki.service.ISSUE` for whatever its right to register covers.
    """

    component: str
    kind: str
    certificate: Certificate
    chain: tuple[Certificate, ...]
    profiles: Mapping[str, Profile]
    authoriser: Authoriser
    community: str
    officer: str
    signer: Signer
    ask: Callable[[str, bytes], bytes] = field(repr=False)
    database: Database
    clock: Clock
    door: str = RECERTIFY

    @property
    def issues(self) -> frozenset[str]:
        """The profiles that it certifies."""
        return self.profiles[self.kind].issues

    def prove(self, request: bytes) -> Proven:
        """The key that a PKCS #10 request proves possession of; raises why it does not."""
        return read_proof(request)

    def issue(self, order: Order, request: bytes) -> bytes:
        """The certificate, DER; raises what the CA refuses it with.

        The CA reads the proof itself: :class:`Refusal` ``not-pkcs10`` where the key came in another form.
        """
        if isinstance(order.key, Proven) and order.key.spki == request:
            raise Refusal("not-pkcs10", "this CA reads proofs itself: ask by PKCS #10")
        answer = self._asked(write_orders(self._word(order), [request]))
        _chain, results = read_issued(answer)
        key = _spki(order)
        if len(results) != 1 or unb64u(results[0]["spki"]) != key:
            raise Unreachable("wrong-answer", "the CA answered for a key that was not asked for")
        (result,) = results
        if "certificate" not in result:
            raise Refusal(result["rule"], result.get("message", ""))
        made = Certificate.read(unb64u(result["certificate"]))
        if sha256(made.spki).digest() != key:
            raise Unreachable("wrong-answer", "the CA certified a key that was not asked for")
        return made.der

    def _asked(self, body: bytes) -> bytes:
        """The CA's answer; what it refuses is final where it says that nothing will come of the order."""
        try:
            return self.ask(self.door, body)
        except Refusal as refusal:
            if refusal.rule in FINAL or refusal.rule in _NO_RENEWAL:
                raise
            raise Unreachable(refusal.rule, refusal.message) from refusal

    def profile_of(self, certificate: Certificate) -> str:
        """By which profile it was issued.

        Raises :class:`Refusal` ``other-ca``, ``certificate-revoked`` or ``certificate-held``.
        """
        known = self._known(certificate.serial)
        if known is None or unb64u(known["certificate"]) != certificate.der:
            raise Refusal("other-ca", "this CA did not issue that certificate")
        if known["state"] in {_HELD, _REVOKED}:
            raise Refusal(f"certificate-{known['state']}", "the certificate is not good")
        return str(known["profile"])

    def revoked(self, serial: int) -> bool:
        """Whether it is revoked or held, or was never issued."""
        known = self._known(serial)
        return known is None or known["state"] in {_HELD, _REVOKED}

    def certified(self, spki: bytes, profile: str, since: datetime) -> bytes | None:  # noqa: ARG002
        """Nothing: what registration orders, registration delivers."""
        return None

    def withdraw(self, serial: int, reason: str, by: str) -> None:
        """Revoke, for the holder or whoever else was found to have the right to it."""
        document = {**self._said(WITHDRAWAL.type), "serial": f"{serial:x}", "act": "revoke"}
        document |= {"case": by[:64], "reason": reason}
        read_withdrawn(self.ask(REVOKE, write_withdraw(self._signed(document))))

    def _known(self, serial: int) -> Document | None:
        try:
            answer = self.ask(KNOWN, wire.encode({"type": "e2s/1/known", "serial": f"{serial:x}"}))
        except Refusal as refusal:
            if refusal.rule == _UNKNOWN:
                return None
            raise
        return read_known(answer)

    def _word(self, order: Order) -> bytes:
        """The signed registration that orders it: the one that was kept, where there is one."""
        with self.database.reading() as connection:
            kept = _WORD.value(connection, which=order.approval)
        if kept is not None:
            return bytes(kept)
        document = {**self._said(REGISTRATION.type), "case": order.case, "orders": [_ordered(order)]}
        word = self._signed(document)
        with self.database.transaction() as connection:
            kept = _WORD.value(connection, which=order.approval)
            if kept is None:
                prepared.add(connection, _WORDS, {"approval": order.approval, "word": word})
        return word if kept is None else bytes(kept)

    def _said(self, label: str) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "type": label,
            "community": self.community,
            "ca": self.component,
            "officer": self.officer,
            "at": format_instant(now),
            "until": format_instant(now + _VALID),
        }

    def _signed(self, document: Document) -> bytes:
        held: object = self.signer
        signer = held.now if isinstance(held, Renewed) else self.signer
        return sign_document(document, signer, parse_instant(document["at"]))


def _spki(order: Order) -> bytes:
    """The digest of the key that is ordered for."""
    if not isinstance(order.key, Proven):
        raise Refusal("not-pkcs10", "an order over a link is for a proven key")
    return sha256(order.key.spki).digest()


def read_known(answer: bytes) -> Document:
    """What the CA says of a serial; raises :class:`Refusal` ``bad-document`` or ``not-canonical``."""
    known = wire.decode(answer)
    _KNOWN.check(known)
    return known


def _ordered(order: Order) -> Document:
    """What a registration says of one order; the approval stands for the evidence."""
    said: Document = {
        "case": order.case,
        "profile": order.profile,
        "names": list(order.names),
        "spki": b64u(_spki(order)),
        "confidence": order.confidence or "",
        "evidence": [b64u(order.approval)],
    }
    if order.not_after is not None:
        said["notAfter"] = format_instant(order.not_after)
    if order.subject is not None:
        said["subject"] = order.subject.rfc4514_string()
    return said
