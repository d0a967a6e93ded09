"""An offer is believed when it is what the buyer saw; a contract, when it is over what she signed.

Each rule takes what was received, what the wallet knows, and the instant, and raises the refusal that
names the attack; none has an effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, parse_instant, passed_for_counterpart, passed_for_owner
from e2s.commerce.acts import received
from e2s.commerce.delivery import CANCEL, DELIVERY
from e2s.commerce.order import check_sums, same_order
from e2s.commerce.purchasing.documents import CONFIRM, OFFER, VOID
from e2s.crypto import oids, stamps
from e2s.crypto.acts import Act, check_act_signature, read_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form
from e2s.security.verification.trust import Trust

_STAMPED = oids.EKU_TIME_STAMPING


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads here: the person, for her organisation; what is addressed to neither is refused."""

    person: str
    organisation: str
    card: str = ""

    def own(self, to: object) -> str:
        """The name under which an act is addressed to this reader; the person's where it is to none."""
        readers = to if isinstance(to, list) else []
        return next(
            (n for n in (self.person, self.organisation, self.card) if n and n in readers), self.person
        )


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Checks acts as of one instant: form, label, audience, signer's role and name, revocation, signature."""

    trust: Trust
    reader: Reader
    at: datetime

    def act(self, act: bytes | Act, form: Form, role: str, name: str) -> Act:
        """The act, once it is of ``form``, to this reader, by ``name`` with the key of ``role``."""
        read = act if isinstance(act, Act) else read_act(act)
        return self._received(read, form, role, name, self.reader.own(read.document.get("to")))

    def inner(self, act: Act, form: Form, role: str, name: str) -> Act:
        """As :meth:`act`, for an inner act that speaks to the outer one's signer, not to this reader."""
        to = act.document.get("to")
        return self._received(act, form, role, name, to[0] if isinstance(to, list) and to else "")

    def _received(self, act: Act, form: Form, role: str, name: str, to: str) -> Act:
        return received(act, form, trust=self.trust, to=to, role=role, at=self.at, name=name)

    def certificate(
        self, certificate: Certificate, chain: Sequence[Certificate], oid: str, name: str
    ) -> None:
        """Refuse a certificate that is not ``name``'s for the purpose ``oid`` now."""
        self.trust.check_certificate(certificate, chain, purpose=oid, name=name, at=self.at)

    def stamp(self, token: bytes, act: Act) -> datetime:
        """When a time-stamp token says that the act's signature value existed; refuses a bad token."""
        stamp = stamps.check_token(token, sha256(act.signature).digest())
        signed = stamp.signed
        self.trust.check_certificate(
            signed.signer_certificate, signed.certificates, purpose=_STAMPED, name=None, at=self.at
        )
        return stamp.at


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the buyer saw and asked for: an offer must say the same, member by member."""

    trade: str
    merchant: str
    buyer: Certificate
    organisation: str
    list: str
    sums: dict[str, Any]
    deliver_to: str


def check_offer(octets: bytes, wanted: Wanted, judge: Judge) -> Act:
    """The offer, good and as it was viewed.

    Raises ``offer-of-other-organisation``, ``false-total``, ``price-changed-after-view``,
    ``altered-line`` and what :meth:`Judge.act` raises.
    """
    act = judge.act(octets, OFFER, "merchant", wanted.merchant)
    document = act.document
    if wanted.organisation not in document["to"] or document["buyer"] != wanted.buyer.id:
        raise Refusal("offer-of-other-organisation", "the offer is made to another buyer")
    if document["trade"] != wanted.trade:
        raise Refusal("wrong-trade", "the offer belongs to another trade")
    if act.over:
        raise Refusal("bad-act", "an offer is over nothing")
    check_sums(document)
    if document["list"] != wanted.list:
        raise Refusal("price-changed-after-view", "the offer is from another price list than was viewed")
    if not same_order(document, wanted.sums) or document["deliverTo"] != wanted.deliver_to:
        raise Refusal("altered-line", "the offer's lines are not those of the basket")
    if document["terms"]["digest"] != "sha-256:" + wire.b64u(
        sha256(document["terms"]["text"].encode()).digest()
    ):
        raise Refusal("altered-terms", "the terms shown are not those of the digest")
    confirm_by, pay_by = parse_instant(document["confirmBy"]), parse_instant(document["payBy"])
    if pay_by <= confirm_by + 2 * DELTA:
        raise Refusal("bad-deadlines", "payment is due before the contract can stand")
    if passed_for_owner(confirm_by, judge.at):
        raise Refusal("late-offer", "the offer can no longer be accepted")
    return act


def check_confirmation(octets: bytes, acceptance: Act, stamp: bytes | None, judge: Judge) -> tuple[Act, bool]:
    """The confirmation of this acceptance, and whether ``stamp`` proves its time.

    Raises ``wrong-acceptance``, ``stripped-inner-signature``, ``backdated-confirmation`` (a token later
    than confirmBy+2δ does not bind) or, without a token at that time, ``late-confirmation``.
    """
    merchant = acceptance.inner().certificate.name
    act = judge.act(octets, CONFIRM, "merchant", merchant)
    if act.document["trade"] != acceptance.document["trade"] or act.document["accept"] != acceptance.id:
        raise Refusal("wrong-acceptance", "the confirmation is of another acceptance")
    check_nested(act, 0, acceptance)
    latest = parse_instant(acceptance.document["confirmBy"]) + 2 * DELTA
    if act.at > latest:
        raise Refusal("late-confirmation", "the merchant confirmed too late for this to bind")
    proven = stamp is not None
    if stamp is not None and judge.stamp(stamp, act) > latest:
        raise Refusal("backdated-confirmation", "the time stamp is later than the buyer is bound by")
    if not proven and judge.at > latest:
        raise Refusal("late-confirmation", "no time stamp shows that this was confirmed in time")
    return act, proven


def check_nested(act: Act, index: int, expected: Act) -> None:
    """The act is over ``expected``: the same ``#``, and its signature still whole."""
    if len(act.over) <= index:
        raise Refusal("stripped-inner-signature", "the act is not over the one it answers", type=act.type)
    if act.over[index] == expected.octets:
        return
    inner = act.inner(index)
    if inner.id != expected.id:
        raise Refusal("wrong-nesting", "the act is over another than it answers", type=act.type)
    check_act_signature(inner)


