"""The generic model of figure 2.1 in one process: banks, merchant's components, two organisations.

Everything is made through public constructors and joined by a network in memory; ``faults`` of the
exchange lose, repeat and alter messages.  The clock stands until a test moves it.
"""

from __future__ import annotations

import reprlib
import secrets
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, expect
from e2s.base.wire import Document
from e2s.commerce.acts import draft
from e2s.commerce.bankcard import cards
from e2s.commerce.bankcard import store as bank_store
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.documents import CONTROLS, STATEMENT_REQUEST
from e2s.commerce.bankcard.holds import HoldTerms
from e2s.commerce.bankcard.service import Issuer
from e2s.commerce.payment import gateway_store
from e2s.commerce.payment import store as till_store
from e2s.commerce.payment.gateway import Acquirer, Gateway
from e2s.commerce.payment.instructions import Card, Roles
from e2s.commerce.payment.merchant import Till
from e2s.commerce.payment.peers import Peer
from e2s.commerce.payment.service import MerchantPayment
from e2s.crypto import oids, stamps
from e2s.crypto.acts import read_act, sign_act
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.cms import open_sealed, seal
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PublicKey
from e2s.crypto.openers import KeyOpener
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.profiles import profile
from e2s.security.keys import key_handler
from e2s.security.keys.generation import generate
from e2s.security.keys.key_handler import KeyClient, KeyHandler
from tests.worlds.pki import DEFAULT_SUITE, Pki, SetClock, make_pki

GATEWAY, ISSUER, KEYS, TILL = "http://gateway", "http://issuer", "http://keys", "http://payment"
MCC = "5065"
PREFIX = "400005"


