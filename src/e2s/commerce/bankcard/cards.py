"""A card is a number that only its holder and her bank know, and a certificate that commits to it.

The bank finds a card again by a keyed digest of its number; the number itself it gives away once, to the
holder, and does not store.  The certificate's subject is a pseudonym.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from e2s.base.errors import Misuse, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document, b64u
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.documents import CARD
from e2s.commerce.payment.documents import pan_commitment
from e2s.commerce.payment.instructions import Card
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.kinds import PublicKey

PAN_KEY_BYTES = 32
SECRET_BYTES = 32
_PSEUDONYM_BYTES = 10
_DIGITS = 16


class CardAuthority(Protocol):
    """Port: the bank's card CA (:class:`e2s.security.pki.ca.Authority`)."""

    def issue(
        self,
        kind: str,
        key: PublicKey | bytes,
        names: Sequence[str],
        *,
        officer: str,
        pan_commit: bytes | None,
    ) -> Certificate:
        """Certify a key under names for a profile."""


@dataclass(frozen=True, kw_only=True)
class IssuedCard:
    """A new card: ``record`` is what the wallet keeps sealed, ``certificate`` that of the key C."""

    certificate: Certificate
    card: Card = field(repr=False)
    record: Document = field(repr=False)


def check_digit(digits: str) -> str:
    """The digit that makes ``digits`` and itself pass ISO/IEC 7812-1's check (annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card_number(prefix: str, number: int) -> str:
    """A card number of 16 digits: issuer's prefix, account, check digit; raises :class:`Misuse`."""
    room = _DIGITS - 1 - len(prefix)
    if not (prefix.isascii() and prefix.isdigit()) or not 4 <= len(prefix) <= 8 or number < 0:
        raise Misuse("bad-card-prefix", "an issuer's prefix has 4 to 8 digits")
    digits = f"{prefix}{number % 10**room:0{room}d}"
    return digits + check_digit(digits)


def pan_digest(key: bytes, pan: str) -> bytes:
    """The keyed digest by which the bank finds a card; ``key`` has 32 octets and stays in the bank."""
    if len(key) != PAN_KEY_BYTES:
        raise Misuse("bad-pan-key", "the key of card digests has 32 octets")
    return hmac.new(key, pan.encode(), sha256).digest()


def same_card(key: bytes, kept: bytes, pan: str) -> bool:
    """Whether ``pan`` is the card whose digest was kept."""
    return hmac.compare_digest(kept, pan_digest(key, pan))


def open_account(bank: Bank, organisation: str, currency: str) -> None:
    """Open the account of an organisation; its statements and limits are in ``currency``."""
    now = bank.clock.now()
    with bank.store.transaction() as connection:
        known = tables.organisation(connection, organisation)
        if known is None:
            values = {"name": organisation, "currency": currency, "since": format_instant(now)}
            connection.execute(tables.ORGANISATION.insert().values(values))
            bank.note(connection, "account.opened", now, organisation=organisation)
        elif known.currency != currency:
            raise Misuse(
                "other-currency", "the account stands in another currency", organisation=organisation
            )


def appoint_manager(
    bank: Bank, organisation: str, agreement: Certificate, chain: Sequence[Certificate] = ()
) -> None:
    """Let the holder of ``agreement`` (E.4.8) order controls and read statements for the organisation."""
    if oids.AGREEMENT["manager"] not in agreement.ekus or not agreement.name:
        raise Misuse("wrong-purpose", "statements are sealed to a manager's agreement certificate")
    now = bank.clock.now()
    values = {
        "name": agreement.name,
        "organisation": organisation,
        "agreement": agreement.der,
        "chain": b"".join(one.pem for one in chain),
    }
    with bank.store.transaction() as connection:
        if tables.organisation(connection, organisation) is None:
            raise Misuse("unknown-account", "the organisation has no account", organisation=organisation)
        connection.execute(tables.MANAGER.delete().where(tables.MANAGER.c.name == agreement.name))
        connection.execute(tables.MANAGER.insert().values(values))
        bank.note(connection, "manager.appointed", now, organisation=organisation, manager=agreement.name)


def issue_card(
    bank: Bank,
    authority: CardAuthority,
    pan_key: bytes,
    *,
    organisation: str,
    key: PublicKey | bytes,
    officer: str,
    expiry: str,
    brand: str,
    prefix: str,
    origin: str,
) -> IssuedCard:
    """A card for one buyer of an organisation; ``key`` is C's public key or a request for it.

    The certificate's name is a pseudonym below the bank's.  ``expiry`` is ``YYYY-MM``; ``origin`` is the
    door at which the holder inquires.  Control parameters come from the manager: until then the card
    buys nothing.
    """
    random, now = bank.random, bank.clock.now()
    pan = card_number(prefix, int.from_bytes(random(8), "big"))
    secret = random(SECRET_BYTES)
    name = f"{bank.name}:card:{random(_PSEUDONYM_BYTES).hex()}"
    commitment = pan_commitment(secret, pan)
    certificate = authority.issue("card-holder", key, (name,), officer=officer, pan_commit=commitment)
    record: Document = {
        "type": CARD.type,
        "holder": certificate.id,
        "pan": pan,
        "expiry": expiry,
        "panSecret": b64u(secret),
        "brand": brand,
        "issuer": bank.name,
        "signing": b64u(bank.signer.certificate.der),
        "agreement": b64u(bank.opener.certificate.der),
        "chain": [b64u(one.der) for one in bank.signer.chain],
        "origin": origin,
    }
    CARD.check(record)
    with bank.store.transaction() as connection:
        if tables.organisation(connection, organisation) is None:
            raise Refusal("unknown-account", "the organisation has no account", organisation=organisation)
        values = {
            "holder": certificate.id,
            "name": name,
            "organisation": organisation,
            "pan_mac": pan_digest(pan_key, pan),
            "expiry": expiry,
            "blocked": False,
        }
        connection.execute(tables.CARD.insert().values(values))
        bank.note(connection, "card.issued", now, holder=certificate.id, organisation=organisation)
    return IssuedCard(
        certificate=certificate, card=Card(pan=pan, expiry=expiry, pan_secret=secret), record=record
    )


def block_card(bank: Bank, holder: str) -> None:
    """Decline every payment of this card from now on; holds that stand are honoured."""
    now = bank.clock.now()
    with bank.store.transaction() as connection:
        if tables.card(connection, holder) is None:
            raise Refusal("unknown-card", "the bank gave no card to this card-holder")
        connection.execute(tables.CARD.update().where(tables.CARD.c.holder == holder).values(blocked=True))
        bank.note(connection, "card.blocked", now, holder=holder)
