"""Browse, ask, accept: the merchant's side of steps 4 to 7, for a buyer whom the session proved.

An offer is made once per buyer and trade, a confirmation once per offer; who repeats gets what was
stored, who asks for something else under the same name is refused.
"""

from __future__ import annotations

from typing import Any

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant, passed_for_counterpart, passed_for_owner
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.purchasing import offer as rules
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.counter import Counter
from e2s.commerce.purchasing.items import Item
from e2s.commerce.purchasing.offer import Buyer, PriceList, Seller
from e2s.commerce.purchasing.pricing import unit_price
from e2s.commerce.purchasing.shelf import Shelf, Stock
from e2s.commerce.purchasing.store import Trade
from e2s.commerce.purchasing.tables import MERCHANT
from e2s.commerce.steps import follow
from e2s.crypto.acts import Act, act_id, read_act

MAX_OPEN_OFFERS = 200


class Selling:
    """The acts until there is a contract."""

    def __init__(self, counter: Counter, shelf: Shelf) -> None:
        """``shelf`` holds what is for sale."""
        self._counter = counter
        self._shelf = shelf

    # ------------------------------------------------------------------ browsing: nothing is kept
    def search(self, buyer: Buyer, args: Document) -> Document:
        """A page of items at the organisation's prices."""
        stock = self._shelf.stock
        prices = stock.prices(buyer.organisation)
        found = stock.index.search(
            args["q"], args.get("class", ""), args.get("offset", 0), args.get("limit", 20)
        )
        rows = [_row(item, prices, stock.currency) for item in found.items]
        page: Document = {"list": prices.id, "currency": stock.currency, "rows": rows, "total": found.total}
        return {**page, "next": found.next} if found.next else page

    def item(self, buyer: Buyer, args: Document) -> Document:
        """One item at the organisation's price."""
        stock = self._shelf.stock
        prices = stock.prices(buyer.organisation)
        return {
            "list": prices.id,
            "currency": stock.currency,
            "item": _row(_item(stock, args["sku"]), prices, stock.currency),
        }

    def basket(self, buyer: Buyer, args: Document) -> Document:
        """Lines with contract prices, regrouped by VAT rate."""
        stock = self._shelf.stock
        prices = stock.prices(buyer.organisation)
        return {"list": prices.id, **_order(stock, prices, args["lines"])}

    # ------------------------------------------------------------------ step 5: the offer
    def offer(self, buyer: Buyer, args: Document, rid: str, asked: bytes) -> Document:
        """The signed offer for (buyer, trade): the stored one, or a new one on the list that stands."""
        with self._counter.alone(buyer.person, args["trade"]):
            with self._counter.store.reading() as connection:
                known = store.find(connection, buyer.person, args["trade"])
            if known is None:
                known = self._open(buyer, args, asked)
            else:
                follow(MERCHANT, known.state, "ask")
            if known.asked != asked:
                raise Refusal("trade-differs", "something else was asked for in this trade")
            return {"offer": b64u(self.made(known, "offer", rid, asked))}

    def _open(self, buyer: Buyer, args: Document, asked: bytes) -> Trade:
        """Intend an offer in a new trade; raises ``price-changed`` unless the list seen still stands."""
        counter, stock = self._counter, self._shelf.stock
        prices = stock.prices(buyer.organisation)
        if args["list"] != prices.id:
            raise Refusal(
                "price-changed", "the prices changed after you saw them; look again", list=prices.id
            )
        document = rules.make_offer(
            buyer=buyer,
            certificate=args["buyer"],
            trade=args["trade"],
            prices=prices,
            order=_order(stock, prices, args["lines"]),
            deliver_to=args["deliverTo"],
            seller=Seller(
                certificate=counter.sender, gateways=counter.party.gateways, deadlines=counter.deadlines
            ),
            salt=counter.random(32),
            at=counter.now(),
        )
        row = {
            "person": buyer.person,
            "trade": args["trade"],
            "organisation": buyer.organisation,
            "subject": buyer.subject,
            "asked": asked,
            "state": "offered",
            "confirm_by": document["confirmBy"],
            "pay_by": document["payBy"],
        }
        with counter.store.transaction() as connection:
            if store.open_offers(connection, buyer.person) >= MAX_OPEN_OFFERS:
                raise Refusal(
                    "too-many-offers", "too many offers wait for you; accept some or let them lapse"
                )
            key = store.insert(connection, row)
            counter.intend(connection, key, "offer", document)
            return store.get(connection, key)

    def made(self, trade: Trade, name: str, rid: str = "", asked: bytes = b"") -> bytes:
        """The act of this name: kept, or signed now from its intent; a confirmation gets its stamp too."""
        counter = self._counter
        with counter.store.reading() as connection:
            kept = store.act(connection, trade.id, name)
        if kept is not None:
            return kept.octets
        octets = counter.sign(trade.id, name)
        token = counter.stamped_by(read_act(octets), trade.confirm_by) if name == "confirm" else None
        with counter.store.transaction() as connection:
            act = counter.keep(connection, trade.id, name, octets)
            if token:
                store.keep_stamp(connection, trade.id, act.id, token)
            counter.event(
                connection, f"act.{name}", trade=trade.trade, act=act.id, organisation=trade.organisation
            )
            if rid:
                answer = wire.encode(self.shown(act, name, token))
                store.keep_result(connection, trade.person, rid, asked, answer, counter.now())
        return octets

    @staticmethod
    def shown(act: Act, name: str, token: bytes | None) -> Document:
        """An answer's members for one act and its stamp."""
        shown = {name: b64u(act.octets)}
        return {**shown, "stamp": b64u(token)} if token else shown

    # ------------------------------------------------------------------ steps 6 and 7
    def accept(self, buyer: Buyer, args: Document, rid: str, asked: bytes) -> Document:
        """Confirmation of a good acceptance in time, Void of a late one; a known # gets its stored answer."""
        counter = self._counter
        act = read_act(unb64u(args["act"]))
        with counter.alone(buyer.person, args["trade"]):
            trade = self.lapsed(self.known(buyer, args["trade"]))
            with counter.store.reading() as connection:
                offer = store.needed(connection, trade.id, "offer")
                known = store.act(connection, trade.id, "accept")
            follow(MERCHANT, trade.state, "acceptance")
            if known is not None and known.id != act.id:
                raise Refusal("already-accepted", "this offer was accepted by another act", accepted=known.id)
            if known is None:
                now = counter.now()
                rules.check_acceptance(act, offer, buyer, counter.party.name, counter.trust, now)
                self._intend_answer(trade, offer, act)
            name = self._answer_name(trade, offer, act)
            octets = self.made(trade, name, rid, asked)
            return self.shown(read_act(octets), name, self._token(trade, octets))

    def _answer_name(self, trade: Trade, offer: Act, act: Act) -> str:
        """Whether a kept acceptance has a confirmation or a void; intends the void that a lapse left open."""
        counter = self._counter
        with counter.store.reading() as connection:
            state = store.get(connection, trade.id).state
            confirmed = store.act(connection, trade.id, "confirm") is not None
            void = "void" in store.intents(connection, trade.id) or store.act(connection, trade.id, "void")
        if confirmed or state != "void":
            return "confirm"
        if not void:
            document = rules.make_void(counter.sender, offer, act, "late", counter.now())
            with counter.store.transaction() as connection:
                counter.intend(connection, trade.id, "void", document, ["accept"])
        return "void"

    def _intend_answer(self, trade: Trade, offer: Act, act: Act) -> None:
        """Keep the acceptance, follow the table, and intend what answers it: one commit."""
        counter, now = self._counter, self._counter.now()
        with counter.store.transaction() as connection:
            step = store.move(connection, trade.id, "acceptance")
            store.keep(connection, trade.id, "accept", act.octets)
            store.keep_crls(connection, trade.id, counter.trust.source.crls())
            if step.state == "confirmed":
                document = rules.make_confirmation(counter.sender, offer, act, now)
                counter.intend(connection, trade.id, "confirm", document, ["accept"])
                cid = act_id(document, [act.octets])
                store.change(connection, trade.id, cid=cid)

    def _token(self, trade: Trade, octets: bytes) -> bytes | None:
        with self._counter.store.reading() as connection:
            return store.stamp(connection, trade.id, read_act(octets).id)

    # ------------------------------------------------------------------ time
    def known(self, buyer: Buyer, trade: str) -> Trade:
        """The buyer's own trade; raises :class:`Refusal` ``no-such-trade``."""
        with self._counter.store.reading() as connection:
            found = store.find(connection, buyer.person, trade)
        if found is None or found.organisation != buyer.organisation:
            raise Refusal("no-such-trade", "you have no such trade here")
        return found

    def lapsed(self, trade: Trade) -> Trade:
        """The trade as it stands now: an offer or a contract whose deadline has passed is void."""
        now = self._counter.now()
        if trade.state == "offered" and passed_for_owner(parse_instant(trade.confirm_by), now):
            return self._void(trade, "confirm-by")
        if trade.state == "confirmed" and passed_for_counterpart(parse_instant(trade.pay_by), now):
            with self._counter.store.reading() as connection:
                under_way = "preq" in store.intents(connection, trade.id)
            if not under_way:  # a payment order that was taken in time is asked about first
                return self._void(trade, "pay-by")
        return trade

    def _void(self, trade: Trade, event: str) -> Trade:
        counter = self._counter
        with counter.store.transaction() as connection:
            store.move(connection, trade.id, event)
            store.fulfil(connection, trade.id, "confirm")  # a confirmation that never left never will
            counter.event(connection, "trade.void", trade=trade.trade, because=event)
            return store.get(connection, trade.id)

    def stamp_confirmation(self, key: int) -> bool:
        """Get the time stamp that was not to be had at once; whether it is there now."""
        counter = self._counter
        with counter.store.reading() as connection:
            confirmation = store.needed(connection, key, "confirm")
            confirm_by = store.get(connection, key).confirm_by
        token = counter.stamped_by(confirmation, confirm_by)
        if token is None:
            return False
        with counter.store.transaction() as connection:
            store.keep_stamp(connection, key, confirmation.id, token)
            store.keep_crls(connection, key, counter.trust.source.crls())
        return True


def _item(stock: Stock, sku: str) -> Item:
    found = stock.index.item(sku)
    if found is None:
        raise Refusal("no-such-item", "the catalogue has no such item", sku=sku)
    return found


def _order(stock: Stock, prices: PriceList, lines: list[dict[str, str]]) -> dict[str, Any]:
    skus = [line["sku"] for line in lines]
    if len(set(skus)) != len(skus):
        raise Refusal("sku-twice", "an order has one line for an item")
    return rules.priced([(_item(stock, line["sku"]), line["qty"]) for line in lines], prices, stock.currency)


def _row(item: Item, prices: PriceList, currency: str) -> Document:
    return {
        "sku": item.sku,
        "text": item.text,
        "class": item.kind,
        "per": item.unit,
        "unit": unit_price(item, prices.rules, currency),
        "vatRate": item.vat_rate,
        "listPrice": unit_price(item, (), currency),
    }
