"""The merchant's rules: what an offer says, which acceptance is of it, what follows (6.2.1.1 steps 5-7, 9).

Documents come out unsigned; what came in is refused by the name of what is wrong with it.  An offer
is by #: a malleated signature makes no other offer, and one acceptance ends the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant
from e2s.base.money import parse_number
from e2s.base.wire import Document, b64u
from e2s.commerce.acts import received
from e2s.commerce.delivery import RECEIPT
from e2s.commerce.order import check_sums, sums
from e2s.commerce.purchasing.documents import ACCEPT, OFFER
from e2s.commerce.purchasing.items import Item, plain
from e2s.commerce.purchasing.pricing import unit_price
from e2s.crypto.acts import Act, check_act_signature
from e2s.security.verification.trust import Trust

MAX_QUANTITY = 1_000_000
#: Leaves room in a document of 128 KiB for everything but the lines.
MAX_ORDER_BYTES = 96 * 1024
#: How long an act stands for its reader that no deadline of the trade bounds.
KEPT = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who asks, as the session proved it: the person, her organisation, her certificates' subject."""

    person: str
    organisation: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long an offer may be accepted, and then paid; how early delivery stops before a hold ends."""

    confirm_within: timedelta = timedelta(minutes=15)
    pay_within: timedelta = timedelta(hours=1)
    margin: timedelta = timedelta(minutes=30)

    def __post_init__(self) -> None:
        """Raises ``bad-deadlines`` for what clock errors would make ambiguous."""
        if self.confirm_within <= 2 * DELTA or self.pay_within <= 2 * DELTA or self.margin < 2 * DELTA:
            raise Refusal("bad-deadlines", "a deadline is longer than twice the clocks' error")


@dataclass(frozen=True, kw_only=True)
class Seller:
    """Who offers: the id of the signing certificate, the gateways taken, the deadlines given."""

    certificate: str
    gateways: Sequence[str]
    deadlines: Deadlines


@dataclass(frozen=True, kw_only=True)
class PriceList:
    """The signed price list of one organisation: ``#``, version, contract terms, rules."""

    id: str
    version: int
    organisation: str
    terms: Mapping[str, str]
    rules: Sequence[Mapping[str, str]]


def quantity(text: str, unit: str) -> str:
    """A quantity as documents write it; whole for pieces.  Raises :class:`Refusal` ``bad-quantity``."""
    value = parse_number(text)
    if not 0 < value <= MAX_QUANTITY or (unit == "piece" and value != value.to_integral_value()):
        raise Refusal("bad-quantity", "a quantity is more than nothing, and whole for pieces")
    return plain(value)


def priced(lines: Sequence[tuple[Item, str]], prices: PriceList, currency: str) -> dict[str, Any]:
    """Lines and sums of an order at contract prices; raises ``too-large`` for more than a contract holds."""
    order = sums(
        (
            {
                "sku": item.sku,
                "text": item.text,
                "class": item.kind,
                "qty": quantity(qty, item.unit),
                "unit": unit_price(item, prices.rules, currency),
                "vatRate": item.vat_rate,
            }
            for item, qty in lines
        ),
        currency,
    )
    if len(wire.encode(order)) > MAX_ORDER_BYTES:
        raise Refusal("too-large", "the order is larger than one contract may be", lines=len(lines))
    return order


def make_offer(
    *,
    buyer: Buyer,
    certificate: str,
    trade: str,
    prices: PriceList,
    order: dict[str, Any],
    deliver_to: str,
    seller: Seller,
    salt: bytes,
    at: datetime,
) -> Document:
    """The unsigned offer of ``order`` to exactly this buyer; ``certificate`` is the id of her key B."""
    check_sums(order)
    confirm_by = at + seller.deadlines.confirm_within
    document = {
        "type": OFFER.type,
        "from": seller.certificate,
        "to": [buyer.organisation, buyer.person],
        "at": format_instant(at),
        "until": format_instant(confirm_by),
        "trade": trade,
        "salt": b64u(salt),
        "list": prices.id,
        "buyer": certificate,
        "terms": dict(prices.terms),
        **order,
        "deliverTo": deliver_to,
        "confirmBy": format_instant(confirm_by),
        "payBy": format_instant(confirm_by + seller.deadlines.pay_within),
        "gatewaysAccepted": sorted(seller.gateways),
    }
    OFFER.check(document)
    return document


