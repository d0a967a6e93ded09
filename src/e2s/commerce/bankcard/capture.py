"""Money leaves a hold once, for lines that the card-holder signed and a delivery that was stamped in time.

At capture the issuer sees the lines for the first time: their salted digest must be the one in the dual
signature, their kinds within those disclosed before, and the whole stamped Delivery is inside (9.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, format_instant, parse_instant
from e2s.base.wire import Document
from e2s.commerce.acts import draft, over_exactly, quoted, received
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank, ds_of, found, names_in
from e2s.commerce.delivery import DELIVERY
from e2s.commerce.order import classes
from e2s.commerce.payment.documents import AUTHRES, AUTHREV, CAPREQ, CAPTURED, LI, OI, PRES, REVERSED
from e2s.commerce.payment.doors import opened, opened_parcel
from e2s.commerce.payment.instructions import check_order_information, digest_member, read_instruction
from e2s.commerce.payment.tables import ISSUER
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, read_parcel
from e2s.crypto.certificates import Certificate
from e2s.crypto.forms import Form
from e2s.crypto.stamps import Stamp, check_token

#: An entry must fit into a statement, which is one document of at most 128 KiB.
MAX_ENTRY_BYTES = 100 * 1024
_LIVE = frozenset({"held", "expired"})


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a capture proves: the order that was signed, and when its delivery was stamped."""

    oi: Document
    stamped: datetime