@dataclass(frozen=True, kw_only=True)
class Manager:
    """A purchasing manager of an organisation."""

    organisation: str
    signer: KeySigner
    opener: KeyOpener

    @property
    def name(self) -> str:
        return self.signer.certificate.name


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A buyer of an organisation with her card."""

    person: str
    organisation: str
    signer: KeySigner
    card: Card
    record: Document

    @property
    def id(self) -> str:
        return self.signer.certificate.id


class CardCa:
    """The bank's card CA without its register."""

    def __init__(self, pki: Pki) -> None:
        self.pki = pki

    def issue(
        self, kind: str, key: PublicKey | bytes, names, *, officer: str, pan_commit: bytes | None
    ) -> Certificate:
        assert officer
        assert not isinstance(key, bytes)
        wish = Wish(profile=profile(kind), names=tuple(names), public_key=key, pan_commit=pan_commit)
        return certify(
            wish, self.pki.bank_ca.signer, serial=serial_number(secrets.token_bytes), at=self.pki.at
        )


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of the parties of one community."""

    pki: Pki
    merchant: KeySigner
    till_signer: KeySigner
    till_opener: KeyOpener
    gateway_signer: KeySigner
    gateway_opener: KeyOpener
    issuer_signer: KeySigner
    issuer_opener: KeyOpener
    tsa: KeySigner


def make_keys(community: str = "market") -> Keys:
    pki = make_pki(community, bank="bank")
    base = f"urn:e2s:{community}"
    shop = (f"{base}:volt", "https://127.0.0.1:8443")
    return Keys(
        pki=pki,
        merchant=pki.signer("merchant", shop),
        till_signer=pki.signer("merchant-payment", shop),
        till_opener=pki.opener("merchant-payment-agreement", shop),
        gateway_signer=pki.signer("gateway", f"{base}:acquirer"),
        gateway_opener=pki.opener("gateway-agreement", f"{base}:acquirer"),
        issuer_signer=pki.signer("issuer", f"{base}:bank"),
        issuer_opener=pki.opener("issuer-agreement", f"{base}:bank"),
        tsa=pki.signer("tsa", f"{base}:clock"),
    )


@cache
def shared_keys() -> Keys:
    """Keys for most markets, since making them costs time; who revokes one takes a set of its own."""
    return make_keys()


class Market:
    """The market; ``market.pki``, ``clock`` and ``exchange`` are shared by all of its parts."""

    def __init__(
        self, home: Path, *, terms: HoldTerms | None = None, currency: str = "EUR", keys: Keys | None = None
    ) -> None:
        keys = keys or shared_keys()
        self.home = home
        self.pki = keys.pki
        self.clock = SetClock()
        self.exchange = LocalExchange()
        self.trust = self.pki.trust(self.clock)
        self.currency = currency
        self.numbers: dict[str, int] = {}
        self._keys(keys)
        self._bank(terms or HoldTerms())
        self._gateway()
        self._till()
        self.alpha = self.organisation("alpha", "mona")
        self.beta = self.organisation("beta", "max")
        self.anna = self.card_holder("alpha", "anna")
        self.bert = self.card_holder("beta", "bert")

    def name(self, party: str) -> str:
        return f"urn:e2s:market:{party}"

    # ------------------------------------------------------------------ making
    def _keys(self, keys: Keys) -> None:
        self.merchant = keys.merchant
        self.till_signer = keys.till_signer
        self.till_opener = keys.till_opener
        self.gateway_signer = keys.gateway_signer
        self.gateway_opener = keys.gateway_opener
        self.issuer_signer = keys.issuer_signer
        self.issuer_opener = keys.issuer_opener
        self.tsa = keys.tsa
        self.roles = Roles(
            merchant=self.till_signer.certificate,
            gateway=self.gateway_signer.certificate,
            issuer=self.issuer_signer.certificate,
        )

    def peer(self, role: str, signer: KeySigner, opener: KeyOpener, origin: str = "") -> Peer:
        return Peer(
            role=role,
            name=signer.certificate.name,
            signing=signer.certificate,
            agreement=opener.certificate,
            chain=signer.chain,
            origin=origin,
        )

    def _bank(self, terms: HoldTerms) -> None:
        self.pan_key = secrets.token_bytes(32)
        self.bank = Bank(
            name=self.name("bank"),
            store=Database.open(self.home / "issuer.db", bank_store.TABLES),
            signer=self.issuer_signer,
            opener=self.issuer_opener,
            trust=self.trust,
            clock=self.clock,
            random=secrets.token_bytes,
            terms=terms,
        )
        self.start_issuer()
        self.issuer_peer = self.peer("issuer", self.issuer_signer, self.issuer_opener, ISSUER)

    def start_issuer(self) -> None:
        self.issuer = Issuer(self.bank, pan_key=self.pan_key)
        self.exchange.doors[ISSUER] = self.issuer.handle

    def _gateway(self) -> None:
        merchant = self.peer("merchant-payment", self.till_signer, self.till_opener)
        self.acquirer = Acquirer(
            name=self.name("acquirer"),
            store=Database.open(self.home / "gateway.db", gateway_store.TABLES),
            signer=self.gateway_signer,
            opener=self.gateway_opener,
            trust=self.trust,
            clock=self.clock,
            exchange=self.exchange,
            random=secrets.token_bytes,
            merchants={merchant.name: merchant},
            issuers={self.issuer_peer.signing.id: self.issuer_peer},
        )
        self.start_gateway()
        self.gateway_peer = self.peer("gateway", self.gateway_signer, self.gateway_opener, GATEWAY)

    def start_gateway(self) -> None:
        self.gateway = Gateway(self.acquirer)
        self.exchange.doors[GATEWAY] = self.gateway.handle

    def _till(self) -> None:
        self.handler = KeyHandler(
            store=Database.open(self.home / "keys.db", key_handler.TABLES),
            signers={"merchant": self.merchant, "merchant-payment": self.till_signer},
            openers={"payment-agreement": self.till_opener},
            roles={"volt-purchasing": "purchasing", "volt-payment": "payment"},
            clock=self.clock,
            component="volt-keys",
        )
        self.link_keys = {pair: secrets.token_bytes(32) for pair in ("payment-keys", "purchasing-payment")}
        keys = {"volt-payment": self.link_keys["payment-keys"]}
        door = LinkDoor("volt-keys", keys, self.handler.doors, self.clock, secrets.token_bytes)
        self.exchange.doors[KEYS] = door.handle
        link = Link(
            "volt-payment",
            "volt-keys",
            self.link_keys["payment-keys"],
            self.exchange,
            KEYS,
            self.clock,
            secrets.token_bytes,
        )
        self.till = Till(
            name=self.name("volt"),
            store=Database.open(self.home / "payment.db", till_store.TABLES),
            keys=KeyClient(link),
            trust=self.trust,
            clock=self.clock,
            exchange=self.exchange,
            random=secrets.token_bytes,
            gateway=self.gateway_peer,
            issuers={self.issuer_peer.signing.id: self.issuer_peer},
            mcc=MCC,
        )
        self.start_till()
        self.payment_link = Link(
            "volt-purchasing",
            "volt-payment",
            self.link_keys["purchasing-payment"],
            self.exchange,
            TILL,
            self.clock,
            secrets.token_bytes,
        )

    def start_till(self) -> None:
        self.payment = MerchantPayment(self.till, purchasing="volt-purchasing")
        keys = {"volt-purchasing": self.link_keys["purchasing-payment"]}
        door = LinkDoor("volt-payment", keys, self.payment.doors, self.clock, secrets.token_bytes)
        self.exchange.doors[TILL] = door.handle

    def close(self) -> None:
        for component in (self.issuer, self.gateway, self.payment, self.handler):
            component.close()

    # ------------------------------------------------------------------ people
    def organisation(self, party: str, person: str) -> Manager:
        names = (self.name(f"{party}:{person}"), self.name(party))
        opener = self.pki.opener("manager-agreement", names)
        cards.open_account(self.bank, self.name(party), self.currency)
        cards.appoint_manager(self.bank, self.name(party), opener.certificate, (self.pki.operating,))
        return Manager(organisation=self.name(party), signer=self.pki.signer("manager", names), opener=opener)

    def card_holder(self, party: str, person: str, *, expiry: str = "2028-12") -> Holder:
        key = generate(DEFAULT_SUITE, secrets.token_bytes)
        issued = cards.issue_card(
            self.bank,
            CardCa(self.pki),
            self.pan_key,
            organisation=self.name(party),
            key=key.public_key(),
            officer="officer",
            expiry=expiry,
            brand="Market Card",
            prefix=PREFIX,
            origin=ISSUER,
        )
        return Holder(
            person=self.name(f"{party}:{person}"),
            organisation=self.name(party),
            signer=KeySigner(issued.certificate, (self.pki.card_ca,), key),
            card=issued.card,
            record=issued.record,
        )

    # ------------------------------------------------------------------ doors
    def send(self, origin: str, path: str, body: bytes) -> bytes:
        return expect(self.exchange.send(origin, Request("POST", path, body)), what=path)

    def till_says(self, path: str, **asked: Any) -> Document:
        return wire.decode(self.payment_link.ask(path, wire.encode(asked)), 2**21)

    def sealed(self, opener: KeyOpener, content: bytes, content_type: str = oids.ACT) -> bytes:
        return seal(content, content_type, [opener.certificate], secrets.token_bytes)

    # ------------------------------------------------------------------ the manager's part
    def controls(
        self,
        manager: Manager,
        *holders: Holder,
        per_purchase: str = "1000.00",
        per_period: str = "5000.00",
        days: int = 30,
        classes: tuple[str, ...] = ("*",),
        merchants: tuple[str, ...] = ("*",),
        n: int | None = None,
        currency: str | None = None,
    ) -> bytes:
        """The manager's signed order; :meth:`order` also sends it."""
        number = n or self.numbers.get(manager.organisation, 0) + 1
        self.numbers[manager.organisation] = max(number, self.numbers.get(manager.organisation, 0))
        now = self.clock.now()
        document = draft(
            CONTROLS,
            by=manager.signer.certificate,
            to=[self.bank.name],
            at=now,
            until=now + self.bank.terms.hold,
            organisation=manager.organisation,
            n=number,
            currency=currency or self.currency,
            holders=[
                {
                    "holder": holder.id,
                    "perPurchase": per_purchase,
                    "perPeriod": per_period,
                    "periodDays": days,
                    "classes": list(classes),
                    "merchants": list(merchants),
                }
                for holder in holders
            ],
        )
        return sign_act(document, (), manager.signer, now)

    def order(self, act: bytes) -> bytes:
        return self.send(ISSUER, "/controls", self.sealed(self.issuer_opener, act))

    def permit(self, manager: Manager, *holders: Holder, **limits: Any) -> bytes:
        return self.order(self.controls(manager, *holders, **limits))

    def request_statement(self, manager: Manager, n: int, organisation: str = "") -> bytes:
        now = self.clock.now()
        document = draft(
            STATEMENT_REQUEST,
            by=manager.signer.certificate,
            to=[self.bank.name],
            at=now,
            until=now + self.bank.terms.hold,
            organisation=organisation or manager.organisation,
            n=n,
        )
        act = sign_act(document, (), manager.signer, now)
        return self.send(ISSUER, "/statement", self.sealed(self.issuer_opener, act))

    def statement(self, manager: Manager, n: int):
        found, octets = open_sealed(self.request_statement(manager, n), manager.opener)
        assert found == oids.ACT
        return read_act(octets)

    # ------------------------------------------------------------------ time
    def stamp(self, octets: bytes, at=None) -> bytes:
        query = stamps.request(sha256(read_act(octets).signature).digest(), secrets.randbelow(2**62))
        at = at or self.clock.now()
        return stamps.read_response(stamps.respond(query, self.tsa, secrets.randbelow(2**62), at, "2.25.1"))


def refused(rule: str, act, *args: Any, **named: Any) -> Refusal:
    """The refusal that ``act`` raises; a test fails when it raises none, or by another rule."""
    try:
        found = act(*args, **named)
    except Refusal as refusal:
        assert refusal.rule == rule, f"{refusal.rule} instead of {rule}: {refusal}"
        return refusal
    raise AssertionError(f"not refused by {rule}: {reprlib.repr(found)}")
