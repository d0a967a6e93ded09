"""An honest card-holder and merchant at work, each step open to change: what payments' tests drive."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from e2s.base import wire
from e2s.base.instants import format_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce import order
from e2s.commerce.acts import draft
from e2s.commerce.delivery import DELIVERY
from e2s.commerce.payment import documents as forms
from e2s.commerce.payment.documents import transaction_id
from e2s.commerce.payment.dual_signature import names_of, pay_document
from e2s.commerce.payment.instructions import (
    Card,
    Roles,
    issuer_information,
    line_items,
    order_information,
    payment_instruction,
)
from e2s.crypto import oids
from e2s.crypto.acts import Act, digest_id, read_act, sign_act, write_parcel
from e2s.crypto.cms import open_sealed
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from tests.worlds.market import GATEWAY, ISSUER, Holder, Market

LINES = [
    {"sku": "R-0603-10K", "text": "Resistor 10 kΩ 0603", "class": "resistor", "qty": "1000", "unit": "0.0031",
     "vatRate": "19"},
    {"sku": "BOOK-7", "text": "Data book", "class": "book", "qty": "2", "unit": "18.69", "vatRate": "7"},
]  # fmt: skip


def one_line(unit: str, *, kind: str = "resistor", rate: str = "0", qty: str = "1") -> list[dict[str, str]]:
    return [{"sku": "X-1", "text": "A thing", "class": kind, "qty": qty, "unit": unit, "vatRate": rate}]


@dataclass
class Purchase:
    """One purchase of ``holder`` at the market's merchant, from contract to capture."""

    market: Market
    holder: Holder
    lines: list[dict[str, str]] = field(default_factory=lambda: LINES)
    cid: str = field(default_factory=lambda: digest_id(secrets.token_bytes(8)))
    trade: str = field(default_factory=lambda: b64u(secrets.token_bytes(16)))
    roles: Roles | None = None
    classes: list[str] | None = None
    lasts: timedelta = timedelta(hours=1)
    payer_signer: KeySigner | None = None
    card: Card | None = None
    xid: bytes = b""
    changes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roles = self.roles or self.market.roles
        self.card = self.card or self.holder.card
        self.signer = self.payer_signer or self.holder.signer
        self.pay_by = self.market.clock.now() + timedelta(hours=2)
        self.sums = order.sums(self.lines, self.market.currency)
        self.xid = self.xid or transaction_id(self.cid, secrets.token_bytes(32), secrets.token_bytes(32))

    @property
    def contract(self) -> Document:
        return {"trade": self.trade, "cid": self.cid, "payBy": format_instant(self.pay_by), **self.sums}

    @property
    def until(self) -> datetime:
        return self.began + self.lasts

    # ------------------------------------------------------------------ the buyer
    def pinit(self) -> Act:
        said = self.market.till_says(
            "/pinit",
            trade=self.trade,
            cid=self.cid,
            nC=b64u(secrets.token_bytes(32)),
            brand="Market Card",
            issuer=self.market.bank.name,
            buyer=self.holder.person,
            total=self.sums["total"],
            currency=self.sums["currency"],
            payBy=format_instant(self.pay_by),
        )
        act = read_act(unb64u(said["pinit"]))
        self.xid = transaction_id(self.cid, unb64u(act.document["nC"]), unb64u(act.document["nP"]))
        return act

    def instruct(self) -> Purchase:
        """PI, OI, SI and the dual signature; ``changes`` by PI, OI, SI or DS alter members before signing."""
        assert self.roles is not None
        assert self.card is not None
        self.began = self.market.clock.now()
        salt = lambda: secrets.token_bytes(32)  # noqa: E731 - three fresh ones
        named: dict[str, Any] = {"roles": self.roles, "xid": self.xid}
        self.pi = payment_instruction(
            self.card,
            holder=self.signer.certificate,
            amount=self.sums["total"],
            currency=self.sums["currency"],
            salt=salt(),
            **named,
        )
        self.oi = order_information(self.sums, cid=self.cid, salt=salt(), **named)
        disclosed = order.classes(self.sums) if self.classes is None else self.classes
        self.si = issuer_information(
            disclosed, buyer=self.holder.person, cost_centre="4711", cid=self.cid, salt=salt(), **named
        )
        for name, instruction in (("PI", self.pi), ("OI", self.oi), ("SI", self.si)):
            instruction.update(self.changes.get(name, {}))
        document = pay_document(
            holder=self.signer.certificate,
            roles=self.roles,
            trade=self.trade,
            pi=self.pi,
            oi=self.oi,
            si=self.si,
            at=self.began,
            until=self.until,
        )
        document |= self.changes.get("DS", {})
        self.ds = read_act(sign_act(document, (), self.signer, self.began))
        return self

    def envelopes(self) -> tuple[bytes, bytes]:
        market = self.market
        return (
            market.sealed(market.gateway_opener, wire.encode(self.pi), oids.PLAIN_PI),
            market.sealed(market.issuer_opener, wire.encode(self.si), oids.PLAIN_SI),
        )

    def preq(self) -> bytes:
        pi, si = self.envelopes()
        return write_parcel("e2s/1/preq", [self.ds.octets, wire.encode(self.oi), pi, si])

    def pay(self) -> Document:
        """PInit where there was none, PReq through the merchant: what its payment component says."""
        if not hasattr(self, "ds"):
            self.pinit()
            self.instruct()
        return self.market.till_says("/pay", parcel=b64u(self.preq()), contract=self.contract)

    def inquire(self, *, signer: KeySigner | None = None) -> Act:
        """The issuer's answer to the card-holder's own question."""
        market, signer = self.market, signer or self.signer
        now = market.clock.now()
        document = draft(
            forms.INQUIRY,
            by=signer.certificate,
            to=[market.bank.name],
            at=now,
            until=now + timedelta(hours=1),
            trade=self.trade,
            xid=b64u(self.xid),
            ds=self.ds.id,
        )
        act = sign_act(document, [self.ds.octets], signer, now)
        return read_act(market.send(ISSUER, "/inquiry", market.sealed(market.issuer_opener, act)))

    # ------------------------------------------------------------------ the merchant, through its component
    def state(self) -> Document:
        return self.market.till_says("/state", cid=self.cid)

    def delivery(self, pres: bytes, *, signer: KeySigner | None = None, **changes: Any) -> bytes:
        market, now = self.market, self.market.clock.now()
        signer = signer or market.merchant
        members: dict[str, Any] = {
            "cid": self.cid,
            "xid": b64u(self.xid),
            "n": 1,
            "lines": [{"n": line["n"], "qty": line["qty"]} for line in self.sums["lines"]],
        }
        over = changes.pop("over", [pres, self.ds.octets])
        document = draft(
            DELIVERY,
            by=signer.certificate,
            to=[self.holder.person, self.holder.organisation, market.bank.name],
            at=now,
            until=now + timedelta(days=60),
            trade=self.trade,
            **members | changes,
        )
        return sign_act(document, over, signer, now)

    def deliver(self) -> Document:
        """A stamped Delivery of everything, captured through the payment component."""
        act = self.delivery(unb64u(self.state()["pres"]))
        token = self.market.stamp(act)
        return self.market.till_says("/capture", xid=b64u(self.xid), delivery=b64u(act), token=b64u(token))

    def reverse(self) -> Document:
        return self.market.till_says("/reverse", xid=b64u(self.xid), reason="cannot deliver")

    # ------------------------------------------------------------------ the same, by hand
    def auth(self, *, signer: KeySigner | None = None, **changes: Any) -> bytes:
        market, now = self.market, self.market.clock.now()
        signer = signer or market.till_signer
        names = names_of(self.ds)
        members = {member: names[member] for member in ("xid", "cid", "amount", "currency", "ds")}
        document = draft(
            forms.AUTH,
            by=signer.certificate,
            to=changes.pop("to", [market.acquirer.name, market.bank.name]),
            at=now,
            until=now + timedelta(hours=1),
            trade=self.trade,
            **members | {"mcc": "5065"} | changes,
        )
        return sign_act(document, [self.ds.octets], signer, now)

    def authreq(self, auth: bytes | None = None, pi: bytes | None = None) -> bytes:
        """E_G{AuthReq} as the merchant would send it."""
        own_pi, si = self.envelopes()
        parcel = write_parcel("e2s/1/authreq", [auth or self.auth(), pi or own_pi, si])
        return self.market.sealed(self.market.gateway_opener, parcel, oids.PLAIN_PARCEL)

    def ask_gateway(self, auth: bytes | None = None, pi: bytes | None = None) -> Act:
        answer = self.market.send(GATEWAY, "/payment/authorise", self.authreq(auth, pi))
        return read_act(open_sealed(answer, self.market.till_opener)[1])

    def authiss(
        self,
        *,
        auth: bytes | None = None,
        signer: KeySigner | None = None,
        pi: bytes | None = None,
        **changes: Any,
    ) -> bytes:
        """E_I{AuthIss} as the gateway would send it."""
        market, now = self.market, self.market.clock.now()
        signer, auth = signer or market.gateway_signer, auth or self.auth()
        members = {"xid": b64u(self.xid), "ds": self.ds.id, "auth": read_act(auth).id}
        document = draft(
            forms.ISSUE,
            by=signer.certificate,
            to=[market.bank.name],
            at=now,
            until=now + timedelta(hours=1),
            trade=self.trade,
            **members | changes,
        )
        issue = sign_act(document, [auth], signer, now)
        parcel = write_parcel("e2s/1/authiss", [issue, pi or wire.encode(self.pi), self.envelopes()[1]])
        return market.sealed(market.issuer_opener, parcel, oids.PLAIN_PARCEL)

    def ask_issuer(self, **named: Any) -> Act:
        """The issuer's decision about a request made by hand, which is kept for later steps."""
        self.asked = named.pop("auth", None) or self.auth()
        self.decision = read_act(
            self.market.send(ISSUER, "/payment/issue", self.authiss(auth=self.asked, **named))
        )
        return self.decision

    def authres(
        self,
        decision: Act | None = None,
        *,
        signer: KeySigner | None = None,
        auth: bytes | None = None,
        **changes: Any,
    ) -> bytes:
        market, now = self.market, self.market.clock.now()
        decision, signer = decision or self.decision, signer or market.gateway_signer
        members = {
            **names_of(self.ds),
            "req": read_act(auth or self.asked).id,
            "result": decision.document["result"],
        }
        document = draft(
            forms.AUTHRES,
            by=signer.certificate,
            to=changes.pop("to", [self.market.till.name, self.holder.signer.certificate.name]),
            at=now,
            until=now + timedelta(days=60),
            trade=self.trade,
            **members | changes,
        )
        return sign_act(document, [decision.octets], signer, now)

    def by_till(
        self, form: Any, over: list[bytes], *, signer: KeySigner | None = None, **members: Any
    ) -> bytes:
        """An act of P to gateway and issuer."""
        market, now = self.market, self.market.clock.now()
        signer = signer or market.till_signer
        document = draft(
            form,
            by=signer.certificate,
            to=[market.acquirer.name, market.bank.name],
            at=now,
            until=now + timedelta(days=60),
            trade=self.trade,
            xid=b64u(self.xid),
            **members,
        )
        return sign_act(document, over, signer, now)

    def total(self, **changes: Any) -> dict[str, Any]:
        return {"n": 1, "amount": self.sums["total"], "currency": self.sums["currency"], **changes}

    def pres(self, authres: bytes) -> bytes:
        members: dict[str, Any] = {"ds": self.ds.id, "result": "approved"}
        return self.by_till(forms.PRES, [authres], **members)

    def claim(self, **named: Any) -> bytes:
        """E_I{CapReq, E_I{LI}} as the gateway would pass it on."""
        parcel = write_parcel("e2s/1/capture", self.claim_items(**named))
        return self.market.sealed(self.market.issuer_opener, parcel, oids.PLAIN_PARCEL)

    def claim_items(
        self,
        *,
        authres: bytes | None = None,
        delivery: bytes | None = None,
        stamped: datetime | None = None,
        token: bytes | None = None,
        oi: Document | None = None,
        signer: KeySigner | None = None,
        lines: dict[str, Any] | None = None,
        **changes: Any,
    ) -> list[bytes]:
        """CapReq and E_I{LI}."""
        market = self.market
        authres = authres or self.authres()
        delivery = delivery or self.delivery(self.pres(authres))
        token = token or market.stamp(delivery, stamped)
        oi = oi or self.oi
        li = line_items(oi, issuer=market.bank.name, delivery=read_act(delivery).id) | (lines or {})
        parcel = write_parcel("e2s/1/li", [wire.encode(li), wire.encode(oi), delivery, token])
        sealed = market.sealed(market.issuer_opener, parcel, oids.PLAIN_PARCEL)
        members = self.total(delivery=read_act(delivery).id) | changes
        capreq = self.by_till(forms.CAPREQ, [authres], signer=signer, **members)
        return [capreq, sealed]

    def capture(self, **named: Any) -> Act:
        return read_act(self.market.send(ISSUER, "/payment/capture", self.claim(**named)))

    def authrev(self, authres: bytes | None = None, **changes: Any) -> bytes:
        return self.by_till(
            forms.AUTHREV, [authres or self.authres()], **self.total(reason="cannot") | changes
        )

    def give_back(self, authrev: bytes | None = None) -> Act:
        """The issuer's answer to the merchant's reversal."""
        market = self.market
        sealed = market.sealed(market.issuer_opener, authrev or self.authrev())
        return read_act(market.send(ISSUER, "/payment/reverse", sealed))

    def reversal(self, *, signer: KeySigner | None = None) -> Act:
        """The issuer's answer to the gateway's reversal of what was never answered."""
        market, now = self.market, self.market.clock.now()
        signer = signer or market.gateway_signer
        document = draft(
            forms.REVERSE,
            by=signer.certificate,
            to=[market.bank.name],
            at=now,
            until=now + timedelta(days=1),
            trade=self.trade,
            xid=b64u(self.xid),
            ds=self.ds.id,
            reason="no decision in time",
        )
        act = sign_act(document, [self.ds.octets], signer, now)
        return read_act(market.send(ISSUER, "/payment/reverse-unanswered", act))


def opened_by(opener: KeyOpener, envelope: bytes) -> bytes:
    return open_sealed(envelope, opener)[1]