def check_acceptance(act: Act, offer: Act, buyer: Buyer, merchant: str, trust: Trust, at: datetime) -> None:
    """Raise unless ``act`` accepts exactly ``offer``, signed by exactly the buyer it was made to.

    Refusals: ``wrong-label``, ``wrong-offer``, ``stripped-inner-signature``, ``wrong-deadlines``,
    ``offer-of-other-organisation`` and those of :func:`~e2s.commerce.acts.received`.
    """
    ACCEPT.check(act.document)
    document, offered = act.document, offer.document
    if not act.over:
        raise Refusal("stripped-inner-signature", "an acceptance is over the offer that it accepts")
    if document["trade"] != offered["trade"] or document["offer"] != offer.id or len(act.over) != 1:
        raise Refusal("wrong-offer", "the acceptance is of another offer")
    check_nested(act, 0, offer)
    if (document["confirmBy"], document["payBy"]) != (offered["confirmBy"], offered["payBy"]):
        raise Refusal("wrong-deadlines", "the acceptance's deadlines are not the offer's")
    certificate = act.certificate
    if certificate.id != offered["buyer"] or certificate.subject != buyer.subject:
        raise Refusal("offer-of-other-organisation", "the offer was made to another buyer's key")
    if buyer.organisation not in certificate.names or buyer.organisation not in offered["to"]:
        raise Refusal("offer-of-other-organisation", "the offer was made to another organisation")
    received(act, ACCEPT, trust=trust, to=merchant, role="buyer", at=at, name=buyer.person)


def check_nested(act: Act, index: int, expected: Act) -> None:
    """``act`` is over ``expected`` by its ``#``, whose signature is whole; ``stripped-inner-signature``."""
    if act.over[index] == expected.octets:
        return
    inner = act.inner(index)
    if inner.id != expected.id or inner.certificate.id != expected.certificate.id:
        raise Refusal("stripped-inner-signature", "the act is not over the one that it answers")
    check_act_signature(inner)


def _following(kind: str, sender: str, offer: Act, at: datetime, until: datetime) -> Document:
    """The members of every document of the merchant after the offer."""
    return {
        "type": kind,
        "from": sender,
        "to": list(offer.document["to"]),
        "at": format_instant(at),
        "until": format_instant(until),
        "trade": offer.document["trade"],
    }


def make_confirmation(sender: str, offer: Act, acceptance: Act, at: datetime) -> Document:
    """The unsigned confirmation: signed over the acceptance it makes the contract."""
    return {**_following("e2s/1/confirm", sender, offer, at, at + KEPT), "accept": acceptance.id}


def make_void(sender: str, offer: Act, acceptance: Act | None, reason: str, at: datetime) -> Document:
    """The unsigned word that there is no contract, over the late acceptance if there is one."""
    document = {**_following("e2s/1/void", sender, offer, at, at + KEPT), "reason": reason}
    return {**document, "accept": acceptance.id} if acceptance else document


def make_delivery(sender: str, offer: Act, cid: str, ds: Document, issuer: str, at: datetime) -> Document:
    """The unsigned delivery of all lines; addressed to the issuer too, who shows it with the capture."""
    document = _following("e2s/1/delivery", sender, offer, at, at + KEPT)
    lines = [{"n": line["n"], "qty": line["qty"]} for line in offer.document["lines"]]
    to = [*document["to"], issuer]
    return {**document, "to": to, "cid": cid, "xid": ds["xid"], "n": 1, "lines": lines}


def check_receipt(act: Act, delivery: Act, buyer: Buyer, certificate: str, merchant: str, trust: Trust,
                  at: datetime) -> None:  # fmt: skip
    """Raise unless ``act`` is her receipt of ``delivery``; ``wrong-delivery``, ``more-than-delivered``."""
    RECEIPT.check(act.document)
    document = act.document
    same = all(document[member] == delivery.document[member] for member in ("trade", "cid"))
    if not same or document["delivery"] != delivery.id or len(act.over) != 1:
        raise Refusal("wrong-delivery", "the receipt is of another delivery")
    check_nested(act, 0, delivery)
    delivered = {line["n"]: Decimal(line["qty"]) for line in delivery.document["lines"]}
    for line in document["received"]:
        if parse_number(line["qty"]) > delivered.get(line["n"], Decimal(0)):
            raise Refusal("more-than-delivered", "the receipt is for more than was delivered", line=line["n"])
    if act.certificate.id != certificate:
        raise Refusal("other-buyer", "the receipt is by another key than accepted the offer")
    received(act, RECEIPT, trust=trust, to=merchant, role="buyer", at=at, name=buyer.person)


def terms_of(name: str, words: str) -> dict[str, str]:
    """Contract terms as documents carry them: name, digest of the words, words."""
    return {"id": name, "digest": "sha-256:" + b64u(sha256(words.encode()).digest()), "text": words}
