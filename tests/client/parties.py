"""Everybody a wallet deals with, played from the documents alone: a shop and banks that obey, or don't."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import Refusal
from e2s.base.http import Request, Response
from e2s.base.instants import format_instant, parse_instant
from e2s.base.wire import b64u, unb64u
from e2s.client.wallet import store
from e2s.client.wallet.card import Issuer, seal_card
from e2s.client.wallet.desk import Desk, Shop
from e2s.client.wallet.session import lines
from e2s.client.wallet.wallet import Wallet
from e2s.commerce import order
from e2s.commerce.bankcard.documents import CARD
from e2s.commerce.payment.documents import pan_commitment
from e2s.crypto import cms, oids, stamps
from e2s.crypto.acts import Act, digest_id, read_act, read_parcel, sign_act
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.crypto.suites import SESSIONS
from e2s.network.sessions import pages
from e2s.network.sessions.calls import Call
from e2s.network.sessions.doors import direct, front
from e2s.network.sessions.local import LocalExchange
from e2s.network.sessions.merchant import Caller, Sessions
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.software import Entry, SoftwarePse
from tests.worlds.pki import Pki, make_pki

BASE = "urn:e2s:market"
ALPHA, ANNA, ALBERT = f"{BASE}:alpha", f"{BASE}:alpha:anna", f"{BASE}:alpha:albert"
VOLT, ACQUIRER, BANK = f"{BASE}:volt", f"{BASE}:acquirer", f"{BASE}:bank"
HOLDER = f"{BASE}:bank:card:7f3a"
SHOP, BANKING, CLOCK = "http://127.0.0.1:8001", "http://127.0.0.1:8002", "http://127.0.0.1:8003"
PAN = "4000056655665556"
PHRASE = "correct horse"
CHEAP = Cost(memory_kib=8, passes=1)
TERMS = "Frame contract of 2026: payment by card, delivery within seven days."
GOODS = {
    "R-10K": {"sku": "R-10K", "text": "Resistor 10 kΩ, 0603", "class": "resistor", "unit": "0.0031", "vatRate": "19"},
    "C-100N": {"sku": "C-100N", "text": "Capacitor 100 nF, 0603", "class": "capacitor", "unit": "0.0120", "vatRate": "19"},
    "BOOK-7": {"sku": "BOOK-7", "text": "Data book, seventh edition", "class": "book", "unit": "18.69", "vatRate": "7"},
}  # fmt: skip
LIST_PRICES = {"R-10K": "0.0035", "C-100N": "0.0137", "BOOK-7": "18.69"}
LINES = [("R-10K", "1000"), ("BOOK-7", "2")]


def phrase(text: str = PHRASE) -> Phrase:
    return Phrase(text)


@dataclass
class Keys:
    """The keys of everybody in one community; made once, since they cost time."""

    pki: Pki
    pan_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    shop: str = SHOP
    banking: str = BANKING

    def __post_init__(self) -> None:
        issue, shop = self.pki.issue, (VOLT, self.shop)
        self.merchant = self.pki.signer("merchant", shop)
        self.merchant_opener = self.pki.opener("merchant-agreement", shop)
        self.till = self.pki.signer("merchant-payment", shop)
        self.gateway = self.pki.signer("gateway", ACQUIRER)
        self.gateway_opener = self.pki.opener("gateway-agreement", ACQUIRER)
        self.issuer = self.pki.signer("issuer", BANK)
        self.issuer_opener = self.pki.opener("issuer-agreement", BANK)
        self.tsa = self.pki.signer("tsa", f"{BASE}:clock")
        person = (ANNA, ALPHA)
        self.buyer = {
            "session": issue("buyer-session", person),
            "buyer": issue("buyer", person),
            "card": issue("card-holder", HOLDER, pan_commit=pan_commitment(self.pan_secret, PAN)),
            "agreement": issue("buyer-agreement", person),
        }
        self.manager = {
            "manager": issue("manager", (ALBERT, ALPHA)),
            "manager-agreement": issue("manager-agreement", (ALBERT, ALPHA)),
        }

    def bank(self) -> Issuer:
        return Issuer(
            name=BANK,
            origin=self.banking,
            signing=self.issuer.certificate,
            agreement=self.issuer_opener.certificate,
            chain=self.issuer.chain,
        )

    def pse(self, path: Path, entries: dict[str, Any]) -> SoftwarePse:
        made = {
            label: Entry(private_key=key, certificate=certificate, chain=chain)
            for label, (certificate, chain, key) in entries.items()
        }
        return SoftwarePse.create(path, phrase(), made, cost=CHEAP, random=secrets.token_bytes)


def make_keys() -> Keys:
    return Keys(make_pki("market", bank="bank"))


Change = Callable[[dict[str, Any]], None]


@dataclass
class Parties:
    """Shop, gateway, bank and clock behind one exchange; what they do wrong is set per act.

    ``change`` alters an act's document before it is signed; ``by`` signs it with another key; ``over``
    replaces what it is over; ``result`` is the bank's; ``pending`` keeps PRes back; ``stamping`` turns
    the time-stamping authority off; ``stamped_at`` lets a stamp be that many seconds late.
    """

    keys: Keys
    clock: Any
    change: dict[str, Change] = field(default_factory=dict)
    by: dict[str, KeySigner] = field(default_factory=dict)
    over: dict[str, Callable[[list[bytes]], list[bytes]]] = field(default_factory=dict)
    refuse: dict[str, Refusal] = field(default_factory=dict)
    result: str = "approved"
    pending: bool = False
    delivering: bool = True
    stamping: bool = True
    merchant_stamps: bool = True
    stamped_late: float = 0
    state: str = "none"  # what the bank tells an inquiry
    wrong_certificates: list[bytes] | None = None
    list_id: str = digest_id(b"list 1")
    acts: dict[str, dict[str, bytes]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    seen_pans: list[str] = field(default_factory=list)
    #: the acts of one trade that the shop now shows in ``status``
    shown: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys, pki = self.keys, self.keys.pki
        trust = pki.trust(self.clock)
        shop = pages.Shop(
            merchant=VOLT,
            origin=keys.shop,
            suites=tuple(SESSIONS),
            signing=keys.merchant.certificate,
            agreement=keys.merchant_opener.certificate,
            chain=keys.merchant.chain,
            plain=True,
        )
        self.sessions = Sessions(
            shop,
            checker=trust,
            open_envelope=lambda octets: cms.open_sealed(octets, keys.merchant_opener)[1],
            sign_document=lambda document, over: sign_act(
                document, over, keys.merchant, parse_instant(document["at"])
            ),
            clock=self.clock,
            random=secrets.token_bytes,
        )
        self.doors = {
            keys.shop: front(direct(self.sessions, self.serve)),
            CLOCK: self.stamp_door,
            keys.banking: self.bank_door,
        }
        self.exchange = LocalExchange(self.doors)
        self.trust = trust

    # ------------------------------------------------------------------ writing acts
    def sign(
        self,
        name: str,
        signer: KeySigner,
        trade: str,
        members: dict[str, Any],
        over: list[bytes],
        to: list[str],
    ) -> bytes:
        signer = self.by.get(name, signer)
        now = self.clock.now()
        document = {
            "type": f"e2s/1/{name}",
            "from": signer.certificate.id,
            "to": to,
            "at": format_instant(now),
            "until": format_instant(now + timedelta(days=1)),
            **({"trade": trade} if trade else {}),
            **members,
        }
        if name in self.change:
            self.change[name](document)
        if name in self.over:
            over = self.over[name](over)
        at = now
        if document["at"] != format_instant(now):
            at = parse_instant(document["at"])
        return sign_act(document, over, signer, at)

    def stamp(self, octets: bytes) -> bytes:
        from hashlib import sha256

        query = stamps.request(sha256(read_act(octets).signature).digest(), 7)
        at = self.clock.now() + timedelta(seconds=self.stamped_late)
        return stamps.read_response(
            stamps.respond(query, self.keys.tsa, secrets.randbelow(2**60), at, "2.25.1")
        )

    def stamp_door(self, request: Request) -> Response:
        if not self.stamping:
            return Response(503)
        at = self.clock.now() + timedelta(seconds=self.stamped_late)
        answer = stamps.respond(request.body, self.keys.tsa, secrets.randbelow(2**60), at, "2.25.1")
        return Response(200, answer)

    # ------------------------------------------------------------------ the shop
    def serve(self, _caller: Caller, call: Call) -> dict[str, Any]:
        self.calls.append(call.op)
        if call.op in self.refuse:
            raise self.refuse[call.op]
        answer: dict[str, Any] = getattr(self, f"op_{call.op}")(call.args)
        return answer

    def op_search(self, args: dict[str, Any]) -> dict[str, Any]:
        words = args["q"].lower()
        rows = [
            {**item, "listPrice": LIST_PRICES[item["sku"]]}
            for item in GOODS.values()
            if words in item["text"].lower()
        ]
        limit, offset = args.get("limit", 20), args.get("offset", 0)
        shown = rows[offset : offset + limit]
        more = {"next": offset + limit} if len(rows) > offset + limit else {}
        return {"list": self.list_id, "rows": shown, "total": len(rows), **more}

    def op_item(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"list": self.list_id, "item": {**GOODS[args["sku"]], "listPrice": LIST_PRICES[args["sku"]]}}

    def op_basket(self, args: dict[str, Any]) -> dict[str, Any]:
        answer = {"list": self.list_id, **order.sums(self._lines(args), "EUR")}
        if "basket" in self.change:
            self.change["basket"](answer)
        return answer

    def _lines(self, args: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**GOODS[line["sku"]], "qty": line["qty"]} for line in args["lines"]]

    def of(self, trade: str) -> dict[str, bytes]:
        return self.acts.setdefault(trade, {})

    def op_offer(self, args: dict[str, Any]) -> dict[str, Any]:
        trade, now = args["trade"], self.clock.now()
        if "offer" not in self.of(trade):
            members = {
                "salt": b64u(secrets.token_bytes(32)),
                "list": self.list_id,
                "buyer": self.keys.buyer["buyer"][0].id,
                "terms": {"id": "T1", "digest": digest_id(TERMS.encode()), "text": TERMS},
                **order.sums(self._lines(args), "EUR"),
                "deliverTo": args["deliverTo"],
                "confirmBy": format_instant(now + timedelta(minutes=15)),
                "payBy": format_instant(now + timedelta(minutes=75)),
                "gatewaysAccepted": [self.keys.gateway.certificate.id],
            }
            self.of(trade)["offer"] = self.sign(
                "offer", self.keys.merchant, trade, members, [], [ALPHA, ANNA]
            )
        return {"offer": b64u(self.of(trade)["offer"])}

    def op_accept(self, args: dict[str, Any]) -> dict[str, Any]:
        trade, acts = args["trade"], self.of(args["trade"])
        if self.result == "void-contract":
            accept = read_act(unb64u(args["act"]))
            members = {"reason": "late", "accept": accept.id}
            acts["void"] = self.sign("void", self.keys.merchant, trade, members, [], [ALPHA, ANNA])
            return {"void": b64u(acts["void"])}
        if "confirm" not in acts:
            acts["accept"] = unb64u(args["act"])
            members = {"accept": read_act(acts["accept"]).id}
            signer, to = self.keys.merchant, [ALPHA, ANNA]
            confirm = self.sign("confirm", signer, trade, members, [acts["accept"]], to)
            stamp = {"stamp": self.stamp(confirm)} if self.merchant_stamps else {}
            acts.update(confirm=confirm, **stamp)
        return {name: b64u(acts[name]) for name in ("confirm", "stamp") if name in acts}

    def op_pinit(self, args: dict[str, Any]) -> dict[str, Any]:
        trade, keys = args["trade"], self.keys
        offer = read_act(self.of(trade)["offer"]).document
        members = {
            "cid": args["cid"],
            "nC": args["nC"],
            "nP": b64u(secrets.token_bytes(32)),
            "gateway": {
                "name": ACQUIRER,
                "signing": keys.gateway.certificate.id,
                "agreement": keys.gateway_opener.certificate.id,
            },
            "merchant": keys.till.certificate.id,
            "total": offer["total"],
            "currency": offer["currency"],
            "payBy": offer["payBy"],
        }
        self.of(trade)["pinit"] = self.sign("pinit", keys.till, trade, members, [], [ALPHA, ANNA])
        certificates = self.wrong_certificates or [
            keys.gateway.certificate.der,
            keys.gateway_opener.certificate.der,
            *(c.der for c in keys.gateway.chain),
        ]
        return {"pinit": b64u(self.of(trade)["pinit"]), "certificates": [b64u(c) for c in certificates]}

    def op_pay(self, args: dict[str, Any]) -> dict[str, Any]:
        acts = self.of(args["trade"])
        ds, _oi, pi, _si = read_parcel(unb64u(args["parcel"]), "e2s/1/preq")
        acts["pay"] = ds
        self.seen_pans.append(cms.open_sealed(pi, self.keys.gateway_opener)[1].decode())
        if self.result == "void-payment":
            members = {"reason": "lapsed"}
            return {
                "void": b64u(self.sign("void", self.keys.merchant, args["trade"], members, [], [ALPHA, ANNA]))
            }
        if self.pending:
            return {"pending": True}
        return {"pres": b64u(self.pres(args["trade"]))}

    def naming(self, ds: Act) -> dict[str, Any]:
        said = ds.document
        return {
            "xid": said["xid"], "ds": ds.id, "cid": said["cid"], "holder": ds.certificate.id,
            "merchant": said["merchant"], "gateway": said["gateway"], "amount": said["amount"],
            "currency": said["currency"],
        }  # fmt: skip

    def decision(self, trade: str) -> bytes:
        ds = read_act(self.of(trade)["pay"])
        members = {**self.naming(ds), "result": self.result, "reason": "approved" if self.result == "approved" else "over-purchase-limit"}  # fmt: skip
        if self.result == "approved":
            now = self.clock.now()
            members["holdUntil"] = format_instant(now + timedelta(days=7))
            members["claimUntil"] = format_instant(now + timedelta(days=37))
        return self.sign("decision", self.keys.issuer, trade, members, [], [ACQUIRER, VOLT, HOLDER])

    def pres(self, trade: str) -> bytes:
        acts = self.of(trade)
        ds = read_act(acts["pay"])
        known = acts.get("pres")
        if known and read_act(known).document["ds"] == ds.id:
            return known
        members = {**self.naming(ds), "req": digest_id(b"auth"), "result": self.result}
        authres = self.sign(
            "authres", self.keys.gateway, trade, members, [self.decision(trade)], [VOLT, HOLDER]
        )
        members = {"xid": ds.document["xid"], "ds": ds.id, "result": self.result}
        acts["pres"] = self.sign("pres", self.keys.till, trade, members, [authres], [ALPHA, ANNA])
        return acts["pres"]

    def delivery(self, trade: str) -> None:
        acts = self.of(trade)
        ds = read_act(acts["pay"])
        offer = read_act(acts["offer"]).document
        parts = [{"n": line["n"], "qty": line["qty"]} for line in offer["lines"]]
        members = {"cid": ds.document["cid"], "xid": ds.document["xid"], "n": 1, "lines": parts}
        delivery = self.sign(
            "delivery", self.keys.merchant, trade, members, [self.pres(trade), acts["pay"]], [ALPHA, ANNA]
        )
        # released only with its stamp
        acts.update(delivery=delivery, deliveryStamp=self.stamp(delivery))

    def cancel(self, trade: str, result: str = "void") -> None:
        acts, keys = self.of(trade), self.keys
        ds = read_act(acts["pay"])
        req = digest_id(b"authrev")
        members = {**self.naming(ds), "req": req, "result": result}
        undone = self.sign("reversed", keys.issuer, trade, members, [], [ACQUIRER, VOLT, HOLDER])
        members = {"xid": ds.document["xid"], "req": req, "result": result}
        revres = self.sign("revres", keys.gateway, trade, members, [undone], [VOLT])
        members = {"cid": ds.document["cid"], "xid": ds.document["xid"], "reason": "out of stock"}
        acts["cancel"] = self.sign("cancel", keys.till, trade, members, [revres], [ALPHA, ANNA])

    def op_status(self, args: dict[str, Any]) -> dict[str, Any]:
        acts = self.of(args["trade"])
        if "pay" in acts and not self.pending:
            self.pres(args["trade"])
            delivers = self.delivering and self.result == "approved" and "cancel" not in acts
            if delivers and "delivery" not in acts:
                self.delivery(args["trade"])
        names = ("offer", "confirm", "stamp", "void", "pinit", "pres", "delivery", "deliveryStamp", "cancel")
        return {"state": "any", "acts": {name: b64u(acts[name]) for name in names if name in acts}}

    def op_receipt(self, args: dict[str, Any]) -> dict[str, Any]:
        act = read_act(unb64u(args["act"]))
        self.of(args["trade"])["receipt"] = act.octets
        return {"stored": act.id}

    # ------------------------------------------------------------------ the bank
    def bank_door(self, request: Request) -> Response:
        octets = cms.open_sealed(request.body, self.keys.issuer_opener)[1]
        return Response(200, getattr(self, "bank_" + request.path.strip("/"))(read_act(octets)))

    def bank_inquiry(self, inquiry: Act) -> bytes:
        trade = inquiry.document["trade"]
        members = {"xid": inquiry.document["xid"], "ds": inquiry.document["ds"], "inquiry": inquiry.id, "state": self.state}  # fmt: skip
        over = [self.decision(trade)] if self.state in {"held", "captured", "declined"} else []
        return self.sign("inquiry-answer", self.keys.issuer, trade, members, over, [HOLDER])

    def bank_controls(self, controls: Act) -> bytes:
        members = {"n": controls.document["n"], "controls": controls.id}
        return self.sign("controls-taken", self.keys.issuer, "", members, [], [ALBERT])

    def bank_statement(self, request: Act) -> bytes:
        act = self.statement(request.document["n"])
        return cms.seal(act, oids.ACT, [self.keys.manager["manager-agreement"][0]], secrets.token_bytes)

    def statement(self, n: int = 1) -> bytes:
        now = self.clock.now()
        entries = [self.entry(acts) for acts in self.acts.values() if "delivery" in acts] if n == 1 else []
        from e2s.client.wallet.reconciling import vat_report

        total = f"{sum(float(e['amount']) for e in entries):.2f}"
        members: dict[str, Any] = {
            "organisation": ALPHA, "n": n, "begins": format_instant(now - timedelta(days=30)),
            "ends": format_instant(now), "currency": "EUR", "entries": entries, "total": total,
            "vat": vat_report({"currency": "EUR", "entries": entries}),
        }  # fmt: skip
        if n > 1:
            members["prev"] = read_act(self.acts["statements"][str(n - 1)]).id
        act = self.sign("statement", self.keys.issuer, "", members, [], [ALPHA, ALBERT])
        self.acts.setdefault("statements", {})[str(n)] = act
        return act

    def entry(self, acts: dict[str, bytes]) -> dict[str, Any]:
        ds, offer = read_act(acts["pay"]), read_act(acts["offer"]).document
        return {
            "trade": ds.document["trade"], "xid": ds.document["xid"], "cid": ds.document["cid"],
            "holder": ds.certificate.id, "buyer": ANNA, "costCentre": "4711", "merchant": VOLT,
            "amount": offer["total"], "capturedAt": format_instant(self.clock.now()),
            "capreq": digest_id(b"capreq"), "lines": offer["lines"], "vat": offer["vat"],
        }  # fmt: skip


def card_record(keys: Keys) -> wire.Document:
    """What the bank gave Anna with her card."""
    bank = keys.bank()
    return {
        "type": CARD.type,
        "holder": keys.buyer["card"][0].id,
        "pan": PAN,
        "expiry": "2028-12",
        "panSecret": wire.b64u(keys.pan_secret),
        "brand": "E2S",
        "issuer": bank.name,
        "origin": bank.origin,
        "signing": wire.b64u(bank.signing.der),
        "agreement": wire.b64u(bank.agreement.der),
        "chain": [wire.b64u(one.der) for one in bank.chain],
    }


@dataclass
class Scene:
    """A wallet among :class:`Parties`."""

    parties: Parties
    home: Path
    wallet: Wallet = field(init=False)

    def __post_init__(self) -> None:
        keys = self.parties.keys
        self.home.mkdir(parents=True, exist_ok=True)
        pse = self.home / "pse"
        if not pse.exists():
            keys.pse(pse, keys.buyer).close()
            sealed = seal_card(card_record(keys), keys.buyer["agreement"][0], secrets.token_bytes)
            (self.home / "card.cms").write_bytes(sealed)
        self.open()

    def open(self) -> Wallet:
        """A wallet on this home, as after a start."""
        parties = self.parties
        desk = Desk(
            person=ANNA,
            organisation=ALPHA,
            pse=SoftwarePse.open(self.home / "pse", phrase()),
            card_file=self.home / "card.cms",
            database=Database.open(self.home / "data.db", store.TABLES),
            exchange=parties.exchange,
            trust=parties.trust,
            clock=parties.clock,
            random=secrets.token_bytes,
            authorities=(CLOCK,),
            shops=(Shop(name=VOLT, origin=SHOP, title="Volt Components"),),
            evidence=self.home / "evidence",
            title="Alpha Instruments",
        )
        self.wallet = Wallet(desk, lines(desk, suites=tuple(SESSIONS), plain=True))
        return self.wallet

    def again(self) -> Wallet:
        """The process was killed and started anew: nothing but the home is left."""
        return self.open()

    # ------------------------------------------------------------------ short ways to a state
    def offered(self, lines_: list[tuple[str, str]] | None = None, at_most: str = "") -> str:
        basket = self.wallet.basket("volt", lines_ or LINES)
        return self.wallet.ask(basket, "Alpha, 1 Street, 10115 Berlin", "4711", at_most).trade

    def contract(self) -> str:
        trade = self.offered()
        self.wallet.accept(trade, phrase())
        return trade

    def paid(self) -> str:
        trade = self.contract()
        self.wallet.pay(trade, phrase())
        return trade

    def received(self) -> str:
        trade = self.paid()
        self.wallet.poll(trade)
        return trade

    def inquiring(self) -> str:
        self.parties.pending = True
        trade = self.paid()
        self.parties.clock.forward(minutes=20)
        self.wallet.poll(trade)
        return trade

    def state(self, trade: str) -> str:
        return self.wallet.trade(trade).state


def opener(keys: Keys, label: str = "manager-agreement") -> KeyOpener:
    certificate, _chain, key = keys.manager[label]
    return KeyOpener(certificate, key)
