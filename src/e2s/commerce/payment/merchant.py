"""The merchant's payment component speaks to the bank for the merchant; it knows no card number (figure 6.5).

Before P signs a request, the dual signature, hOI and OI are checked against the contract.  Whatever waits
for the gateway is repeated until the gateway's signed word; no unsigned answer changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.database import Database
from e2s.base.errors import E2SError, Refusal
from e2s.base.events import Event
from e2s.base.http import Exchange
from e2s.base.instants import Clock, parse_instant
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.delivery import DELIVERY
from e2s.commerce.order import same_order
from e2s.commerce.payment import store as tables
from e2s.commerce.payment.documents import AUTH, AUTHREV, CAPREQ, OI, PAY, PINIT, transaction_id
from e2s.commerce.payment.dual_signature import check_amount, names_of, until_of
from e2s.commerce.payment.instructions import check_order_information, line_items, read_instruction
from e2s.commerce.payment.patience import Patience
from e2s.commerce.payment.peers import Peer
from e2s.commerce.payment.tables import PAYMENT
from e2s.commerce.steps import follow
from e2s.crypto.acts import Act, act_id, read_act, read_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.stamps import check_token
from e2s.security.verification.trust import Trust

KEY = "merchant-payment"
NONCE_BYTES = 32
#: How long the merchant's requests say to be of use.
LASTING = timedelta(days=60)


class Keys(Protocol):
    """Port: the key handler's client (:class:`e2s.security.keys.key_handler.KeyClient`)."""

    def certificate(self, key: str) -> Certificate:
        """The certificate of ``key``."""

    def chain(self, key: str) -> tuple[Certificate, ...]:
        """Its issuers below the root."""

    def sign_octets(self, key: str, octets: bytes, over: Sequence[bytes] = ()) -> bytes:
        """The act of ``key`` on exactly the canonical ``octets``."""

    def open(self, key: str, envelope: bytes) -> tuple[str, bytes]:
        """Content type and content of an envelope to ``key``."""


@dataclass(frozen=True, kw_only=True)
class Till:
    """One merchant's payment component; ``gateway``: its acquirer's; ``issuers`` by signing certificate."""

    name: str
    store: Database
    keys: Keys
    trust: Trust
    clock: Clock
    exchange: Exchange
    random: Callable[[int], bytes] = field(repr=False)
    gateway: Peer
    issuers: Mapping[str, Peer]
    mcc: str
    component: str = "merchant-payment"

    def note(self, connection: sa.Connection, kind: str, at: datetime, **facts: str | int) -> None:
        """Write one event in the act's open transaction."""
        event = Event(kind=kind, at=at, component=self.component, facts=facts)
        tables.OUTBOX.sink(connection).append(event)


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """A good PReq: dual signature and order information, and what stays sealed."""

    ds: Act
    oi: bytes
    pi: bytes
    si: bytes


