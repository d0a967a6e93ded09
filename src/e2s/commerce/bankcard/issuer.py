"""No one's word but the card-holder's moves her money: the issuer repeats every check itself (6.2.3).

A request whose signers or names don't fit is refused with no effect.  One that is authentic is decided
once for (card-holder, xid): approved with a hold, declined with the reason, or void.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import Document
from e2s.commerce.acts import draft, over_exactly, received
from e2s.commerce.bankcard import store as tables
from e2s.commerce.bankcard.bank import Bank, found
from e2s.commerce.bankcard.cards import same_card
from e2s.commerce.bankcard.controls import Wanted, fault, parameters_of, period_start
from e2s.commerce.bankcard.holds import used
from e2s.commerce.bankcard.voids import VOID, entomb, payment_values, void_document
from e2s.commerce.payment.documents import AUTH, DECISION, ISSUE, PAY, PI, REVERSE, SI
from e2s.commerce.payment.doors import opened, opened_parcel
from e2s.commerce.payment.dual_signature import (
    check_amount,
    check_authorisation,
    names_of,
    same_payment,
    until_of,
)
from e2s.commerce.payment.instructions import check_payment_instruction, read_instruction
from e2s.commerce.payment.tables import ISSUER
from e2s.commerce.steps import follow
from e2s.crypto import oids
from e2s.crypto.acts import Act, act_id, read_act, read_parcel


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An authentic request for money: who asks, by whose dual signature, and what its instructions say."""

    ds: Act
    auth: Act
    gateway_name: str
    pi: bytes
    si: bytes