def check_void(octets: bytes, trade: str, merchant: str, judge: Judge) -> Act:
    """The merchant's word that the trade is void; it ends nothing once a dual signature is out."""
    act = judge.act(octets, VOID, "merchant", merchant)
    if act.document["trade"] != trade:
        raise Refusal("wrong-trade", "the void belongs to another trade")
    return act


@dataclass(frozen=True, kw_only=True)
class Payment:
    """What the wallet holds of one payment: the contract, its dual signature and the approval, if it came."""

    merchant: str
    offer: Act
    cid: str
    ds: Act
    pres: Act | None = None


def check_delivery(octets: bytes, payment: Payment, stamp: bytes, judge: Judge) -> Act:
    """The delivery of goods of this contract, stamped; raises ``wrong-delivery`` or ``more-than-ordered``."""
    act = judge.act(octets, DELIVERY, "merchant", payment.merchant)
    document, ds = act.document, payment.ds.document
    if (document["trade"], document["cid"], document["xid"]) != (ds["trade"], payment.cid, ds["xid"]):
        raise Refusal("wrong-delivery", "the delivery belongs to another contract")
    if payment.pres is not None:
        check_nested(act, 0, payment.pres)
    check_nested(act, 1, payment.ds)
    judge.stamp(stamp, act)
    ordered = {line["n"]: line["qty"] for line in payment.offer.document["lines"]}
    for line in document["lines"]:
        if ordered.get(line["n"]) != line["qty"]:
            raise Refusal(
                "more-than-ordered", "the delivery has other lines than the contract", line=line["n"]
            )
    if len({line["n"] for line in document["lines"]}) != len(document["lines"]):
        raise Refusal("more-than-ordered", "the delivery repeats a line")
    return act


def check_cancel(octets: bytes, payment: Payment, judge: Judge) -> Act:
    """The merchant's cancellation; the caller checks the issuer's reversal inside it."""
    act = judge.act(octets, CANCEL, "merchant-payment", payment.merchant)
    document, ds = act.document, payment.ds.document
    if (document["trade"], document["cid"], document["xid"]) != (ds["trade"], payment.cid, ds["xid"]):
        raise Refusal("wrong-cancel", "the cancellation belongs to another contract")
    return act


def late(deadline: str, at: datetime, *, owner: bool = False) -> bool:
    """Whether a deadline in its written form has passed, for its owner or for the counterpart."""
    when = parse_instant(deadline)
    return passed_for_owner(when, at) if owner else passed_for_counterpart(when, at)
