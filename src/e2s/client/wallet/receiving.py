"""After payment come stamped goods or the issuer's reversal; what came is signed, and the proof sealed.

A merchant never needs to push: ``status`` gives the trade's stored acts, and each is checked as if it
were the first answer (step 9; protocol, section 9.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.client.wallet import outcomes, rules, store
from e2s.client.wallet.desk import Desk, Line, lasting, rid
from e2s.client.wallet.paying import Paying
from e2s.client.wallet.shopping import octets_of
from e2s.commerce.acts import draft
from e2s.commerce.bankcard.documents import STATEMENT
from e2s.commerce.delivery import RECEIPT
from e2s.commerce.evidence import TradeRecord, write_bundle
from e2s.crypto.acts import Act, read_parcel
from e2s.security.keys.durable import replace_file
from e2s.security.keys.phrase import Phrase


class Receiving:
    """The acts of the buyer from payment to the sealed evidence."""

    def __init__(self, desk: Desk, paying: Paying) -> None:
        """``desk`` holds everything that the acts need."""
        self._desk = desk
        self._paying = paying

    def take_delivery(self, trade: str, acts: dict[str, Any]) -> None:
        """Take a stamped delivery, or a cancellation with the issuer's reversal, out of a status answer."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
        if known.state != "paid":
            return
        payment, judge = self._paying.payment(trade), desk.judge()
        if "delivery" in acts and "deliveryStamp" in acts:
            stamp = octets_of(acts, "deliveryStamp")
            delivery = rules.check_delivery(octets_of(acts, "delivery"), payment, stamp, judge)
            if payment.pres is None:
                outcomes.check_pres(delivery.over[0], payment, desk.issuer(), judge)
            with desk.database.transaction() as connection:
                store.keep(connection, trade, "delivery", delivery)
                store.keep_stamp(connection, trade, delivery.id, stamp)
                desk.rely(connection, trade)
                store.move(connection, trade, "delivery", desk.now())
        elif "cancel" in acts:
            cancel = rules.check_cancel(octets_of(acts, "cancel"), payment, judge)
            outcomes.check_reversal(cancel, payment, desk.issuer(), judge)
            with desk.database.transaction() as connection:
                store.keep(connection, trade, "cancel", cancel)
                desk.rely(connection, trade)
                because = f"cancelled: {cancel.document['reason']}"
                store.move(connection, trade, "cancel", desk.now(), because)

    def receipt(
        self, trade: str, phrase: Phrase, *, missing: Sequence[int] = (), complaint: str = ""
    ) -> None:
        """Sign what was received (all but the lines ``missing``); :meth:`send_receipt` sends it."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            delivery = store.act_of(connection, trade, "delivery")
            signed = store.act_of(connection, trade, "receipt")
        if known.state != "received" or delivery is None:
            raise Refusal("out-of-order", "nothing was delivered in this trade", state=known.state)
        if signed is not None:
            return
        with desk.unlocking("buyer", phrase) as sign:
            with desk.database.transaction() as connection:
                intent = store.intent_of(connection, trade, "receipt")
                if intent is None:
                    intent = (self._received(known, delivery, missing, complaint), b"")
                    store.intend(connection, trade, "receipt", intent[0])
            act = sign(intent[0], [delivery.octets])
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "receipt", act)
            desk.used(connection, act)

    def _received(
        self, known: store.Trade, delivery: Act, missing: Sequence[int], complaint: str
    ) -> Document:
        now = self._desk.now()
        return draft(
            RECEIPT,
            by=self._desk.pse.certificate("buyer"),
            to=[known.shop],
            at=now,
            until=lasting(now),
            trade=known.trade,
            cid=delivery.document["cid"],
            delivery=delivery.id,
            received=[part for part in delivery.document["lines"] if part["n"] not in missing],
            complaint=complaint or None,
        )

    def send_receipt(self, line: Line, trade: str) -> None:
        """Send the receipt (again); once it is stored, the trade is settled."""
        desk = self._desk
        with desk.database.reading() as connection:
            act = store.act_of(connection, trade, "receipt")
        if act is None:
            raise Refusal("out-of-order", "no receipt was signed in this trade", trade=trade)
        answer = line.ask("receipt", {"trade": trade, "act": b64u(act.octets)}, rid(trade, "receipt", act.id))
        if answer.get("stored") != act.id:
            raise Refusal("bad-answer", "the shop stored another receipt", member="stored")
        with desk.database.transaction() as connection:
            store.note(connection, trade, settled=True)

    def close_by(self, trade: str, statement: bytes) -> None:
        """Close a received trade by the issuer's statement: its entry is exactly what was ordered."""
        desk = self._desk
        issuer = desk.issuer()
        act = desk.judge().act(statement, STATEMENT, "issuer", issuer.name)
        payment = self._paying.payment(trade)
        entry = next((e for e in act.document["entries"] if e["xid"] == payment.ds.document["xid"]), None)
        if entry is None or not matches(entry, payment):
            raise Refusal("statement-differs", "the statement has no such entry for this trade", trade=trade)
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "statement", act)
            desk.rely(connection, trade, [issuer.signing])
            store.move(connection, trade, "statement", desk.now())

    def seal_evidence(self, trade: str) -> Path | None:
        """Write the bundle of a trade that ended; later words make a new one in its place."""
        desk = self._desk
        if desk.evidence is None:
            return None
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            record = self._record(connection, trade)
        if not known.ended or not record.acts:
            return None
        path = desk.evidence / f"{trade}.tar"
        desk.evidence.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, write_bundle(record))
        with desk.database.transaction() as connection:
            store.note(connection, trade, bundle=path.name)
        return path

    def _record(self, connection: sa.Connection, trade: str) -> TradeRecord:
        acts = store.acts_of(connection, trade)
        opened = {}
        intent = store.intent_of(connection, trade, "pay")
        if intent is not None and any(kind == "pay" for kind, _ in acts):
            opened["OI"] = read_parcel(intent[1], "e2s/1/order")[0]
        return TradeRecord(
            trade=trade,
            party=self._desk.organisation,
            acts=[(kind, kind, octets) for kind, octets in acts if kind != "statement"],
            stamps=store.stamps_of(connection, trade),
            opened=opened,
            certificates=store.certificates_of(connection, trade),
            crls=store.papers_of(connection, trade, "crl"),
        )


def matches(entry: dict[str, Any], payment: rules.Payment) -> bool:
    """Whether a statement's entry is this payment: contract, holder, amount, lines and VAT."""
    contract, ds = payment.offer.document, payment.ds
    return (
        entry["cid"] == payment.cid
        and unb64u(entry["trade"]) == unb64u(contract["trade"])
        and entry["holder"] == ds.certificate.id
        and entry["amount"] == contract["total"]
        and entry["lines"] == contract["lines"]
        and entry["vat"] == contract["vat"]
    )
