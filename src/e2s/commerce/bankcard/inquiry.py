"""A card-holder asks her bank herself, never through the merchant, what became of her payment (9.2)."""

from __future__ import annotations

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.commerce.acts import draft, over_exactly, quoted, received
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank
from e2s.commerce.bankcard.voids import entomb
from e2s.commerce.payment.documents import INQUIRY, INQUIRY_ANSWER, PAY
from e2s.commerce.payment.doors import opened
from e2s.commerce.payment.dual_signature import same_payment, until_of
from e2s.commerce.payment.tables import ISSUER
from e2s.commerce.steps import follow
from e2s.crypto import oids

#: What an inquiry is told of each state; a payment that is declined shows its decision besides.
TOLD = {
    "held": "held",
    "expired": "held",
    "captured": "captured",
    "void": "void",
    "closed": "void",
    "declined": "declined",
}


class Inquiries:
    """Answers card-holders."""

    def __init__(self, bank: Bank) -> None:
        """``bank``: whose card-holders ask."""
        self.bank = bank

    def inquire(self, envelope: bytes) -> bytes:
        """E_I{S_C<inquiry; DS>} -> S_I<inquiry-answer; Decision?>.

        Asked after the dual signature's ``until`` about a payment never heard of, the bank writes a void
        that lasts, whatever its clock shows later.
        """
        bank, now = self.bank, self.bank.clock.now()
        octets = opened(envelope, bank.opener, oids.ACT)
        act = over_exactly(
            received(octets, INQUIRY, trust=bank.trust, to=bank.name, role="card-holder", at=now), 1
        )
        ds = quoted(act.inner(), PAY, by=act.certificate.id)
        if bank.name not in ds.document["to"] or ds.document["issuer"] != bank.id:
            raise Refusal("other-issuer", "the dual signature draws on another bank")
        same_payment(act.document, {"xid": ds.document["xid"], "ds": ds.id, "trade": ds.document["trade"]})
        holder, xid = ds.certificate.id, ds.document["xid"]
        with bank.store.transaction() as connection:
            tables.age(connection, now)
            row = tables.payment(connection, holder, xid)
            if row is None:
                late = now >= until_of(ds)
                step = follow(ISSUER, "none", "inquiry-late" if late else "inquiry-early")
                if step.state == "void":
                    entomb(connection, ds, now)
                told = TOLD.get(step.state, "none")
            elif row.ds_id != ds.id:
                raise Refusal("xid-reused", "this transaction was ordered by another dual signature")
            else:
                told = TOLD[follow(ISSUER, row.state, "inquiry").state]
            bank.note(connection, "payment.inquiry", now, xid=xid, told=told)
        decided = row is not None and row.decision_doc is not None and told != "void"
        over = (bank.word(holder, xid, "decision"),) if decided else ()
        answer = draft(
            INQUIRY_ANSWER,
            by=bank.signer.certificate,
            to=[ds.certificate.name],
            at=now,
            until=bank.terms.of(now)[1],
            trade=ds.document["trade"],
            xid=xid,
            ds=ds.id,
            inquiry=act.id,
            state=told,
        )
        return bank.sign(wire.encode(answer), over)
