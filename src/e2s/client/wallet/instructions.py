"""The dual signature binds merchant, gateway, issuer and contract to three instructions for three readers.

An order is made whole before it is signed: PI sealed to the gateway, SI to the issuer, OI for the
merchant, and the document over their salted digests (6.2.3; protocol, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from e2s.base import wire
from e2s.base.instants import parse_instant
from e2s.base.wire import Document
from e2s.client.wallet.card import Card
from e2s.client.wallet.gateways import Gateway
from e2s.commerce.order import classes
from e2s.commerce.payment.documents import transaction_id
from e2s.commerce.payment.dual_signature import pay_document
from e2s.commerce.payment.instructions import (
    SALT_BYTES,
    Roles,
    issuer_information,
    order_information,
    payment_instruction,
)
from e2s.crypto import cms, oids
from e2s.crypto.acts import Act, write_parcel
from e2s.crypto.certificates import Certificate

#: How long a dual signature may be authorised, never beyond the contract's payBy.
ORDER_LIFETIME = timedelta(minutes=15)
Random = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Order:
    """A payment about to be signed: the dual signature's document and what goes beside it, already sealed."""

    document: Document = field(repr=False)
    oi: bytes = field(repr=False)
    sealed_pi: bytes = field(repr=False)
    sealed_si: bytes = field(repr=False)

    def beside(self) -> bytes:
        """What is kept with the intent: no card number is readable in it."""
        return write_parcel("e2s/1/order", [self.oi, self.sealed_pi, self.sealed_si])


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a payment is for: the contract, who takes part, and what the buyer wants it booked to."""

    offer: Act
    cid: str
    merchant: Certificate
    gateway: Gateway
    buyer: str
    cost_centre: str
    nonces: tuple[bytes, bytes]


def write_order(terms: Terms, card: Card, holder: Certificate, at: datetime, random: Random) -> Order:
    """The order to pay what the contract says, by this card, through this gateway."""
    contract = terms.offer.document
    issuer = card.issuer
    roles = Roles(merchant=terms.merchant, gateway=terms.gateway.signing, issuer=issuer.signing)
    xid = transaction_id(terms.cid, *terms.nonces)
    oi = order_information(contract, roles=roles, xid=xid, cid=terms.cid, salt=random(SALT_BYTES))
    pi = payment_instruction(
        card.secrets,
        holder=holder,
        roles=roles,
        xid=xid,
        amount=contract["total"],
        currency=contract["currency"],
        salt=random(SALT_BYTES),
    )
    si = issuer_information(
        classes(contract),
        buyer=terms.buyer,
        cost_centre=terms.cost_centre,
        roles=roles,
        xid=xid,
        cid=terms.cid,
        salt=random(SALT_BYTES),
    )
    document = pay_document(
        holder=holder,
        roles=roles,
        trade=contract["trade"],
        pi=pi,
        oi=oi,
        si=si,
        at=at,
        until=min(at + ORDER_LIFETIME, parse_instant(contract["payBy"])),
    )
    return Order(
        document=document,
        oi=wire.encode(oi),
        sealed_pi=cms.seal(wire.encode(pi), oids.PLAIN_PI, [terms.gateway.agreement], random),
        sealed_si=cms.seal(wire.encode(si), oids.PLAIN_SI, [issuer.agreement], random),
    )
