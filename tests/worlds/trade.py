"""One whole honest trade made from the documents alone, each act open to change."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from hashlib import sha256
from typing import Any

from e2s.base import wire
from e2s.base.instants import format_instant
from e2s.base.wire import b64u, unb64u
from e2s.commerce import order
from e2s.commerce.bankcard.evidence import TradeRecord
from e2s.commerce.payment import documents as payment
from e2s.crypto import stamps
from e2s.crypto.acts import Act, digest_id, read_act, sign_act
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from tests.worlds.pki import START, Pki, make_pki

PAN = "4000056655665556"
LINES = [
    {
        "sku": "R-0603-10K",
        "text": "Resistor 10 kΩ 0603",
        "class": "resistor",
        "qty": "1000",
        "unit": "0.0031",
        "vatRate": "19",
    },
    {
        "sku": "BOOK-7",
        "text": "Data book, seventh edition",
        "class": "book",
        "qty": "2",
        "unit": "18.69",
        "vatRate": "7",
    },
]
#: Seconds after the offer at which each act is made.
WHEN = {
    "offer": 0,
    "accept": 60,
    "confirm": 65,
    "void": 70,
    "pinit": 80,
    "pay": 90,
    "auth": 92,
    "issue": 93,
    "decision": 94,
    "authres": 95,
    "pres": 96,
    "delivery": 3600,
    "receipt": 3700,
    "capreq": 3610,
    "captured": 3612,
    "capres": 3613,
    "authrev": 3620,
    "reversed": 3621,
    "revres": 3622,
    "cancel": 3623,
    "inquiry": 10_000,
    "inquiry-answer": 10_001,
    "reverse": 9_000,
    "statement": 20_000,
    "authres-refused": 95,
}


@dataclass(frozen=True)
class Cast:
    """Everybody who signs in a trade."""

    pki: Pki
    buyer: KeySigner
    holder: KeySigner
    merchant: KeySigner
    till: KeySigner
    gateway: KeySigner
    issuer: KeySigner
    tsa: KeySigner
    pan_secret: bytes

    @property
    def names(self) -> dict[str, str]:
        return {
            "person": self.buyer.certificate.names[0],
            "org": self.buyer.certificate.names[1],
            "holder": self.holder.certificate.name,
            "merchant": self.merchant.certificate.name,
            "gateway": self.gateway.certificate.name,
            "issuer": self.issuer.certificate.name,
        }


def make_cast(community: str = "market", *, pki: Pki | None = None) -> Cast:
    pki = pki or make_pki(community)
    base = f"urn:e2s:{community}"
    secret = secrets.token_bytes(32)
    shop = (f"{base}:volt", "https://127.0.0.1:8443")
    return Cast(
        pki=pki,
        buyer=pki.signer("buyer", (f"{base}:alpha:anna", f"{base}:alpha")),
        holder=pki.signer(
            "card-holder", f"{base}:bank:card:7f3a", pan_commit=payment.pan_commitment(secret, PAN)
        ),
        merchant=pki.signer("merchant", shop),
        till=pki.signer("merchant-payment", shop),
        gateway=pki.signer("gateway", f"{base}:acquirer"),
        issuer=pki.signer("issuer", f"{base}:bank"),
        tsa=pki.signer("tsa", f"{base}:clock"),
        pan_secret=secret,
    )


@cache
def the_cast() -> Cast:
    """The same people for most tests: keys cost time."""
    return make_cast()


def stamp(tsa: KeySigner, octets: bytes, at: datetime) -> bytes:
    """A token over the signature value of the act in ``octets``."""
    query = stamps.request(sha256(read_act(octets).signature).digest(), 7)
    return stamps.read_response(stamps.respond(query, tsa, secrets.randbelow(2**62), at, "2.25.1"))


Change = Mapping[str, Any] | Callable[[dict[str, Any]], None]


@dataclass
class Play:
    """A trade as it is played; ``changes`` alters the document of an act before it is signed.

    A change is a mapping of members, or a function on the document; ``over``, ``by`` and ``at`` replace what
    an act is over, who signs it, and when (seconds after the offer).
    """

    cast: Cast = field(default_factory=the_cast)
    changes: dict[str, Change] = field(default_factory=dict)
    over: dict[str, Sequence[str]] = field(default_factory=dict)
    by: dict[str, KeySigner] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    instructions: dict[str, Change] = field(default_factory=dict)
    stamped_at: dict[str, int] = field(default_factory=dict)
    begins: datetime = START + timedelta(hours=1)
    lines: list[dict[str, Any]] = field(default_factory=lambda: LINES)
    result: str = "approved"
    trade: str = field(default_factory=lambda: b64u(secrets.token_bytes(16)))
    acts: dict[str, bytes] = field(default_factory=dict)
    stamps: dict[str, bytes] = field(default_factory=dict)
    opened: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def crls(self) -> Sequence[bytes]:
        return self.cast.pki.crls(START + timedelta(minutes=30))

    def read(self, name: str) -> Act:
        return read_act(self.acts[name])

    def id(self, name: str) -> str:
        return self.read(name).id

    def when(self, seconds: float) -> str:
        return format_instant(self.begins + timedelta(seconds=seconds))

    def sign(
        self,
        name: str,
        signer: KeySigner,
        to: Sequence[str],
        members: Mapping[str, Any],
        over: Sequence[str] = (),
        *,
        until: str | None = None,
        label: str = "",
        trade: bool = True,
    ) -> bytes:
        kind = label or name
        seconds = self.at.get(name, WHEN[kind])
        signer = self.by.get(name, signer)
        document: dict[str, Any] = {
            "type": f"e2s/1/{kind}",
            "from": signer.certificate.id,
            "to": list(to),
            "at": self.when(seconds),
            "until": until or self.when(86_400),
            **({"trade": self.trade} if trade else {}),
            **members,
        }
        _apply(document, self.changes.get(name))
        inner = [self.acts[one] for one in self.over.get(name, over)]
        self.acts[name] = sign_act(document, inner, signer, self.begins + timedelta(seconds=seconds))
        return self.acts[name]

    def stamp(self, name: str) -> None:
        seconds = self.stamped_at.get(name, self.at.get(name, WHEN[name]) + 1)
        self.stamps[self.id(name)] = stamp(
            self.cast.tsa, self.acts[name], self.begins + timedelta(seconds=seconds)
        )

    # ------------------------------------------------------------------ the steps
    def contract(self) -> Play:
        cast, who = self.cast, self.cast.names
        terms = "Payment by card; delivery within seven days."
        confirm_by, pay_by = self.when(900), self.when(4500)
        sums = order.sums(self.lines, "EUR")
        self.sign(
            "offer",
            cast.merchant,
            [who["org"], who["person"]],
            {
                "salt": b64u(secrets.token_bytes(32)),
                "list": digest_id(b"list 1"),
                "buyer": cast.buyer.certificate.id,
                "terms": {"id": "T1", "digest": digest_id(terms.encode()), "text": terms},
                **sums,
                "deliverTo": "Alpha, 1 Street, 10115 Berlin",
                "confirmBy": confirm_by,
                "payBy": pay_by,
                "gatewaysAccepted": [cast.gateway.certificate.id],
            },
            until=confirm_by,
        )
        self.sign(
            "accept",
            cast.buyer,
            [who["merchant"]],
            {
                "salt": b64u(secrets.token_bytes(32)),
                "offer": self.id("offer"),
                "decision": "accept",
                "confirmBy": confirm_by,
                "payBy": pay_by,
                "costCentre": "4711",
            },
            ["offer"],
            until=confirm_by,
        )
        self.sign(
            "confirm",
            cast.merchant,
            [who["org"], who["person"]],
            {"accept": self.id("accept")},
            ["accept"],
            until=pay_by,
        )
        self.stamp("confirm")
        return self

    def order(self) -> Play:
        """The card-holder's part: PInitRes, instructions, dual signature."""
        cast, who = self.cast, self.cast.names
        offer = self.read("offer").document
        cid, total = self.id("confirm"), {"amount": offer["total"], "currency": offer["currency"]}
        buyer_nonce, merchant_nonce = secrets.token_bytes(32), secrets.token_bytes(32)
        xid = b64u(payment.transaction_id(cid, buyer_nonce, merchant_nonce))
        self.xid, self.total, self.cid = xid, total, cid
        self.sign(
            "pinit",
            cast.till,
            [who["org"], who["person"]],
            {
                "cid": cid,
                "nC": b64u(buyer_nonce),
                "nP": b64u(merchant_nonce),
                "gateway": {
                    "name": who["gateway"],
                    "signing": cast.gateway.certificate.id,
                    "agreement": digest_id(b"agreement"),
                },
                "merchant": cast.till.certificate.id,
                "total": total["amount"],
                "currency": total["currency"],
                "payBy": offer["payBy"],
            },
        )
        sums = {member: offer[member] for member in order.SUMS}
        self._open(
            "PI",
            {
                "xid": xid,
                "holder": cast.holder.certificate.id,
                "pan": PAN,
                "expiry": "2028-12",
                "panSecret": b64u(cast.pan_secret),
                **total,
                "merchant": cast.till.certificate.id,
                "gateway": cast.gateway.certificate.id,
                "issuer": cast.issuer.certificate.id,
            },
        )
        self._open("OI", {"xid": xid, "cid": cid, **sums})
        self._open(
            "SI",
            {
                "xid": xid,
                "cid": cid,
                "classes": order.classes(offer),
                "buyer": who["person"],
                "costCentre": "4711",
            },
        )
        self.sign(
            "pay",
            cast.holder,
            [who["merchant"], who["gateway"], who["issuer"]],
            {
                "xid": xid,
                "cid": cid,
                **total,
                "merchant": cast.till.certificate.id,
                "gateway": cast.gateway.certificate.id,
                "issuer": cast.issuer.certificate.id,
                **{
                    f"h{name}": b64u(payment.instruction_digest(self.opened[name]))
                    for name in ("PI", "OI", "SI")
                },
                "part": "1/1",
            },
            until=self.when(4000),
        )
        return self

    def _open(self, name: str, members: Mapping[str, Any]) -> None:
        who = self.cast.names
        readers = {"PI": ("gateway", "issuer"), "OI": ("merchant", "issuer"), "SI": ("issuer",)}[name]
        held: dict[str, Any] = {"type": f"e2s/1/{name}", "to": [who[reader] for reader in readers], **members}
        held["salt"] = b64u(secrets.token_bytes(32))
        _apply(held, self.instructions.get(name))
        self.opened[name] = held

    @property
    def naming(self) -> dict[str, Any]:
        cast = self.cast
        return {
            "xid": self.xid,
            "ds": self.id("pay"),
            "cid": self.cid,
            "holder": cast.holder.certificate.id,
            "merchant": cast.till.certificate.id,
            "gateway": cast.gateway.certificate.id,
            **self.total,
        }

    def authorise(self) -> Play:
        cast, who = self.cast, self.cast.names
        self.sign(
            "auth",
            cast.till,
            [who["gateway"], who["issuer"]],
            {
                "xid": self.xid,
                "cid": self.cid,
                **self.total,
                "mcc": "5065",
                "ds": self.id("pay"),
            },
            ["pay"],
        )
        self.sign(
            "issue",
            cast.gateway,
            [who["issuer"]],
            {
                "xid": self.xid,
                "ds": self.id("pay"),
                "auth": self.id("auth"),
            },
            ["auth"],
        )
        held = {"holdUntil": self.when(7 * 86_400), "claimUntil": self.when(37 * 86_400)}
        self.sign(
            "decision",
            cast.issuer,
            [who["gateway"], who["merchant"], who["holder"]],
            {
                **self.naming,
                "result": self.result,
                "reason": "within the limits" if self.result == "approved" else "limit",
                **(held if self.result == "approved" else {}),
            },
        )
        self.sign(
            "authres",
            cast.gateway,
            [who["merchant"], who["holder"]],
            {
                **self.naming,
                "req": self.id("auth"),
                "result": self.result,
            },
            ["decision"],
        )
        self.sign(
            "pres",
            cast.till,
            [who["org"], who["person"], who["holder"]],
            {
                "xid": self.xid,
                "ds": self.id("pay"),
                "result": self.result,
            },
            ["authres"],
        )
        return self

    def deliver(self) -> Play:
        cast, who = self.cast, self.cast.names
        parts = [{"n": n, "qty": line["qty"]} for n, line in enumerate(self.lines, 1)]
        self.sign(
            "delivery",
            cast.merchant,
            [who["org"], who["person"], who["issuer"]],
            {
                "cid": self.cid,
                "xid": self.xid,
                "n": 1,
                "lines": parts,
            },
            ["pres", "pay"],
        )
        self.stamp("delivery")
        self.sign(
            "receipt",
            cast.buyer,
            [who["merchant"]],
            {
                "cid": self.cid,
                "delivery": self.id("delivery"),
                "received": parts,
            },
            ["delivery"],
        )
        return self

    def capture(self) -> Play:
        cast, who = self.cast, self.cast.names
        self.sign(
            "capreq",
            cast.till,
            [who["gateway"], who["issuer"]],
            {
                "xid": self.xid,
                "n": 1,
                **self.total,
                "delivery": self.id("delivery"),
            },
            ["authres"],
        )
        self.sign(
            "captured",
            cast.issuer,
            [who["gateway"], who["merchant"], who["holder"]],
            {
                **self.naming,
                "n": 1,
                "req": self.id("capreq"),
                "result": "captured",
            },
        )
        self.sign(
            "capres",
            cast.gateway,
            [who["merchant"]],
            {
                "xid": self.xid,
                "n": 1,
                "req": self.id("capreq"),
                "result": "captured",
            },
            ["captured"],
        )
        return self

    def reverse(self) -> Play:
        cast, who = self.cast, self.cast.names
        self.sign(
            "authrev",
            cast.till,
            [who["gateway"], who["issuer"]],
            {
                "xid": self.xid,
                "n": 1,
                **self.total,
                "reason": "cannot deliver",
            },
            ["authres"],
        )
        self.sign(
            "reversed",
            cast.issuer,
            [who["gateway"], who["merchant"], who["holder"]],
            {
                **self.naming,
                "req": self.id("authrev"),
                "result": "void",
            },
        )
        self.sign(
            "revres",
            cast.gateway,
            [who["merchant"]],
            {
                "xid": self.xid,
                "req": self.id("authrev"),
                "result": "void",
            },
            ["reversed"],
        )
        self.sign(
            "cancel",
            cast.till,
            [who["org"], who["person"]],
            {
                "cid": self.cid,
                "xid": self.xid,
                "reason": "cannot deliver",
            },
            ["revres"],
        )
        return self

    def inquire(self, state: str) -> Play:
        cast, who = self.cast, self.cast.names
        self.sign("inquiry", cast.holder, [who["issuer"]], {"xid": self.xid, "ds": self.id("pay")}, ["pay"])
        self.sign(
            "inquiry-answer",
            cast.issuer,
            [who["holder"]],
            {
                "xid": self.xid,
                "ds": self.id("pay"),
                "inquiry": self.id("inquiry"),
                "state": state,
            },
        )
        return self

    def statement(self) -> Play:
        cast, who = self.cast, self.cast.names
        offer = self.read("offer").document
        entry = {
            "trade": self.trade,
            "xid": self.xid,
            "cid": self.cid,
            "holder": cast.holder.certificate.id,
            "buyer": who["person"],
            "costCentre": "4711",
            "merchant": who["merchant"],
            "amount": offer["total"],
            "capturedAt": self.when(WHEN["captured"]),
            "capreq": self.id("capreq"),
            "lines": offer["lines"],
            "vat": offer["vat"],
        }
        self.sign(
            "statement",
            cast.issuer,
            [who["org"]],
            {
                "organisation": who["org"],
                "n": 1,
                "begins": self.when(0),
                "ends": self.when(WHEN["statement"]),
                "currency": "EUR",
                "entries": [entry],
                "vat": offer["vat"],
                "total": offer["total"],
            },
            trade=False,
        )
        return self

    def confirm_again(self) -> Play:
        """A second confirmation of the same acceptance, kept under the name ``again``."""
        to = [self.cast.names["org"], self.cast.names["person"]]
        members = {"accept": self.id("accept")}
        self.sign("again", self.cast.merchant, to, members, ["accept"], label="confirm")
        return self

    def whole(self) -> Play:
        return self.contract().order().authorise().deliver().capture().statement()

    def record(self, role: str = "buyer", only: Sequence[str] | None = None, **more: Any) -> TradeRecord:
        """What ``role`` keeps; ``only`` the acts named, otherwise those that the role has."""
        kept = [name for name in (KEPT[role] if only is None else only) if name in self.acts]
        inside = {one.id for name in kept for one in _all(read_act(self.acts[name]))}
        cast = self.cast
        return TradeRecord(
            **{
                "trade": self.trade,
                "party": {
                    "buyer": cast.names["org"],
                    "merchant": cast.names["merchant"],
                    "gateway": cast.names["gateway"],
                    "issuer": cast.names["issuer"],
                }[role],
                "acts": [
                    (name, f"e2s/1/{read_act(self.acts[name]).type[6:]}", self.acts[name]) for name in kept
                ],
                "stamps": {key: token for key, token in self.stamps.items() if key in inside},
                "opened": {
                    name: wire.encode(self.opened[name]) for name in SHOWN[role] if name in self.opened
                },
                "certificates": [cast.pki.operating, cast.pki.card_ca],
                "crls": self.crls,
                **more,
            }
        )