class Captures:
    """Answers the merchant's captures and reversals, as the gateway forwards them."""

    def __init__(self, bank: Bank) -> None:
        """``bank``: whose payments these are."""
        self.bank = bank

    def capture(self, envelope: bytes) -> bytes:
        """E_I{Parcel[CapReq, E_I{LI}]} -> S_I<captured>; once for (xid, n), its stored answer afterwards."""
        bank, now = self.bank, self.bank.clock.now()
        items = read_parcel(opened_parcel(envelope, bank.opener), "e2s/1/capture")
        if len(items) != 2:
            raise Refusal("bad-parcel", "the parcel holds CapReq and LI")
        request, row = self._request(items[0], CAPREQ, now)
        if row.capreq_id is None:
            claim = self._claim(row, request, items[1], now) if row.state in _LIVE else None
            self._capture(row.holder, row.xid, request, claim, now)
        elif row.capreq_id != request.id:
            raise Refusal("double-capture", "another capture of this payment was answered before")
        return bank.word(row.holder, row.xid, "captured")

    def reverse(self, envelope: bytes) -> bytes:
        """E_I{S_P<authrev; AuthRes>} -> S_I<reversed>: void, or what became of the payment before."""
        bank, now = self.bank, self.bank.clock.now()
        request, row = self._request(opened(envelope, bank.opener, oids.ACT), AUTHREV, now)
        with bank.store.transaction() as connection:
            tables.age(connection, now)
            row = found(tables.payment(connection, row.holder, row.xid))
            if row.authrev_id is None:
                step = follow(ISSUER, row.state, "authrev")
                document = self._answer(REVERSED, row, request, step.state, now)
                values = {
                    "state": step.state,
                    "authrev_id": request.id,
                    "reversed_doc": wire.encode(document),
                }
                tables.change_payment(connection, row.holder, row.xid, values)
                bank.note(connection, "payment.reversed", now, xid=row.xid, state=step.state)
            elif row.authrev_id != request.id:
                raise Refusal("double-reversal", "another reversal of this payment was answered before")
        return bank.word(row.holder, row.xid, "reversed")

    # ------------------------------------------------------------------ who asks

    def _request(self, octets: bytes, form: Form, now: datetime) -> tuple[Act, sa.Row[Any]]:
        """The payment, and the merchant's request over the gateway's AuthRes over the bank's own approval."""
        bank = self.bank
        request = over_exactly(
            received(octets, form, trust=bank.trust, to=bank.name, role="merchant-payment", at=now), 1
        )
        inner = request.inner()
        holder, xid = inner.document.get("holder"), inner.document.get("xid")
        with bank.store.reading() as connection:
            row = tables.payment(connection, str(holder), str(xid))
        row = found(row)
        authres = over_exactly(quoted(inner, AUTHRES, by=row.gateway), 1)
        if request.certificate.id != row.merchant:
            raise Refusal("other-merchant", "the payment is to another merchant")
        said = authres.document
        if any(said[name] != value for name, value in names_in(row).items()) or said["req"] != row.auth_id:
            raise Refusal("other-transaction", "the gateway's answer is about another payment")
        if row.hold_until is None or authres.inner().id != row.decision_id or said["result"] != "approved":
            raise Refusal("not-approved", "the bank did not say what the gateway's answer claims")
        self._amount(request.document, row)
        if request.document["trade"] != row.trade:
            raise Refusal("other-trade", "the request is of another trade")
        return request, row

    def _amount(self, said: Document, row: sa.Row[Any]) -> None:
        """One full capture or reversal, number 1, of exactly what is held."""
        if said["xid"] != row.xid or said["n"] != 1:
            raise Refusal("other-transaction", "the request is of another payment or part")
        if said["currency"] != row.currency:
            raise Refusal("other-amount", "the request is in another currency")
        if Decimal(said["amount"]) > Decimal(row.amount):
            raise Refusal("capture-over-hold", "more is asked for than is held")
        if Decimal(said["amount"]) != Decimal(row.amount):
            raise Refusal("partial-capture", "this version captures and reverses the whole amount")

    # ------------------------------------------------------------------ what for

    def _claim(self, row: sa.Row[Any], request: Act, envelope: bytes, now: datetime) -> Claim:
        """LI, opened and proven against the dual signature, the disclosed kinds and the delivery."""
        bank, ds = self.bank, ds_of(row)
        items = read_parcel(opened_parcel(envelope, bank.opener), "e2s/1/li")
        if len(items) != 4:
            raise Refusal("bad-parcel", "the parcel holds LI, OI, Delivery and its time stamp")
        li = read_instruction(items[0], LI, reader=bank.name)
        oi = read_instruction(items[1], OI, reader=bank.name, digest=ds.document["hOI"])
        check_order_information(oi, ds.document)
        same = {member: oi[member] for member in ("xid", "cid", "lines", "currency")}
        same |= {"amount": oi["total"], "oi": digest_member(oi), "n": request.document["n"]}
        if (
            any(li[member] != value for member, value in same.items())
            or li["amount"] != request.document["amount"]
        ):
            raise Refusal("lines-differ", "the lines are not those that the card-holder signed")
        disclosed = wire.decode(row.si)["classes"]
        if disclosed and not set(classes(oi)) <= set(disclosed):
            raise Refusal("class-not-disclosed", "the lines are of kinds that were not disclosed")
        delivery = self._delivery(items[2], row, request, oi, now)
        if li["delivery"] != delivery.id:
            raise Refusal("lines-differ", "the lines belong to another delivery")
        stamp = self._stamp(items[3], delivery, row, now)
        if len(wire.encode(_entry(row, request, oi, now))) > MAX_ENTRY_BYTES:
            raise Refusal("too-large", "the lines don't fit on a statement")
        return Claim(oi=oi, stamped=stamp.at)

    def _delivery(self, octets: bytes, row: sa.Row[Any], request: Act, oi: Document, now: datetime) -> Act:
        """The merchant's Delivery of this payment, over its PRes and DS."""
        bank = self.bank
        delivery = over_exactly(
            received(
                octets,
                DELIVERY,
                trust=bank.trust,
                to=bank.name,
                role="merchant",
                at=now,
                name=row.merchant_name,
            ),
            2,
        )
        said = delivery.document
        wanted = {"xid": row.xid, "cid": row.cid, "n": request.document["n"], "trade": row.trade}
        if delivery.id != request.document["delivery"] or any(
            said[m] != value for m, value in wanted.items()
        ):
            raise Refusal("other-delivery", "the delivery is of another payment")
        pres = quoted(delivery.inner(0), PRES, by=row.merchant)
        if pres.document["xid"] != row.xid or pres.document["ds"] != row.ds_id or len(pres.over) != 1:
            raise Refusal("other-delivery", "the delivery answers another payment")
        if pres.inner().id != request.inner().id or delivery.inner(1).id != row.ds_id:
            raise Refusal("other-delivery", "the delivery answers another authorisation")
        ordered = [{"n": line["n"], "qty": line["qty"]} for line in oi["lines"]]
        if said["lines"] != ordered:
            raise Refusal("lines-differ", "what was delivered is not what was ordered")
        return delivery

    def _stamp(self, token: bytes, delivery: Act, row: sa.Row[Any], now: datetime) -> Stamp:
        """The time stamp over the Delivery's signature value, by a good authority, at a possible time."""
        stamp = check_token(token, sha256(delivery.signature).digest())
        authority: Certificate = stamp.signed.signer_certificate
        self.bank.trust.check_certificate(
            authority, stamp.signed.certificates, purpose=oids.EKU_TIME_STAMPING, name=None, at=now
        )
        if not parse_instant(row.decided) - 2 * DELTA <= stamp.at <= now + 2 * DELTA:
            raise Refusal("impossible-stamp", "the delivery was stamped before it was paid, or in the future")
        return stamp

    # ------------------------------------------------------------------ effects

    def _capture(self, holder: str, xid: str, request: Act, claim: Claim | None, now: datetime) -> None:
        """Commit the capture, or that there is nothing left to capture."""
        bank = self.bank
        with bank.store.transaction() as connection:
            tables.age(connection, now)
            row = found(tables.payment(connection, holder, xid))
            if row.capreq_id is not None:
                return
            step = follow(ISSUER, row.state, "capreq")
            document = self._answer(CAPTURED, row, request, step.state, now, n=1)
            values: dict[str, Any] = {"capreq_id": request.id, "captured_doc": wire.encode(document)}
            if row.state in _LIVE:
                if claim is None or claim.stamped >= parse_instant(row.hold_until):
                    raise Refusal("delivered-too-late", "the delivery was stamped after the hold had ended")
                values |= {
                    "state": step.state,
                    "entry": wire.encode(_entry(row, request, claim.oi, now)),
                    "capture_seq": tables.next_capture(connection),
                }
            tables.change_payment(connection, holder, xid, values)
            bank.note(connection, f"payment.capture-{step.state}", now, xid=xid, amount=row.amount)

    def _answer(
        self, form: Form, row: sa.Row[Any], request: Act, result: str, now: datetime, **more: int
    ) -> Document:
        return draft(
            form,
            by=self.bank.signer.certificate,
            to=[row.gateway_name, row.merchant_name, ds_of(row).certificate.name],
            at=now,
            until=self.bank.terms.of(now)[1],
            trade=row.trade,
            **names_in(row),
            **more,
            req=request.id,
            result=result,
        )


def _entry(row: sa.Row[Any], request: Act, oi: Document, now: datetime) -> Document:
    """What stands on the statement for this capture."""
    si = wire.decode(row.si)
    return {
        "trade": row.trade,
        "xid": row.xid,
        "cid": row.cid,
        "holder": row.holder,
        "buyer": si["buyer"],
        "costCentre": si["costCentre"],
        "merchant": row.merchant_name,
        "amount": row.amount,
        "capturedAt": format_instant(now),
        "capreq": request.id,
        "lines": oi["lines"],
        "vat": oi["vat"],
    }
