"""The card number stands in the wallet only sealed: it is opened for one payment, for the gateway alone.

The record is sealed to the wallet's own agreement certificate (``card.cms`` in its home); what the
issuer's certificate commits to is compared when it is opened, so a swapped record cannot pay.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.commerce.payment.documents import pan_commitment
from e2s.commerce.payment.instructions import Card as CardSecrets
from e2s.commerce.payment.instructions import commitment_of
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form, digest, list_of, octets, octets_max, record, text, token
from e2s.crypto.ports import Opener

_CERTIFICATE = octets_max(32 * 1024, min_size=1)
_ISSUER = record(
    {
        "name": text(200),
        "origin": text(300),
        "signing": _CERTIFICATE,
        "agreement": _CERTIFICATE,
        "chain": list_of(_CERTIFICATE, 8, 0),
    }
)
FORM = Form(
    "e2s/1/card",
    {
        "pan": token,
        "expiry": token,
        "panSecret": octets(32),
        "brand": token,
        "holder": digest,
        "issuer": _ISSUER,
    },
    envelope=False,
)


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Where the issuing bank is reached, and the certificates that stand for it."""

    name: str
    origin: str
    signing: Certificate
    agreement: Certificate
    chain: tuple[Certificate, ...] = ()

    def document(self) -> dict[str, Any]:
        """Its members in a document."""
        return {
            "name": self.name,
            "origin": self.origin,
            "signing": wire.b64u(self.signing.der),
            "agreement": wire.b64u(self.agreement.der),
            "chain": [wire.b64u(c.der) for c in self.chain],
        }

    @classmethod
    def of(cls, members: dict[str, Any]) -> Issuer:
        """Read :meth:`document`."""
        return cls(
            name=members["name"],
            origin=members["origin"],
            signing=Certificate.read(wire.unb64u(members["signing"])),
            agreement=Certificate.read(wire.unb64u(members["agreement"])),
            chain=tuple(Certificate.read(wire.unb64u(c)) for c in members["chain"]),
        )


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

    def encoded(self) -> bytes:
        """The record's canonical octets: a secret."""
        return wire.encode(
            {
                "type": FORM.type,
                "pan": self.pan,
                "expiry": self.expiry,
                "panSecret": wire.b64u(self.pan_secret),
                "brand": self.brand,
                "holder": self.holder,
                "issuer": self.issuer.document(),
            }
        )


def seal_card(card: Card, recipient: Certificate, random: Callable[[int], bytes]) -> bytes:
    """``card.cms``: the record, sealed to the wallet's agreement certificate."""
    return cms.seal(card.encoded(), oids.DATA, [recipient], random)


def open_card(sealed: bytes, opener: Opener, holder: Certificate) -> Card:
    """The record in ``card.cms``; raises :class:`Refusal` ``wrong-card`` when C does not commit to it."""
    content_type, content = cms.open_sealed(sealed, opener)
    if content_type != oids.DATA:
        raise Refusal("wrong-card", "the sealed content is no card record")
    document = wire.decode(content)
    FORM.check(document)
    card = Card(
        pan=document["pan"],
        expiry=document["expiry"],
        pan_secret=wire.unb64u(document["panSecret"]),
        brand=document["brand"],
        holder=document["holder"],
        issuer=Issuer.of(document["issuer"]),
    )
    committed = pan_commitment(card.pan_secret, card.pan)
    if card.holder != holder.id or not hmac.compare_digest(committed, commitment_of(holder)):
        raise Refusal("wrong-card", "the card-holder's certificate is not for this card")
    return card
