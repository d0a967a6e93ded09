"""A merchant's whole server in one process, from public constructors: its components joined by sealed links.

Its payment component may be the real one (given as a factory) or :class:`ScriptedPayment`, which speaks the
same doors and says what the test wants the bank to have said.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Handler, Request, Response
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.purchasing import publishing, store
from e2s.commerce.purchasing.acts import Purchasing
from e2s.commerce.purchasing.counter import Counter, PartyFacts
from e2s.commerce.purchasing.offer import Deadlines
from e2s.commerce.purchasing.publishing import Publisher, read_contracts
from e2s.commerce.purchasing.service import PurchasingService, opens_logins, signs_logins
from e2s.commerce.purchasing.settling import Deliverable, always
from e2s.commerce.purchasing.shelf import Shelf
from e2s.crypto.acts import read_act, read_parcel, sign_act, write_parcel
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.network.sessions.buyer import Choice, Visit
from e2s.network.sessions.calls import Call
from e2s.network.sessions.link import Link, LinkDoor
from e2s.network.sessions.local import LocalExchange
from e2s.network.sessions.merchant import Caller, Sessions
from e2s.network.sessions.pages import Shop as ShopPage
from e2s.security.keys import key_handler
from e2s.security.keys.key_handler import KeyClient, KeyHandler
from e2s.security.timestamping import authority as stamping
from e2s.security.timestamping.authority import StampAuthority
from e2s.security.timestamping.client import StampClient
from e2s.server.webserver.outside import Outside
from tests.worlds.pki import Pki, SetClock, make_pki

CSV = (
    b"sku,text,class,price,vatRate,unit,keywords\n"
    b"R:10K,Resistor 10 kOhm,Resistor,0.012,19,piece,smd 0603\n"
    b"R:4K7,Resistor 4.7 kOhm,Resistor,0.012,19,piece,smd 0603\n"
    b"BOOK:7,Data book,Book,18.69,7,piece,paper\n"
    b"SOLAR:1,Solar cell,Solar,5,0,piece,panel\n"
    b"WIRE:RED,Red wire,Wire,0.35,19,metre,copper\n"
)
CONTRACTS = b"""
[[contract]]
organisation = "urn:e2s:market:alpha"
id = "A-1"
text = "Framework agreement A-1: ten percent off resistors."
[[contract.rule]]
kind = "price"
sku = "BOOK:7"
value = "15"
[[contract.rule]]
kind = "discount"
class = "Resistor"
value = "10"

[[contract]]
organisation = "urn:e2s:market:beta"
id = "B-1"
text = "Terms of sale."
"""
LINES = [{"sku": "R:10K", "qty": "1000"}, {"sku": "BOOK:7", "qty": "2"}, {"sku": "SOLAR:1", "qty": "3"}]


@dataclass
class Person:
    """A buyer: her session key Ba and her signing key B."""

    session: KeySigner
    buyer: KeySigner

    @property
    def name(self) -> str:
        return self.session.certificate.names[0]

    @property
    def organisation(self) -> str:
        return self.session.certificate.names[1]

    @property
    def caller(self) -> Caller:
        return Caller(self.session.certificate, self.session.chain)


class Paying(Protocol):
    """The payment component as the shop's world holds it."""

    def handle_link(self, peer: str, path: str, body: bytes) -> bytes: ...