class Authorisations:
    """Decides about payments, voids them for gateways that never got an answer, and answers card-holders."""

    def __init__(self, bank: Bank, pan_key: bytes) -> None:
        """``pan_key``: 32 octets, the key of the digests by which cards are found."""
        self.bank = bank
        self._pan_key = pan_key

    # ------------------------------------------------------------------ AuthIss

    def issue(self, envelope: bytes) -> bytes:
        """E_I{AuthIss} -> Decision, the stored one for a repeat."""
        bank, now = self.bank, self.bank.clock.now()
        asked = self._authentic(opened_parcel(envelope, bank.opener), now)
        holder, xid = asked.ds.certificate.id, asked.ds.document["xid"]
        with bank.store.reading() as connection:
            known = tables.payment(connection, holder, xid)
        if known is None:
            instructed, reason = self._instructed(asked)
            self._decide(asked, instructed, reason, now)
        return self._decision(holder, xid, asked.ds, now)

    def _authentic(self, parcel: bytes, now: datetime) -> Asked:
        """The request, its three signers proven and the names in all of it one."""
        bank = self.bank
        items = read_parcel(parcel, "e2s/1/authiss")
        if len(items) != 3:
            raise Refusal("bad-parcel", "the parcel holds issue, PI and SI")
        issue = over_exactly(
            received(items[0], ISSUE, trust=bank.trust, to=bank.name, role="gateway", at=now), 1
        )
        auth = over_exactly(
            received(issue.inner(), AUTH, trust=bank.trust, to=bank.name, role="merchant-payment", at=now), 1
        )
        ds = self._dual_signature(auth.inner(), now)
        if issue.certificate.id != ds.document["gateway"]:
            raise Refusal("other-gateway", "the dual signature goes through another gateway")
        check_authorisation(auth, ds)
        same_payment(issue.document, {"xid": ds.document["xid"], "ds": ds.id, "trade": ds.document["trade"]})
        if issue.document["auth"] != auth.id:
            raise Refusal("other-transaction", "the gateway forwards another request than it names")
        return Asked(ds=ds, auth=auth, gateway_name=issue.certificate.name, pi=items[1], si=items[2])

    def _dual_signature(self, act: Act, now: datetime) -> Act:
        """A card-holder's order to this bank, about an amount."""
        bank = self.bank
        ds = over_exactly(received(act, PAY, trust=bank.trust, to=bank.name, role="card-holder", at=now), 0)
        if ds.document["issuer"] != bank.id:
            raise Refusal("other-issuer", "the dual signature draws on another bank")
        check_amount(ds)
        return ds

    def _instructed(self, asked: Asked) -> tuple[bytes | None, str]:
        """SI's octets, and why PI or SI is not what was signed (empty when they are)."""
        bank, said = self.bank, asked.ds.document
        try:
            pi = read_instruction(asked.pi, PI, reader=bank.name, digest=said["hPI"])
            check_payment_instruction(pi, said, asked.ds.certificate)
            si_octets = opened(asked.si, bank.opener, oids.PLAIN_SI)
            si = read_instruction(si_octets, SI, reader=bank.name, digest=said["hSI"])
            if (si["xid"], si["cid"]) != (said["xid"], said["cid"]):
                raise Refusal("other-transaction", "the issuer's information is of another payment")
            with bank.store.reading() as connection:
                card = tables.card(connection, asked.ds.certificate.id)
            self._check_card(card, pi)
        except Refusal as refusal:
            return None, refusal.rule
        return si_octets, ""

    def _check_card(self, card: sa.Row[Any] | None, pi: Document) -> None:
        if (
            card is None
            or not same_card(self._pan_key, card.pan_mac, pi["pan"])
            or card.expiry != pi["expiry"]
        ):
            raise Refusal("other-card", "the card is not the one that the bank gave to this card-holder")

    def _decide(self, asked: Asked, si: bytes | None, reason: str, now: datetime) -> None:
        """Commit the decision's document, and with it the hold; a repeat that came first stays."""
        bank, ds = self.bank, asked.ds
        with bank.store.transaction() as connection:
            tables.age(connection, now)
            if tables.payment(connection, ds.certificate.id, ds.document["xid"]) is not None:
                return
            card = tables.card(connection, ds.certificate.id)
            if card is None:
                raise Refusal("unknown-card", "the bank gave no card to this card-holder")
            reason = reason or self._against(connection, asked, card, si, now)
            step = follow(ISSUER, "none", "authiss-bad" if reason else "authiss")
            held = (None, None) if reason else bank.terms.of(now)
            document = self._decision_document(asked, "declined" if reason else "approved", reason, held, now)
            tables.add_payment(
                connection,
                {
                    **payment_values(
                        ds, card.organisation, asked.auth.certificate.name, asked.gateway_name, now
                    ),
                    "state": step.state,
                    "auth_id": asked.auth.id,
                    "si": si,
                    "hold_until": format_instant(held[0]) if held[0] else None,
                    "claim_until": format_instant(held[1]) if held[1] else None,
                    "decision_doc": wire.encode(document),
                    "decision_id": act_id(document, ()),
                },
            )
            bank.note(
                connection, f"payment.{step.state}", now, xid=ds.document["xid"], reason=reason or "approved"
            )

    def _against(
        self, connection: sa.Connection, asked: Asked, card: sa.Row[Any], si: bytes | None, now: datetime
    ) -> str:
        """Why the money is not given, or the empty string."""
        said, holder = asked.ds.document, asked.ds.certificate.id
        if card.blocked:
            return "card-blocked"
        if format_instant(now)[:7] > card.expiry:
            return "card-expired"
        if now >= until_of(asked.ds):
            return "ds-after-until"
        if tables.second_live(connection, holder, said["cid"], said["part"]):
            return "second-xid-live"
        ordered = tables.newest_controls(connection, card.organisation)
        parameters = parameters_of(read_act(ordered.act).document, holder) if ordered else None
        wanted = Wanted(
            amount=Decimal(said["amount"]),
            currency=said["currency"],
            classes=wire.decode(si)["classes"] if si else (),
            merchant=asked.auth.certificate.name,
        )
        return fault(parameters, wanted, used(tables.uses(connection, holder), period_start(parameters, now)))

    def _decision_document(
        self,
        asked: Asked,
        result: str,
        reason: str,
        held: tuple[datetime | None, datetime | None],
        now: datetime,
    ) -> Document:
        hold, claim = held
        return draft(
            DECISION,
            by=self.bank.signer.certificate,
            to=[asked.gateway_name, asked.auth.certificate.name, asked.ds.certificate.name],
            at=now,
            until=claim or self.bank.terms.of(now)[1],
            trade=asked.ds.document["trade"],
            **names_of(asked.ds),
            result=result,
            reason=reason or "approved",
            holdUntil=format_instant(hold) if hold else None,
            claimUntil=format_instant(claim) if claim else None,
        )

    def _decision(self, holder: str, xid: str, ds: Act, now: datetime) -> bytes:
        """The decision that stands for (card-holder, xid): the stored one, or void once it is void."""
        with self.bank.store.reading() as connection:
            row = found(tables.payment(connection, holder, xid))
        if row.ds_id != ds.id:
            raise Refusal("xid-reused", "this transaction was ordered by another dual signature")
        if row.state not in VOID and (row.claim_until is None or format_instant(now) < row.claim_until):
            return self.bank.word(holder, xid, "decision")
        with self.bank.store.transaction() as connection:
            tables.age(connection, now)
            row = found(tables.payment(connection, holder, xid))
            if row.state in VOID and row.voided_doc is None:
                void_document(self.bank, connection, row, "void", now)
        return self.bank.word(holder, xid, "voided" if row.state in VOID else "decision")

    # ------------------------------------------------------------------ Reversal by the gateway

    def reverse(self, octets: bytes) -> bytes:
        """S_G<reverse; DS> -> Decision: void, unless the payment was already decided otherwise."""
        bank, now = self.bank, self.bank.clock.now()
        act = over_exactly(
            received(octets, REVERSE, trust=bank.trust, to=bank.name, role="gateway", at=now), 1
        )
        ds = self._dual_signature(act.inner(), now)
        if act.certificate.id != ds.document["gateway"]:
            raise Refusal("other-gateway", "the dual signature goes through another gateway")
        same_payment(act.document, {"xid": ds.document["xid"], "ds": ds.id, "trade": ds.document["trade"]})
        holder, xid = ds.certificate.id, ds.document["xid"]
        with bank.store.transaction() as connection:
            tables.age(connection, now)
            row = tables.payment(connection, holder, xid)
            if row is not None and row.ds_id != ds.id:
                raise Refusal("xid-reused", "this transaction was ordered by another dual signature")
            step = follow(ISSUER, row.state if row is not None else "none", "reverse")
            if row is None:
                entomb(connection, ds, now, gateway=act.certificate.name)
            elif step.state != row.state:
                tables.change_payment(connection, holder, xid, {"state": step.state})
            row = found(tables.payment(connection, holder, xid))
            if row.state in VOID and row.voided_doc is None:
                void_document(bank, connection, row, "reversed", now)
            bank.note(connection, "payment.reversal", now, xid=xid, state=row.state)
        return bank.word(holder, xid, "voided" if row.state in VOID else "decision")