class Payments:
    """The acts of the payment component; those that wait for the gateway are in :mod:`.asking`."""

    def __init__(self, till: Till) -> None:
        """``till.store`` is opened on the tables of :mod:`e2s.commerce.payment.store`."""
        self.till = till
        self.patience = Patience()

    # ------------------------------------------------------------------ PInitReq -> PInitRes

    def pinit(self, asked: Document) -> tuple[bytes, tuple[Certificate, ...]]:
        """S_P<pinit> for (cid, nC), the stored one for a repeat, and the certificates that it names."""
        till, now = self.till, self.till.clock.now()
        with till.store.reading() as connection:
            known = tables.pinit(connection, asked["cid"], asked["nC"])
        if known is None:
            if all(peer.name != asked["issuer"] for peer in till.issuers.values()):
                raise Refusal(
                    "unknown-issuer", "cards of this bank are not taken here", issuer=asked["issuer"]
                )
            self._promise(asked, now)
            with till.store.reading() as connection:
                known = tables.pinit(connection, asked["cid"], asked["nC"])
        if known is None:
            raise AssertionError("the answer was just committed")
        gateway = till.gateway
        shown = (till.keys.certificate(KEY), *till.keys.chain(KEY), gateway.signing, gateway.agreement)
        return bytes(known.act), (*shown, *gateway.chain)

    def _promise(self, asked: Document, now: datetime) -> None:
        """Sign and commit PInitRes; one that came first stays."""
        till = self.till
        nonce = till.random(NONCE_BYTES)
        xid = b64u(transaction_id(asked["cid"], unb64u(asked["nC"]), nonce))
        gateway = till.gateway
        document = draft(
            PINIT,
            by=till.keys.certificate(KEY),
            to=[asked["buyer"]],
            at=now,
            until=parse_instant(asked["payBy"]),
            trade=asked["trade"],
            cid=asked["cid"],
            nC=asked["nC"],
            nP=b64u(nonce),
            gateway={
                "name": gateway.name,
                "signing": gateway.signing.id,
                "agreement": gateway.agreement.id,
            },
            merchant=till.keys.certificate(KEY).id,
            total=asked["total"],
            currency=asked["currency"],
            payBy=asked["payBy"],
        )
        act = till.keys.sign_octets(KEY, wire.encode(document))
        with till.store.transaction() as connection:
            if tables.pinit(connection, asked["cid"], asked["nC"]) is None:
                mine = {"cid": asked["cid"], "nonce": asked["nC"], "xid": xid, "buyer": asked["buyer"]}
                tables.add_pinit(connection, {**mine, "act": act})
                till.note(connection, "payment.begun", now, cid=asked["cid"], xid=xid)

    # ------------------------------------------------------------------ PReq

    def pay(self, parcel: bytes, contract: Document) -> str:
        """Check PReq against the contract and commit the request for money; the xid.

        A repeat changes nothing.  Raises :class:`Refusal`: ``other-...`` names what does not belong to this
        contract, ``xid-reused``, ``already-paying``, ``ds-after-until``.
        """
        till, now = self.till, self.till.clock.now()
        ordered = self._ordered(parcel, now)
        ds = ordered.ds
        xid = str(ds.document["xid"])
        with till.store.reading() as connection:
            known = tables.payment(connection, xid)
            begun = tables.pinit_of(connection, xid)
        if known is None:
            if begun is None or begun.cid != contract["cid"]:
                raise Refusal("other-transaction", "no payment of this contract was begun under this xid")
            self._check(ordered, contract, now)
            self._ask(ordered, begun.buyer, now)
        elif known.ds_id != ds.id:
            raise Refusal("xid-reused", "this transaction was ordered by another dual signature")
        else:
            follow(PAYMENT, known.state, "preq")
        return xid

    def _ordered(self, parcel: bytes, now: datetime) -> Ordered:
        """PReq with its dual signature proven."""
        till = self.till
        items = read_parcel(parcel, "e2s/1/preq")
        if len(items) != 4:
            raise Refusal("bad-parcel", "the parcel holds DS, OI, PI and SI")
        ds = received(items[0], PAY, trust=till.trust, to=till.name, role="card-holder", at=now)
        return Ordered(ds=over_exactly(ds, 0), oi=items[1], pi=items[2], si=items[3])

    def _check(self, ordered: Ordered, contract: Document, now: datetime) -> None:
        """Everything that the merchant can see of the payment is this contract's."""
        till, said = self.till, ordered.ds.document
        if said["merchant"] != till.keys.certificate(KEY).id:
            raise Refusal("other-merchant", "the dual signature pays another merchant")
        if said["gateway"] != till.gateway.signing.id:
            raise Refusal("other-gateway", "the dual signature goes through another gateway")
        if said["issuer"] not in till.issuers:
            raise Refusal("unknown-issuer", "cards of this bank are not taken here")
        if (said["cid"], said["trade"]) != (contract["cid"], contract["trade"]):
            raise Refusal("other-contract", "the dual signature pays another contract")
        check_amount(ordered.ds)
        if (said["amount"], said["currency"]) != (contract["total"], contract["currency"]):
            raise Refusal("other-amount", "the dual signature pays another amount than the contract's")
        until = until_of(ordered.ds)
        if now >= until or until > parse_instant(contract["payBy"]):
            raise Refusal(
                "ds-after-until", "the card-holder's order has lapsed, or lasts beyond the contract's payBy"
            )
        oi = read_instruction(ordered.oi, OI, reader=till.name, digest=said["hOI"])
        check_order_information(oi, said)
        if not same_order(oi, contract):
            raise Refusal("other-contract", "the order information is not the contract's")

    def _ask(self, ordered: Ordered, buyer: str, now: datetime) -> None:
        """Commit AuthReq's document; from here on the payment waits for the gateway's signed word."""
        till, ds = self.till, ordered.ds
        said = ds.document
        names = names_of(ds)
        document = draft(
            AUTH,
            by=till.keys.certificate(KEY),
            to=[till.gateway.name, till.issuers[said["issuer"]].name],
            at=now,
            until=until_of(ds),
            trade=said["trade"],
            **{member: names[member] for member in ("xid", "cid", "amount", "currency", "ds")},
            mcc=till.mcc,
        )
        values = {
            "xid": said["xid"],
            "cid": said["cid"],
            "state": follow(PAYMENT, "none", "preq").state,
            "buyer": buyer,
            "ds": ds.octets,
            "ds_id": ds.id,
            "oi": ordered.oi,
            "pi": ordered.pi,
            "si": ordered.si,
            "auth_doc": wire.encode(document),
        }
        with till.store.transaction() as connection:
            if tables.payment(connection, said["xid"]) is not None:
                return
            if tables.live(connection, said["cid"]):
                raise Refusal("already-paying", "the contract is being paid under another transaction")
            tables.add_payment(connection, values)
            till.note(connection, "payment.asking", now, xid=said["xid"], amount=said["amount"])

    # ------------------------------------------------------------------ delivery and reversal

    def capture(self, xid: str, delivery: bytes, token: bytes) -> None:
        """Commit CapReq for the stamped Delivery; a repeat with the same Delivery changes nothing."""
        till, now = self.till, self.till.clock.now()
        with till.store.reading() as connection:
            row = known(tables.payment(connection, xid))
        act = read_act(delivery)
        if row.delivery is not None and read_act(row.delivery).id == act.id:
            return
        step = follow(PAYMENT, row.state, "deliver")
        self._check_delivery(row, act, token)
        ds, authres = read_act(row.ds), read_act(row.authres)
        document = draft(
            CAPREQ,
            by=till.keys.certificate(KEY),
            to=[till.gateway.name, till.issuers[ds.document["issuer"]].name],
            at=now,
            until=now + LASTING,
            trade=ds.document["trade"],
            xid=xid,
            n=1,
            amount=ds.document["amount"],
            currency=ds.document["currency"],
            delivery=act.id,
        )
        line_items(wire.decode(row.oi), issuer=till.issuers[ds.document["issuer"]].name, delivery=act.id)
        values = {
            "state": step.state,
            "delivery": delivery,
            "token": token,
            "capreq_doc": wire.encode(document),
        }
        self._move(row, values, now, request=act_id(document, [authres.octets]))

    def _check_delivery(self, row: sa.Row[Any], delivery: Act, token: bytes) -> None:
        """The Delivery is of this payment, over its PRes and DS, and stamped."""
        DELIVERY.check(delivery.document)
        over_exactly(delivery, 2)
        if (delivery.document["xid"], delivery.document["cid"]) != (row.xid, row.cid):
            raise Refusal("other-delivery", "the delivery is of another payment")
        if delivery.inner(0).id != read_act(row.pres).id or delivery.inner(1).id != row.ds_id:
            raise Refusal("other-delivery", "the delivery answers another payment")
        check_token(token, sha256(delivery.signature).digest())

    def reverse(self, xid: str, reason: str) -> None:
        """Commit AuthRev; a repeat changes nothing."""
        till, now = self.till, self.till.clock.now()
        with till.store.reading() as connection:
            row = known(tables.payment(connection, xid))
        if row.state in {"reversing", "reversed"}:
            return
        step = follow(PAYMENT, row.state, "reverse")
        ds = read_act(row.ds)
        document = draft(
            AUTHREV,
            by=till.keys.certificate(KEY),
            to=[till.gateway.name, till.issuers[ds.document["issuer"]].name],
            at=now,
            until=now + LASTING,
            trade=ds.document["trade"],
            xid=xid,
            n=1,
            amount=ds.document["amount"],
            currency=ds.document["currency"],
            reason=reason,
        )
        values = {"state": step.state, "authrev_doc": wire.encode(document), "reason": reason}
        self._move(row, values, now, request=act_id(document, [row.authres]))

    def _move(self, row: sa.Row[Any], values: Mapping[str, Any], now: datetime, **facts: str) -> None:
        till = self.till
        with till.store.transaction() as connection:
            if not tables.advance(connection, row.xid, row.state, values):
                raise Refusal("out-of-order", "the payment moved on meanwhile", xid=row.xid)
            till.note(connection, f"payment.{values['state']}", now, xid=row.xid, **facts)

    # ------------------------------------------------------------------ what is known

    def state(self, row: sa.Row[Any] | None) -> Document:
        """A payment as purchasing sees it: its state and the acts that may be shown."""
        if row is None:
            return {"state": "none"}
        ds = read_act(row.ds)
        shown = {
            name: getattr(row, name)
            for name in ("ds", "auth", "pres", "capreq", "capres", "revres", "cancel")
        }
        return {
            "state": row.state,
            "xid": row.xid,
            "cid": row.cid,
            "holder": ds.certificate.name,
            "issuer": self.till.issuers[ds.document["issuer"]].name,
            **{name: b64u(octets) for name, octets in shown.items() if octets is not None},
            **({"holdUntil": row.hold_until, "claimUntil": row.claim_until} if row.hold_until else {}),
        }

    def of(self, xid: str) -> Document:
        """The state of one payment."""
        with self.till.store.reading() as connection:
            return self.state(known(tables.payment(connection, xid)))

    def newest(self, cid: str) -> Document:
        """The state of a contract's newest payment."""
        with self.till.store.reading() as connection:
            return self.state(tables.newest(connection, cid))

    def try_again(self, ask: Callable[[str], None], *, only: str = "") -> None:
        """Ask the gateway about ``only``, or about everything that waits and is due; failures wait longer."""
        now = self.till.clock.now()
        if only:
            waiting: Sequence[str] = [only]
        else:
            with self.till.store.reading() as connection:
                waiting = tables.waiting(connection)
        for xid in waiting:
            if only or self.patience.due((xid,), now):
                try:
                    ask(xid)
                except E2SError:
                    self.patience.failed((xid,), now)
                else:
                    self.patience.done((xid,))


def known(row: sa.Row[Any] | None) -> sa.Row[Any]:
    """The payment; raises :class:`Refusal` ``unknown-payment`` where there is none."""
    if row is None:
        raise Refusal("unknown-payment", "the merchant knows no such payment")
    return row