@dataclass
class ScriptedPayment:
    """Answers purchasing as the payment component would, once ``says`` has been set by the test."""

    pki: Pki
    clock: SetClock
    says: str = "authorised"
    silent: bool = False
    refuses: str = ""
    asked: list[str] = field(default_factory=list)
    rows: dict[str, Document] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.till = self.pki.signer("merchant-payment", ("urn:e2s:market:volt", "http://volt.test"))
        self.card = self.pki.signer("card-holder", "urn:e2s:market:bank:card:1")

    def handle_link(self, _peer: str, path: str, body: bytes) -> bytes:
        self.asked.append(path)
        if self.silent:
            raise Unreachable("peer-unavailable", "the gateway is silent")
        if self.refuses:
            raise Refusal(self.refuses, "the payment component refuses")
        return wire.encode(getattr(self, path.strip("/"))(wire.decode(body, 2**21)))

    def act(self, kind: str, members: Document, over: Sequence[bytes] = ()) -> bytes:
        now = self.clock.now()
        around = {
            "type": f"e2s/1/{kind}",
            "from": self.till.certificate.id,
            "to": ["urn:e2s:market:alpha:anna"],
            "at": format_instant(now),
            "until": format_instant(now),
        }
        return sign_act({**around, **members}, over, self.till, now)

    def pinit(self, asked: Document) -> Document:
        members = {name: asked[name] for name in ("trade", "cid", "nC", "total", "currency", "payBy")}
        return {"pinit": b64u(self.act("pinit", members)), "certificates": []}

    def pay(self, asked: Document) -> Document:
        ds = read_act(read_parcel(unb64u(asked["parcel"]), "e2s/1/preq")[0])
        xid = ds.document["xid"]
        if xid not in self.rows:
            hold = format_instant(self.clock.now().replace(year=2027))
            self.rows[xid] = {"xid": xid, "issuer": "urn:e2s:market:bank", "state": "asking"}
            self.rows[xid] |= {"holdUntil": hold, "claimUntil": hold, "ds": b64u(ds.octets)}
        row = self.rows[xid]
        if row["state"] == "asking" and self.says != "asking":
            row["state"] = self.says
            if self.says in ("authorised", "declined"):
                result = {"authorised": "approved", "declined": "declined"}[self.says]
                members = {"xid": xid, "ds": ds.id, "result": result, "trade": ds.document["trade"]}
                row["pres"] = b64u(self.act("pres", members))
        return row

    def capture(self, asked: Document) -> Document:
        row = self.rows[asked["xid"]]
        row["state"] = self.says if self.says in ("captured", "unpaid") else "capturing"
        return row

    def reverse(self, asked: Document) -> Document:
        row = self.rows[asked["xid"]]
        row["state"] = "reversed" if self.says == "reversed" else "reversing"
        if row["state"] == "reversed":
            revres = self.act("revres", {"xid": asked["xid"]})
            row |= {
                "revres": b64u(revres),
                "cancel": b64u(self.act("cancel", {"xid": asked["xid"]}, [revres])),
            }
        return row


