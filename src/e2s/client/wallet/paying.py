"""The dual signature is the only risk the buyer takes, and only the issuer's nested word ends it (step 8).

What is sent is in the book before: the instructions already sealed, the document, then its signature.
Silence is answered by the same order again, after its ``until`` by an inquiry to the issuer itself.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from e2s.base.errors import Refusal
from e2s.base.http import Request, expect
from e2s.base.wire import Document, b64u, unb64u
from e2s.client.wallet import gateways, outcomes, rules, store
from e2s.client.wallet.card import Card, Issuer
from e2s.client.wallet.desk import Desk, Line, lasting, rid
from e2s.client.wallet.instructions import Terms, write_order
from e2s.client.wallet.shopping import octets_of
from e2s.commerce.acts import draft
from e2s.commerce.payment.documents import INQUIRY
from e2s.crypto import cms, oids
from e2s.crypto.acts import Act, read_parcel, write_parcel
from e2s.crypto.certificates import Certificate
from e2s.security.keys.phrase import Phrase

_PAYMENT_INTENTS = ("pinit", "pay")


class Paying:
    """The acts of the buyer from the contract to the issuer's word."""

    def __init__(self, desk: Desk) -> None:
        """``desk`` holds everything that the acts need."""
        self._desk = desk

    def pay(self, line: Line, trade: str, phrase: Phrase) -> None:
        """Ask how to pay, check gateway and issuer, and sign the order; :meth:`send_order` sends it."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            offer = store.act_of(connection, trade, "offer")
            confirmation = store.act_of(connection, trade, "confirm")
        if known.state != "contract" or offer is None or confirmation is None:
            raise Refusal("out-of-order", "there is no contract waiting to be paid", state=known.state)
        if rules.late(offer.document["payBy"], desk.now(), owner=True):
            raise Refusal("ds-after-until", "the contract can no longer be paid")
        card = desk.card()
        with desk.unlocking("card", phrase) as sign:
            document = self._intended(trade)
            if document is None:
                document = self._order(line, known, offer, confirmation.id, card)
            act = sign(document, [])
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "pay", act)
            desk.used(connection, act)
            store.move(connection, trade, "pinit", desk.now())

    def _intended(self, trade: str) -> Document | None:
        """The order that a crash left unsigned, while it may still be authorised."""
        with self._desk.database.reading() as connection:
            intent = store.intent_of(connection, trade, "pay")
        if intent is not None and rules.late(intent[0]["until"], self._desk.now(), owner=True):
            # It was never signed into the book, so never released: a new one may take its place.
            with self._desk.database.transaction() as connection:
                store.drop_intents(connection, trade, _PAYMENT_INTENTS)
            return None
        return None if intent is None else intent[0]

    def _order(self, line: Line, known: store.Trade, offer: Act, cid: str, card: Card) -> Document:
        """Commit to a new order through the gateway that the merchant's payment component names."""
        desk, trade = self._desk, known.trade
        nonce = self._nonce(trade, cid)
        args = {
            "trade": trade,
            "cid": cid,
            "nC": nonce,
            "brand": card.brand,
            "issuer": card.issuer.name,
        }
        answer = line.ask("pinit", args, rid(trade, "pinit", nonce))
        certificates = _certificates(answer)
        judge = desk.judge()
        asked = gateways.Asked(offer=offer, cid=cid, nonce=nonce)
        pinit, gateway = gateways.check_pinit(octets_of(answer, "pinit"), certificates, asked, judge)
        gateways.check_issuer(card.issuer, judge)
        terms = Terms(
            offer=offer,
            cid=cid,
            merchant=pinit.certificate,
            gateway=gateway,
            buyer=desk.person,
            cost_centre=known.wanted["costCentre"],
            nonces=(unb64u(nonce), unb64u(pinit.document["nP"])),
        )
        order = write_order(terms, card, desk.pse.certificate("card"), desk.now(), desk.random)
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "pinit", pinit)
            store.intend(connection, trade, "pay", order.document, order.beside())
            desk.rely(connection, trade, [gateway.signing, gateway.agreement])
        return order.document

    def _nonce(self, trade: str, cid: str) -> str:
        """The nonce nC of this attempt: drawn once, so that the shop's stored answer fits after a crash."""
        with self._desk.database.transaction() as connection:
            intent = store.intent_of(connection, trade, "pinit")
            if intent is not None:
                return str(intent[0]["nC"])
            nonce = b64u(self._desk.random(32))
            store.intend(connection, trade, "pinit", {"cid": cid, "nC": nonce})
        return nonce

    def send_order(self, line: Line, trade: str) -> None:
        """Send the payment order (again, the same) and take the answer."""
        with self._desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            act = store.act_of(connection, trade, "pay")
            intent = store.intent_of(connection, trade, "pay")
        if known.state not in {"paying", "inquiring"} or act is None or intent is None:
            raise Refusal("out-of-order", "no payment is under way", state=known.state)
        oi, pi, si = read_parcel(intent[1], "e2s/1/order")
        parcel = write_parcel("e2s/1/preq", [act.octets, oi, pi, si])
        args = {"trade": trade, "parcel": b64u(parcel)}
        self.take_pres(trade, line.ask("pay", args, rid(trade, "pay", act.id)))

    def take_pres(self, trade: str, answer: dict[str, Any]) -> None:
        """Follow what merchant, gateway and issuer together say; *pending* and a bare void change nothing."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
        if known.state not in {"paying", "inquiring"}:
            return
        judge = desk.judge()
        if "pres" not in answer:
            if "void" in answer:
                void = rules.check_void(octets_of(answer, "void"), trade, known.shop, judge)
                with desk.database.transaction() as connection:
                    store.keep(connection, trade, "void", void)
                    store.move(connection, trade, "void", desk.now())
            return
        payment, issuer = self.payment(trade), desk.issuer()
        pres, event, decision = outcomes.check_pres(octets_of(answer, "pres"), payment, issuer, judge)
        if not event or decision is None:
            return
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "pres", pres)
            self._decided(connection, trade, event, decision)

    def _decided(self, connection: sa.Connection, trade: str, event: str, decision: Act) -> None:
        desk = self._desk
        desk.rely(connection, trade)
        because = "" if event == "pres-approved" else f"the issuer: {decision.document['reason']}"
        store.move(connection, trade, event, desk.now(), because)
        if event == "pres-approved":
            store.note(connection, trade, claim_until=decision.document["claimUntil"])

    def retry(self, trade: str) -> None:
        """After a declined payment, go back to the contract: the next order has a new xid."""
        desk = self._desk
        with desk.database.transaction() as connection:
            store.move(connection, trade, "retry", desk.now())
            store.drop_intents(connection, trade, _PAYMENT_INTENTS)

    def inquire(self, trade: str, phrase: Phrase) -> str:
        """Ask the issuer itself, never through the merchant, and follow its word; the state it leads to."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
        claimed = known.state == "paid" and known.claim_until and rules.late(known.claim_until, desk.now())
        if known.state != "inquiring" and not claimed:
            raise Refusal("out-of-order", "there is nothing to ask the issuer yet", state=known.state)
        payment, issuer = self.payment(trade), desk.issuer()
        inquiry = self._inquiry(trade, payment, issuer, phrase)
        sealed = cms.seal(inquiry.octets, oids.ACT, [issuer.agreement], desk.random)
        response = desk.exchange.send(issuer.origin, Request("POST", "/inquiry", sealed))
        judge = desk.judge()
        told = expect(response, what="inquiry")
        answer, event, decision = outcomes.check_answer(told, inquiry, payment, issuer, judge)
        if claimed and event not in {"inquiry-held", "inquiry-captured", "inquiry-void"}:
            raise Refusal("contradicting-results", "the issuer takes back what it approved", state=event)
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "inquiry-answer", answer)
            store.drop_intents(connection, trade, ["inquiry"])
            desk.rely(connection, trade, [issuer.signing])
            because = "the issuer holds and took no money" if event == "inquiry-void" else ""
            if decision is not None and event == "inquiry-declined":
                because = f"the issuer: {decision.document['reason']}"
            if decision is not None and "claimUntil" in decision.document:
                store.note(connection, trade, claim_until=decision.document["claimUntil"])
            return store.move(connection, trade, event, desk.now(), because).state

    def _inquiry(self, trade: str, payment: rules.Payment, issuer: Issuer, phrase: Phrase) -> Act:
        """The inquiry over the dual signature, by the same C; one that was lost is sent again."""
        desk = self._desk
        gateways.check_issuer(issuer, desk.judge())
        with desk.database.transaction() as connection:
            intent = store.intent_of(connection, trade, "inquiry")
            last = store.act_of(connection, trade, "inquiry")
            if intent is None:
                intent = (self._question(trade, payment, issuer), b"")
                store.intend(connection, trade, "inquiry", intent[0])
        document = intent[0]
        if last is not None and last.document == document:
            return last
        act = desk.sign("card", document, [payment.ds.octets], phrase)
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "inquiry", act)
            desk.used(connection, act)
        return act

    def _question(self, trade: str, payment: rules.Payment, issuer: Issuer) -> Document:
        now = self._desk.now()
        return draft(
            INQUIRY,
            by=self._desk.pse.certificate("card"),
            to=[issuer.name],
            at=now,
            until=lasting(now),
            trade=trade,
            xid=payment.ds.document["xid"],
            ds=payment.ds.id,
        )

    def payment(self, trade: str) -> rules.Payment:
        """What the book holds of the trade's newest payment; raises ``out-of-order`` before there is one."""
        with self._desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            offer = store.act_of(connection, trade, "offer")
            confirmation = store.act_of(connection, trade, "confirm")
            ds = store.act_of(connection, trade, "pay")
            pres = store.act_of(connection, trade, "pres")
        if offer is None or confirmation is None or ds is None:
            raise Refusal("out-of-order", "no payment was ordered in this trade", state=known.state)
        if pres is not None and pres.document["ds"] != ds.id:
            pres = None  # it answered an earlier, declined attempt
        return rules.Payment(merchant=known.shop, offer=offer, cid=confirmation.id, ds=ds, pres=pres)


def _certificates(answer: dict[str, Any]) -> list[Certificate]:
    """The certificates that came beside the payment offer."""
    listed = answer.get("certificates")
    if not isinstance(listed, list) or len(listed) > gateways.MAX_CERTIFICATES:
        raise Refusal("bad-answer", "the shop's answer lacks a member", member="certificates")
    return [Certificate.read(octets_of({"each": each}, "each")) for each in listed]
