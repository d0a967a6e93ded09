"""From the basket to a contract: ask for an offer, look at it, accept it with the pass phrase (steps 4 to 7).

The buyer risks nothing here: an offer binds the merchant, an acceptance binds her only if it is
confirmed by confirmBy, and a contract that is not paid by payBy lapses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.base.money import parse_amount, parse_number
from e2s.base.wire import Document, b64u, unb64u
from e2s.client.wallet import rules, store
from e2s.client.wallet.desk import Desk, Line, rid
from e2s.commerce.acts import draft
from e2s.commerce.order import SUMS, check_sums
from e2s.commerce.purchasing.documents import ACCEPT
from e2s.crypto.acts import Act
from e2s.security.keys.phrase import Phrase

#: Refusals that say nothing about the trade: the same request may be good later.
_PASSING = frozenset({"no-session", "presence-needed", "busy", "internal-error", "component-down"})


@dataclass(frozen=True, kw_only=True)
class Basket:
    """Lines with contract prices as the shop gave them, under the price list ``list``."""

    shop: str
    list: str
    sums: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Review:
    """The offer as it will be signed: the exact octets of the document, and of the whole act."""

    trade: str
    document: Document
    doc_octets: bytes
    octets: bytes
    id: str
    signer: str


class Shopping:
    """The acts of the buyer until there is a contract."""

    def __init__(self, desk: Desk) -> None:
        """``desk`` holds everything that the acts need."""
        self._desk = desk

    def search(self, line: Line, args: dict[str, Any]) -> dict[str, Any]:
        """A page of the private catalogue: q, class, offset and limit go in; list, rows, total come out."""
        return line.ask("search", args, b64u(self._desk.random(16)))

    def item(self, line: Line, sku: str) -> dict[str, Any]:
        """One item of the private catalogue."""
        return line.ask("item", {"sku": sku}, b64u(self._desk.random(16)))

    def basket(self, line: Line, shop: str, lines: Sequence[tuple[str, str]]) -> Basket:
        """The lines (sku, quantity) with contract prices and VAT; refuses sums that don't add up."""
        args = {"lines": [{"sku": sku, "qty": qty} for sku, qty in lines]}
        answer = line.ask("basket", args, b64u(self._desk.random(16)))
        if missing := [member for member in (*SUMS, "list") if member not in answer]:
            raise Refusal("bad-answer", "the shop's basket lacks a member", member=missing[0])
        sums = {member: answer[member] for member in SUMS}
        try:
            check_sums(sums)
        except (KeyError, TypeError, AttributeError) as error:
            raise Refusal("bad-answer", "the shop's basket has another form") from error
        shown = [(row["sku"], parse_number(row["qty"])) for row in sums["lines"]]
        if shown != [(sku, parse_number(qty)) for sku, qty in lines]:
            raise Refusal("altered-line", "the shop's basket holds other lines than were asked for")
        return Basket(shop=shop, list=answer["list"], sums=sums)

    def open(self, basket: Basket, deliver_to: str, cost_centre: str, at_most: str = "") -> str:
        """A new trade for what was seen; ``at_most`` lets it go through unattended up to that total."""
        if at_most:
            parse_amount(at_most, basket.sums["currency"])
        trade = b64u(self._desk.random(16))
        wanted = {
            "list": basket.list,
            "sums": basket.sums,
            "deliverTo": deliver_to,
            "costCentre": cost_centre,
            "atMost": at_most,
        }
        with self._desk.database.transaction() as connection:
            store.open_trade(connection, trade, basket.shop, wanted, self._desk.now())
        return trade

    def ask(self, line: Line, trade: str) -> Review:
        """Ask for the offer (after a loss again: same trade, same rid) and compare it with what was seen."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
        if known.state != "asked":
            return self.review(trade)
        sums = known.wanted["sums"]
        args = {
            "trade": trade,
            "list": known.wanted["list"],
            "lines": [{"sku": row["sku"], "qty": row["qty"]} for row in sums["lines"]],
            "deliverTo": known.wanted["deliverTo"],
            "buyer": desk.pse.certificate("buyer").id,
        }
        try:
            answer = line.ask("offer", args, rid(trade, "offer"))
            offer = rules.check_offer(octets_of(answer, "offer"), self._wanted(known), desk.judge())
        except Refusal as refusal:
            if refusal.rule not in _PASSING:
                self._end(trade, "refused", f"{refusal.rule}: {refusal.message}")
            raise
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "offer", offer)
            desk.rely(connection, trade)
            store.move(connection, trade, "offer", desk.now())
        return self.review(trade)

    def review(self, trade: str) -> Review:
        """The offer, octet by octet, as the acceptance will be over it."""
        with self._desk.database.reading() as connection:
            offer = store.act_of(connection, trade, "offer")
        if offer is None:
            raise Refusal("no-offer", "there is no offer in this trade", trade=trade)
        return Review(
            trade=trade,
            document=offer.document,
            doc_octets=offer.doc_octets,
            octets=offer.octets,
            id=offer.id,
            signer=offer.certificate.name,
        )

    def decline(self, trade: str) -> None:
        """Let the offer, or a declined payment's contract, go."""
        self._end(trade, "decline", "declined by the buyer")

    def accept(self, trade: str, phrase: Phrase, *, offer: str = "") -> None:
        """Sign the acceptance of exactly the offer shown (its ``#``); :meth:`send_acceptance` sends it."""
        desk = self._desk
        with desk.unlocking("buyer", phrase) as sign:
            document, shown = self._accepting(trade, offer)
            act = sign(document, [shown.octets])
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "accept", act)
            desk.used(connection, act)
            store.move(connection, trade, "accept", desk.now())

    def _accepting(self, trade: str, offer: str) -> tuple[Document, Act]:
        """Commit to accepting the offer shown: the document, and what it is over."""
        desk = self._desk
        with desk.database.transaction() as connection:
            known = store.trade_of(connection, trade)
            if known.state != "offered":
                raise Refusal("out-of-order", "there is no offer waiting to be accepted", state=known.state)
            shown = store.act_of(connection, trade, "offer")
            if shown is None or (offer and shown.id != offer):
                raise Refusal("other-offer", "the offer is not the one that was shown")
            too_late = rules.late(shown.document["confirmBy"], desk.now(), owner=True)
            if too_late:
                store.move(connection, trade, "confirm-by", desk.now(), "not accepted in time")
            elif (intent := store.intent_of(connection, trade, "accept")) is None:
                document = self._acceptance(known, shown)
                store.intend(connection, trade, "accept", document)
            else:
                document = intent[0]
        if too_late:
            raise Refusal("late-acceptance", "the offer can no longer be accepted")
        return document, shown

    def send_acceptance(self, line: Line, trade: str) -> None:
        """Send the acceptance (again) and take the confirmation, or the void, that answers it."""
        with self._desk.database.reading() as connection:
            act = store.act_of(connection, trade, "accept")
        if act is None:
            raise Refusal("out-of-order", "nothing was accepted in this trade", trade=trade)
        args = {"trade": trade, "act": b64u(act.octets)}
        self.take_confirmation(trade, line.ask("accept", args, rid(trade, "accept", act.id)))

    def take_confirmation(self, trade: str, answer: dict[str, Any]) -> None:
        """A contract stands once the confirmation is over this acceptance and in time."""
        desk = self._desk
        with desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            acceptance = store.act_of(connection, trade, "accept")
        if known.state != "accepted" or acceptance is None:
            return
        judge = desk.judge()
        if "confirm" not in answer:
            if "void" in answer:
                void = rules.check_void(octets_of(answer, "void"), trade, known.shop, judge)
                if void.document.get("accept", acceptance.id) != acceptance.id:
                    raise Refusal("wrong-acceptance", "the void is of another acceptance")
                with desk.database.transaction() as connection:
                    store.keep(connection, trade, "void", void)
                    desk.rely(connection, trade)
                    store.move(connection, trade, "void", desk.now(), f"void: {void.document['reason']}")
            return
        octets, stamp = octets_of(answer, "confirm"), None
        if "stamp" in answer:
            stamp = octets_of(answer, "stamp")
        confirmation, proven = rules.check_confirmation(octets, acceptance, stamp, judge)
        token = stamp if proven else self._own_stamp(confirmation, acceptance, judge)
        with desk.database.transaction() as connection:
            store.keep(connection, trade, "confirm", confirmation)
            if token is not None:
                store.keep_stamp(connection, trade, confirmation.id, token)
            desk.rely(connection, trade)
            store.move(connection, trade, "confirmation", desk.now())

    def _own_stamp(self, confirmation: Act, acceptance: Act, judge: rules.Judge) -> bytes | None:
        """The buyer's own stamp where the merchant had none; without any the contract binds all the same."""
        token = self._desk.stamp(confirmation, judge)
        if token is not None:
            rules.check_confirmation(confirmation.octets, acceptance, token, judge)
        return token

    def _acceptance(self, known: store.Trade, offer: Act) -> Document:
        contract = offer.document
        return draft(
            ACCEPT,
            by=self._desk.pse.certificate("buyer"),
            to=[known.shop],
            at=self._desk.now(),
            until=parse_instant(contract["confirmBy"]),
            trade=known.trade,
            salt=b64u(self._desk.random(32)),
            offer=offer.id,
            decision="accept",
            confirmBy=contract["confirmBy"],
            payBy=contract["payBy"],
            costCentre=known.wanted["costCentre"],
        )

    def _wanted(self, known: store.Trade) -> rules.Wanted:
        return rules.Wanted(
            trade=known.trade,
            merchant=known.shop,
            buyer=self._desk.pse.certificate("buyer"),
            organisation=self._desk.organisation,
            list=known.wanted["list"],
            sums=known.wanted["sums"],
            deliver_to=known.wanted["deliverTo"],
        )

    def _end(self, trade: str, event: str, because: str) -> None:
        with self._desk.database.transaction() as connection:
            store.move(connection, trade, event, self._desk.now(), because)


def octets_of(answer: dict[str, Any], member: str) -> bytes:
    """The octets of an answer's member; raises :class:`Refusal` ``bad-answer``."""
    value = answer.get(member)
    if not isinstance(value, str):
        raise Refusal("bad-answer", "the shop's answer lacks a member", member=member)
    return unb64u(value)