@dataclass
class ShopWorld:
    """The merchant ``volt`` with its components; :meth:`restart` makes them anew over the same files."""

    folder: Path
    pki: Pki = field(default_factory=make_pki)
    clock: SetClock = field(default_factory=SetClock)
    exchange: LocalExchange = field(default_factory=LocalExchange)
    deliverable: Deliverable = always
    deadlines: Deadlines = field(default_factory=Deadlines)
    payment: Any = None
    name: str = "urn:e2s:market:volt"
    origin: str = "http://volt.test"
    gateways: tuple[str, ...] = ("sha-256:" + "A" * 43,)

    def __post_init__(self) -> None:
        names = (self.name, self.origin)
        self.signers = {
            label: self.pki.signer(label, names) for label in ("merchant", "merchant-payment", "catalogue")
        }
        self.openers = {
            "merchant-agreement": self.pki.opener("merchant-agreement", names),
            "payment-agreement": self.pki.opener("merchant-payment-agreement", names),
        }
        self.link_keys: dict[frozenset[str], bytes] = {}
        self.trust = self.pki.trust(self.clock)
        self.payment = self.payment or ScriptedPayment(self.pki, self.clock)
        if isinstance(self.payment, ScriptedPayment):
            self.payment.till = self.signers["merchant-payment"]
        for spare in ("tsa1", "tsa2"):
            self._stamps(spare)
        self.exchange.doors["link:payment"] = self._payment_door
        self._keys()
        self.restart()
        self._outside()
        self._publisher()

    # ------------------------------------------------------------------ parts
    def key(self, one: str, other: str) -> bytes:
        return self.link_keys.setdefault(frozenset((one, other)), secrets.token_bytes(32))

    def link(self, me: str, peer: str) -> Link:
        return Link(
            me, peer, self.key(me, peer), self.exchange, f"link:{peer}", self.clock, secrets.token_bytes
        )

    def door(self, me: str, peers: Sequence[str], doors: dict[str, Callable[[str, bytes], bytes]]) -> Handler:
        keys = {peer: self.key(me, peer) for peer in peers}
        return LinkDoor(me, keys, doors, self.clock, secrets.token_bytes).handle

    def database(self, name: str, tables: Any) -> Database:
        return Database.open(self.folder / f"{name}.db", tables)

    def _stamps(self, name: str) -> None:
        signer = self.pki.signer("tsa", f"urn:e2s:market:{name}")
        database = self.database(name, stamping.TABLES)
        authority = StampAuthority(
            signer, database, component=name, clock=self.clock, random=secrets.token_bytes
        )
        self.exchange.doors[f"http://{name}.test"] = authority.handle

    def _keys(self) -> None:
        self.handler = KeyHandler(
            store=self.database("keys", key_handler.TABLES),
            signers=self.signers,
            openers=self.openers,
            roles={"purchasing": "purchasing", "payment": "payment", "catalogue": "catalogue"},
            clock=self.clock,
            component="volt-keys",
        )
        peers = ("purchasing", "payment", "catalogue", "outside")
        self.exchange.doors["link:keys"] = self.door("keys", peers, dict(self.handler.doors))

    def _payment_door(self, request: Request) -> Response:
        def door(path: str) -> Callable[[str, bytes], bytes]:
            return lambda peer, body: bytes(self.payment.handle_link(peer, path, body))

        doors = {path: door(path) for path in ("/pinit", "/pay", "/state", "/capture", "/reverse")}
        return self.door("payment", ["purchasing"], doors)(request)

    def restart(self) -> None:
        """Purchasing as after a kill: nothing but its files is left."""
        keys = KeyClient(self.link("purchasing", "keys"))
        database = self.database("purchasing", store.TABLES)
        trust = self.trust
        stamper = StampClient(
            exchange=self.exchange,
            authorities=("http://tsa1.test", "http://tsa2.test"),
            trust=trust,
            clock=self.clock,
            random=secrets.token_bytes,
        )
        counter = Counter(
            store=database,
            keys=keys,
            trust=trust,
            stamper=stamper,
            clock=self.clock,
            random=secrets.token_bytes,
            party=PartyFacts(name=self.name, gateways=self.gateways),
            component="volt-purchasing",
            deadlines=self.deadlines,
        )
        shelf = Shelf(
            database=database,
            folder=self.folder / "catalogue",
            trust=trust,
            clock=self.clock,
            merchant=self.name,
        )
        self.purchasing = Purchasing(
            counter=counter,
            shelf=shelf,
            payment=self.link("purchasing", "payment"),
            deliverable=self.deliverable,
            evidence=self.folder / "evidence",
        )
        page = ShopPage(
            merchant=self.name,
            origin=self.origin,
            suites=("p256-hkdf-sha256-aes256gcm",),
            signing=keys.certificate("merchant"),
            agreement=keys.certificate("merchant-agreement"),
            chain=keys.chain("merchant"),
            plain=True,
        )
        sessions = Sessions(
            page,
            checker=trust,
            open_envelope=opens_logins(keys),
            sign_document=signs_logins(keys),
            clock=self.clock,
            random=secrets.token_bytes,
        )
        self.service = PurchasingService(
            purchasing=self.purchasing,
            sessions=sessions,
            me="purchasing",
            outside="outside",
            catalogue="catalogue",
            keys={peer: self.key("purchasing", peer) for peer in ("outside", "catalogue")},
            clock=self.clock,
            random=secrets.token_bytes,
        )
        self.exchange.doors["link:purchasing"] = self.service.handle

    def _outside(self) -> None:
        self.outside = Outside(
            ask=self.link("outside", "purchasing").ask,
            folder=self.folder / "public",
            me="outside",
            catalogue="catalogue",
            keys={"catalogue": self.key("catalogue", "outside")},
            clock=self.clock,
            random=secrets.token_bytes,
        )
        self.exchange.doors[self.origin] = self.outside.handle
        self.exchange.doors["link:outside"] = self.outside.handle

    def _publisher(self) -> None:
        self.publisher = Publisher(
            store=self.database("publisher", publishing.TABLES),
            keys=KeyClient(self.link("catalogue", "keys")),
            purchasing=self.link("catalogue", "purchasing"),
            outside=self.link("catalogue", "outside"),
            merchant=self.name,
            title="Volt",
            origin=self.origin,
            component="volt-catalogue",
            clock=self.clock,
        )

    # ------------------------------------------------------------------ what people do
    def load(self, csv: bytes = CSV, contracts: bytes = CONTRACTS) -> int:
        return self.publisher.load(
            csv, read_contracts(contracts), currency="EUR", source="Made up for the tests."
        )

    def person(self, name: str = "anna", organisation: str = "alpha", community: str = "market") -> Person:
        names = (f"urn:e2s:{community}:{organisation}:{name}", f"urn:e2s:{community}:{organisation}")
        return Person(self.pki.signer("buyer-session", names), self.pki.signer("buyer", names))

    def visit(self, person: Person) -> Visit:
        """A session through the outside."""
        choice = Choice(
            merchant=self.name, origin=self.origin, suites=("p256-hkdf-sha256-aes256gcm",), plain=True
        )
        return Visit.open(
            self.exchange,
            choice=choice,
            signer=person.session,
            checker=self.trust,
            clock=self.clock,
            random=secrets.token_bytes,
        )

    def ask(self, person: Person, op: str, rid: str = "", **args: Any) -> Document:
        """One request as the session would hand it in."""
        return self.purchasing.serve(person.caller, Call(rid or b64u(secrets.token_bytes(16)), op, args))

    def list(self, person: Person) -> str:
        return str(self.ask(person, "search", q="")["list"])

    def offer(self, person: Person, trade: str = "", **more: Any) -> bytes:
        """An offer of :data:`LINES`."""
        args = {
            "trade": trade or b64u(secrets.token_bytes(16)),
            "list": self.list(person) if "list" not in more else "",
            "lines": LINES,
            "deliverTo": "Anna, Alpha, Dock 3",
            "buyer": person.buyer.certificate.id,
        }
        return unb64u(self.ask(person, "offer", **{**args, **more})["offer"])

    def acceptance(
        self, person: Person, offer: bytes, /, *, over: Sequence[bytes] | None = None, **change: Any
    ) -> bytes:
        """The buyer's acceptance; ``change`` replaces members, ``over`` what it is over."""
        offered, now = read_act(offer), self.clock.now()
        said = offered.document
        document = {
            "type": "e2s/1/accept",
            "from": person.buyer.certificate.id,
            "to": [self.name],
            "at": format_instant(now),
            "until": said["payBy"],
            "trade": said["trade"],
            "salt": b64u(secrets.token_bytes(32)),
            "offer": offered.id,
            "decision": "accept",
            "confirmBy": said["confirmBy"],
            "payBy": said["payBy"],
            "costCentre": "4711",
            **change,
        }
        return sign_act(document, [offer] if over is None else over, person.buyer, now)

    def accept(self, person: Person, offer: bytes, /, **change: Any) -> Document:
        act = self.acceptance(person, offer, **change)
        return self.ask(person, "accept", trade=read_act(offer).document["trade"], act=b64u(act))

    def contract(self, person: Person) -> tuple[str, bytes]:
        """A trade with its confirmation."""
        offer = self.offer(person)
        answer = self.accept(person, offer)
        return str(read_act(offer).document["trade"]), unb64u(answer["confirm"])

    def parcel(self, trade: str, cid: str, xid: bytes = b"") -> bytes:
        """A PReq whose DS names trade and contract; the rest is for the payment component to judge."""
        card, now = self.pki_card(), self.clock.now()
        document = {
            "type": "e2s/1/pay",
            "from": card.certificate.id,
            "to": [self.name],
            "at": format_instant(now),
            "until": format_instant(now),
            "trade": trade,
            "xid": b64u(xid or secrets.token_bytes(20)),
            "cid": cid,
        }
        return write_parcel(
            "e2s/1/preq", [sign_act(document, [], card, now), b'{"type":"e2s/1/OI"}', b"PI", b"SI"]
        )

    def pki_card(self) -> KeySigner:
        card: KeySigner = self.payment.card
        return card

    def pay(self, person: Person, trade: str, confirmation: bytes, parcel: bytes = b"") -> Document:
        sent = parcel or self.parcel(trade, read_act(confirmation).id)
        return self.ask(person, "pay", trade=trade, parcel=b64u(sent))

    def receipt(self, person: Person, delivery: bytes, /, **change: Any) -> bytes:
        act, now = read_act(delivery), self.clock.now()
        document = {
            "type": "e2s/1/receipt",
            "from": person.buyer.certificate.id,
            "to": [self.name],
            "at": format_instant(now),
            "until": format_instant(now),
            "trade": act.document["trade"],
            "cid": act.document["cid"],
            "delivery": act.id,
            "received": act.document["lines"],
            **change,
        }
        return sign_act(document, [delivery], person.buyer, now)

    def row(self, person: Person, trade: str) -> store.Trade:
        """The trade as the store has it."""
        with self.purchasing.counter.store.reading() as connection:
            found = store.find(connection, person.name, trade)
        assert found is not None
        return found

    def state(self, person: Person, trade: str) -> str:
        return self.row(person, trade).state

    def confirm_by(self, offer: bytes) -> None:
        self.clock.at = parse_instant(read_act(offer).document["confirmBy"])


__all__ = ["CONTRACTS", "CSV", "LINES", "KeyOpener", "Person", "ScriptedPayment", "ShopWorld"]