KEPT = {
    "buyer": (
        "confirm",
        "void",
        "pinit",
        "pay",
        "pres",
        "delivery",
        "receipt",
        "cancel",
        "inquiry",
        "inquiry-answer",
        "statement",
    ),
    "merchant": (
        "confirm",
        "void",
        "pinit",
        "pay",
        "auth",
        "pres",
        "delivery",
        "receipt",
        "capreq",
        "capres",
        "authrev",
        "revres",
        "cancel",
    ),
    "gateway": ("issue", "authres", "capreq", "capres", "authrev", "revres", "reverse"),
    "issuer": (
        "issue",
        "decision",
        "delivery",
        "capreq",
        "captured",
        "authrev",
        "reversed",
        "inquiry",
        "inquiry-answer",
        "reverse",
    ),
}
SHOWN = {"buyer": ("OI",), "merchant": ("OI",), "gateway": (), "issuer": ("OI", "PI", "SI")}


def _apply(document: dict[str, Any], change: Change | None) -> None:
    if callable(change):
        change(document)
    elif change:
        document.update(change)


def _all(act: Act) -> list[Act]:
    return [act, *(one for i in range(len(act.over)) for one in _all(act.inner(i)))]


def certificates(play: Play) -> list[Certificate]:
    """Every certificate in a play's acts."""
    return [one.certificate for octets in play.acts.values() for one in _all(read_act(octets))]


def xid_octets(play: Play) -> bytes:
    return unb64u(play.xid)
