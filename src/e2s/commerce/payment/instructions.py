"""Each party sees the instruction that it needs, and a salted digest of every other (6.2.3).

PI (card number) is for gateway and issuer, OI (order) for the merchant and, at capture, the issuer, SI
(kinds of goods) for the issuer's controls, LI (lines) for the statement.  Salts have 32 random octets, so
no digest can be guessed from a catalogue or a list of card numbers.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u
from e2s.commerce.order import SUMS, check_sums
from e2s.commerce.payment.documents import LI, OI, PI, SI, instruction_digest, pan_commitment
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form

SALT_BYTES = 32
_COMMITMENT = b"\x04\x20"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card-holder knows of her card and nobody but gateway and issuer may read."""

    pan: str = field(repr=False)
    expiry: str
    pan_secret: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Whom a payment is to, through whom, from whose money: certificates of P, G and I."""

    merchant: Certificate
    gateway: Certificate
    issuer: Certificate

    @property
    def names(self) -> dict[str, str]:
        """The members ``merchant``, ``gateway``, ``issuer`` of PI and DS: certificates' digests."""
        return {"merchant": self.merchant.id, "gateway": self.gateway.id, "issuer": self.issuer.id}

    @property
    def readers(self) -> list[str]:
        """Party names of the three: the dual signature's audience."""
        return [self.merchant.name, self.gateway.name, self.issuer.name]


def payment_instruction(
    card: Card, *, holder: Certificate, roles: Roles, xid: bytes, amount: str, currency: str, salt: bytes
) -> Document:
    """PI: pay ``amount`` from this card to this merchant through this gateway."""
    document = {
        "type": PI.type,
        "to": [roles.gateway.name, roles.issuer.name],
        "xid": b64u(xid),
        "holder": holder.id,
        "pan": card.pan,
        "expiry": card.expiry,
        "panSecret": b64u(card.pan_secret),
        "amount": amount,
        "currency": currency,
        **roles.names,
        "salt": b64u(salt),
    }
    PI.check(document)
    return document


def order_information(
    order: Mapping[str, Any], *, roles: Roles, xid: bytes, cid: str, salt: bytes
) -> Document:
    """OI: the contract's lines and sums, for the merchant and later for the issuer."""
    document = {
        "type": OI.type,
        "to": [roles.merchant.name, roles.issuer.name],
        "xid": b64u(xid),
        "cid": cid,
        **{member: order[member] for member in SUMS},
        "salt": b64u(salt),
    }
    OI.check(document)
    return document


def issuer_information(
    classes: Sequence[str], *, buyer: str, cost_centre: str, roles: Roles, xid: bytes, cid: str, salt: bytes
) -> Document:
    """SI: kinds of goods (empty: not disclosed), buyer and cost centre, for the issuer's controls only."""
    document = {
        "type": SI.type,
        "to": [roles.issuer.name],
        "xid": b64u(xid),
        "cid": cid,
        "classes": sorted(classes),
        "buyer": buyer,
        "costCentre": cost_centre,
        "salt": b64u(salt),
    }
    SI.check(document)
    return document


def line_items(oi: Document, *, issuer: str, delivery: str, n: int = 1) -> Document:
    """LI: what this capture is for: all lines of the order information, with its digest."""
    document = {
        "type": LI.type,
        "to": [issuer],
        "xid": oi["xid"],
        "cid": oi["cid"],
        "n": n,
        "lines": oi["lines"],
        "amount": oi["total"],
        "currency": oi["currency"],
        "oi": digest_member(oi),
        "delivery": delivery,
    }
    LI.check(document)
    return document


def digest_member(instruction: Document) -> str:
    """An instruction's digest as LI's member ``oi`` writes it."""
    return "sha-256:" + b64u(instruction_digest(instruction))


def read_instruction(octets: bytes, form: Form, *, reader: str, digest: str | None = None) -> Document:
    """The instruction of ``form`` for ``reader``; with ``digest`` it must be the one that was signed.

    Raises :class:`Refusal` ``not-canonical``, ``bad-document``, ``wrong-audience``, or
    ``instruction-differs`` when its salted digest (base64url) is not ``digest``.
    """
    document = wire.decode(octets)
    form.check(document)
    if reader not in document["to"]:
        raise Refusal("wrong-audience", "the instruction is not for this reader", type=form.type)
    if digest is not None and not hmac.compare_digest(b64u(instruction_digest(document)), digest):
        raise Refusal("instruction-differs", "the instruction is not the one that was signed", type=form.type)
    return document


def check_order_information(oi: Document, ds: Document) -> None:
    """OI belongs to the payment, and its total is what is paid; raises ``other-...`` or ``false-total``."""
    if (oi["xid"], oi["cid"]) != (ds["xid"], ds["cid"]):
        raise Refusal("other-transaction", "the order information is of another payment")
    check_sums(oi)
    if (oi["total"], oi["currency"]) != (ds["amount"], ds["currency"]):
        raise Refusal("other-amount", "the order's total is not what the card-holder pays")


def check_payment_instruction(pi: Document, ds: Document, holder: Certificate) -> None:
    """PI names what DS names, and its card is the one that the holder's certificate commits to.

    Raises :class:`Refusal` ``other-holder``, ``other-merchant``, ``other-gateway``, ``other-issuer``,
    ``other-amount``, ``other-transaction`` or ``other-card``.
    """
    if pi["holder"] != holder.id:
        raise Refusal("other-holder", "the payment instruction is another card-holder's")
    for member, rule in (
        ("xid", "other-transaction"),
        ("merchant", "other-merchant"),
        ("gateway", "other-gateway"),
        ("issuer", "other-issuer"),
        ("amount", "other-amount"),
        ("currency", "other-amount"),
    ):
        if pi[member] != ds[member]:
            raise Refusal(rule, "the payment instruction and the dual signature differ", member=member)
    committed = pan_commitment(wire.unb64u(pi["panSecret"]), pi["pan"])
    if not hmac.compare_digest(committed, commitment_of(holder)):
        raise Refusal("other-card", "the card number is not the one that the certificate commits to")


def commitment_of(certificate: Certificate) -> bytes:
    """The certificate's panCommit, 32 octets; raises :class:`Refusal` ``no-card-commitment``."""
    try:
        found = certificate.x509.extensions.get_extension_for_oid(
            x509.ObjectIdentifier(oids.PAN_COMMIT)
        ).value
    except x509.ExtensionNotFound as error:
        raise Refusal("no-card-commitment", "the certificate commits to no card number") from error
    octets = found.public_bytes()
    if len(octets) != 34 or octets[:2] != _COMMITMENT:
        raise Refusal("no-card-commitment", "the certificate commits to no card number")
    return octets[2:]
