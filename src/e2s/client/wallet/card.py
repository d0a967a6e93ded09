"""The card number stands in the wallet only sealed: it is opened for one payment, for the gateway alone.

The record is sealed to the wallet's own agreement certificate (``card.cms`` in its home); what the
issuer's certificate commits to is compared when it is opened, so a swapped record cannot pay.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.wire import Document
from e2s.commerce.bankcard.documents import CARD
from e2s.commerce.payment.documents import pan_commitment
from e2s.commerce.payment.instructions import Card as CardSecrets
from e2s.commerce.payment.instructions import commitment_of
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.ports import Opener


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Where the issuing bank is reached, and the certificates that stand for it."""

    name: str
    origin: str
    signing: Certificate
    agreement: Certificate
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Card:
    """A purchasing card; ``holder`` is the digest of the card-holder's certificate C."""

    pan: str = field(repr=False)
    expiry: str = field(repr=False)
    pan_secret: bytes = field(repr=False)
    brand: str
    holder: str
    issuer: Issuer

    @property
    def secrets(self) -> CardSecrets:
        """What goes into a payment instruction."""
        return CardSecrets(pan=self.pan, expiry=self.expiry, pan_secret=self.pan_secret)


def seal_card(record: Document, recipient: Certificate, random: Callable[[int], bytes]) -> bytes:
    """``card.cms``: what the bank gave with the card, sealed to the wallet's agreement certificate."""
    CARD.check(record)
    return cms.seal(wire.encode(record), oids.DATA, [recipient], random)


def open_card(sealed: bytes, opener: Opener, holder: Certificate) -> Card:
    """The record in ``card.cms``; raises :class:`Refusal` ``wrong-card`` when C does not commit to it."""
    content_type, content = cms.open_sealed(sealed, opener)
    if content_type != oids.DATA:
        raise Refusal("wrong-card", "the sealed content is no card record")
    document = wire.decode(content)
    CARD.check(document)
    card = Card(
        pan=document["pan"],
        expiry=document["expiry"],
        pan_secret=wire.unb64u(document["panSecret"]),
        brand=document["brand"],
        holder=document["holder"],
        issuer=Issuer(
            name=document["issuer"],
            origin=document["origin"],
            signing=_certificate(document["signing"]),
            agreement=_certificate(document["agreement"]),
            chain=tuple(map(_certificate, document["chain"])),
        ),
    )
    committed = pan_commitment(card.pan_secret, card.pan)
    if card.holder != holder.id or not hmac.compare_digest(committed, commitment_of(holder)):
        raise Refusal("wrong-card", "the card-holder's certificate is not for this card")
    return card


def _certificate(text: str) -> Certificate:
    return Certificate.read(wire.unb64u(text))
