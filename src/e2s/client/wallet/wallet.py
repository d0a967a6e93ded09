"""A wallet drives each trade to an end that both sides share, whatever is lost and whenever it is killed.

:meth:`Wallet.poll` needs no pass phrase: it repeats what was sent, takes what came, and lets deadlines
pass.  :meth:`Wallet.advance` adds the signatures that the owner gave her pass phrase for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from threading import RLock
from typing import Any

from e2s.base.errors import Refusal
from e2s.base.wire import b64u
from e2s.client.wallet import rules, store
from e2s.client.wallet.desk import Desk, Line, Shop
from e2s.client.wallet.paying import Paying
from e2s.client.wallet.receiving import Receiving
from e2s.client.wallet.shopping import Basket, Review, Shopping
from e2s.crypto.acts import read_act
from e2s.security.keys.phrase import Phrase

#: More steps than any trade takes: a bound against a peer that leads in circles.
_MOST_STEPS = 24
Lock = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to buy and on which conditions it may go through without another look."""

    shop: str
    lines: Sequence[tuple[str, str]]
    deliver_to: str
    cost_centre: str
    at_most: str = ""


class Wallet:
    """One buyer's wallet; ``connect`` opens a session with a shop when one is needed."""

    def __init__(self, desk: Desk, connect: Callable[[Shop], Line], *, lock: Lock | None = None) -> None:
        """Nothing is asked of anybody until an act needs it; ``lock`` keeps other processes out."""
        self.desk = desk
        self.shopping = Shopping(desk)
        self.paying = Paying(desk)
        self.receiving = Receiving(desk, self.paying)
        self._connect = connect
        self._lines: dict[str, Line] = {}
        threads = RLock()
        self._lock: Lock = lock or (lambda: threads)

    # ------------------------------------------------------------------ the shop
    def line(self, shop: str) -> Line:
        """The session with a shop, opened on first use and kept."""
        with self._lock():
            found = self.desk.shop(shop)
            if found.name not in self._lines:
                self._lines[found.name] = self._connect(found)
            return self._lines[found.name]

    def login(self, shop: str) -> datetime:
        """Log in now; until when the session may last."""
        with self._lock():
            return self.line(shop).login()

    def search(
        self, shop: str, words: str, *, kind: str = "", offset: int = 0, limit: int = 20
    ) -> dict[str, Any]:
        """Rows of the private catalogue with this organisation's prices, and where the next page begins."""
        args: dict[str, Any] = {"q": words, "offset": offset, "limit": limit}
        if kind:
            args["class"] = kind
        with self._lock():
            return self.shopping.search(self.line(shop), args)

    def item(self, shop: str, sku: str) -> dict[str, Any]:
        """One item with this organisation's price."""
        with self._lock():
            return self.shopping.item(self.line(shop), sku)

    def basket(self, shop: str, lines: Sequence[tuple[str, str]]) -> Basket:
        """Lines with contract prices, regrouped by VAT rate."""
        with self._lock():
            name = self.desk.shop(shop).name
            return self.shopping.basket(self.line(shop), name, lines)

    # ------------------------------------------------------------------ one trade
    def ask(self, basket: Basket, deliver_to: str, cost_centre: str, at_most: str = "") -> Review:
        """Open a trade for what was seen and get its offer."""
        with self._lock():
            trade = self.shopping.open(basket, deliver_to, cost_centre, at_most)
            return self.shopping.ask(self.line(basket.shop), trade)

    def review(self, trade: str) -> Review:
        """The offer as it will be signed."""
        return self.shopping.review(trade)

    def accept(self, trade: str, phrase: Phrase, *, offer: str = "") -> store.Trade:
        """Sign and send the acceptance of the offer shown; what is lost is repeated by :meth:`poll`."""
        with self._lock():
            self.shopping.accept(trade, phrase, offer=offer)
            self.shopping.send_acceptance(self._line_of(trade), trade)
            return self.trade(trade)

    def decline(self, trade: str) -> store.Trade:
        """Let an offer, or the contract of a declined payment, go."""
        with self._lock():
            self.shopping.decline(trade)
            return self._settle(trade)

    def pay(self, trade: str, phrase: Phrase) -> store.Trade:
        """Sign and send the payment order for a contract."""
        with self._lock():
            if self.trade(trade).state == "declined":
                self.paying.retry(trade)
            self.paying.pay(self._line_of(trade), trade, phrase)
            self.paying.send_order(self._line_of(trade), trade)
            return self._settle(trade)

    def receipt(
        self, trade: str, phrase: Phrase, *, missing: Sequence[int] = (), complaint: str = ""
    ) -> store.Trade:
        """Sign and send what was received."""
        with self._lock():
            self.receiving.receipt(trade, phrase, missing=missing, complaint=complaint)
            self.receiving.send_receipt(self._line_of(trade), trade)
            return self._settle(trade)

    def inquire(self, trade: str, phrase: Phrase) -> store.Trade:
        """Ask the issuer what became of a payment."""
        with self._lock():
            self.paying.inquire(trade, phrase)
            return self._settle(trade)

    def close_by(self, trade: str, statement: bytes) -> store.Trade:
        """Close a trade by the statement that its manager got."""
        with self._lock():
            self.receiving.close_by(trade, statement)
            self.receiving.seal_evidence(trade)
            return self.trade(trade)

    def charged(self, trade: str, statement: bytes) -> bool:
        """Whether a statement has an entry for this trade, whatever it says; nothing is checked yet."""
        entries = read_act(statement).document.get("entries")
        return isinstance(entries, list) and any(
            isinstance(entry, dict) and entry.get("trade") == trade for entry in entries
        )

    def trade(self, trade: str) -> store.Trade:
        """The trade as it stands."""
        with self.desk.database.reading() as connection:
            return store.trade_of(connection, trade)

    def trades(self) -> list[store.Trade]:
        """Every trade, newest first."""
        with self.desk.database.reading() as connection:
            return store.trades(connection)

    def unfinished(self) -> list[store.Trade]:
        """What is to be taken up after a crash, oldest first: also an end whose evidence was not written."""
        with self.desk.database.reading() as connection:
            return store.unfinished(connection)

    # ------------------------------------------------------------------ driving it to its end
    def poll(self, trade: str) -> store.Trade:
        """Let deadlines pass, repeat what may be lost, take what came; needs no pass phrase."""
        with self._lock():
            self._deadlines(trade)
            known = self.trade(trade)
            if known.state == "asked":
                self.shopping.ask(self._line_of(trade), trade)
            elif known.state in {"accepted", "paying", "inquiring", "paid"}:
                self._status(trade)
            elif known.state == "received" and not known.settled:
                with self.desk.database.reading() as connection:
                    signed = store.act_of(connection, trade, "receipt") is not None
                if signed:
                    self.receiving.send_receipt(self._line_of(trade), trade)
            return self._settle(trade)

    def _deadlines(self, trade: str) -> None:
        """Turn instants that have passed into the events of the table."""
        now = self.desk.now()
        with self.desk.database.reading() as connection:
            known = store.trade_of(connection, trade)
            offer = store.act_of(connection, trade, "offer")
            order = store.act_of(connection, trade, "pay")
        if offer is None:
            return
        contract, event, because = offer.document, "", ""
        if known.state == "offered" and rules.late(contract["confirmBy"], now, owner=True):
            event, because = "confirm-by", "not accepted in time"
        elif known.state in {"accepted", "contract", "declined"} and rules.late(contract["payBy"], now):
            event, because = "pay-by", "lapsed: not paid by its date"
        elif known.state == "paying" and order and rules.late(order.document["until"], now):
            event = "until"
        if event:
            with self.desk.database.transaction() as connection:
                store.move(connection, trade, event, now, because)

    def _status(self, trade: str) -> None:
        """What the shop has of this trade; what it seems not to have is sent again."""
        line = self._line_of(trade)
        answer = line.ask("status", {"trade": trade}, b64u(self.desk.random(16)))
        acts = answer.get("acts")
        if not isinstance(acts, dict):
            raise Refusal("bad-answer", "the shop's answer lacks a member", member="acts")
        self.shopping.take_confirmation(trade, acts)
        self.paying.take_pres(trade, {k: v for k, v in acts.items() if k in {"pres", "void"}})
        self.receiving.take_delivery(trade, acts)
        state = self.trade(trade).state
        if state == "accepted":
            self.shopping.send_acceptance(line, trade)
        elif state == "paying":
            self.paying.send_order(line, trade)

    def _settle(self, trade: str) -> store.Trade:
        """Seal the evidence of a trade that ended, once."""
        known = self.trade(trade)
        if known.ended and not known.bundle:
            self.receiving.seal_evidence(trade)
            known = self.trade(trade)
        return known

    def advance(self, trade: str, phrase: Phrase) -> store.Trade:
        """Everything that can be done now: polls, and gives the signatures that the owner wants given.

        A trade goes through unattended only if that was allowed when it was asked for, up to that total.
        """
        with self._lock():
            for _ in range(_MOST_STEPS):
                before = self.trade(trade)
                after = self._sign_next(self.poll(trade), phrase)
                if after == before:
                    return after
            return self.trade(trade)

    def _sign_next(self, known: store.Trade, phrase: Phrase) -> store.Trade:
        trade, allowed = known.trade, bool(known.wanted["atMost"])
        if known.state == "offered" and allowed:
            total = self.review(trade).document["total"]
            if Decimal(total) > Decimal(known.wanted["atMost"]):
                self.decline(trade)
                raise Refusal("over-allowance", "the offer's total is more than was allowed", total=total)
            return self.accept(trade, phrase)
        if known.state == "contract" and allowed:
            return self.pay(trade, phrase)
        if known.state == "declined" and allowed:
            return self.decline(trade)
        if known.state == "received" and not known.settled and allowed:
            return self.receipt(trade, phrase)
        overdue = known.state == "paid" and known.claim_until
        if known.state == "inquiring" or (overdue and rules.late(known.claim_until, self.desk.now())):
            return self.inquire(trade, phrase)
        return known

    def begin(self, wish: Wish) -> str:
        """Look up the basket and open a trade for it; :meth:`advance` does all the rest."""
        with self._lock():
            basket = self.basket(wish.shop, wish.lines)
            return self.shopping.open(basket, wish.deliver_to, wish.cost_centre, wish.at_most)

    def _line_of(self, trade: str) -> Line:
        return self.line(self.trade(trade).shop)

    def close(self) -> None:
        """End every session, forget the keys, and close the book."""
        with self._lock():
            for line in self._lines.values():
                line.close()
            self._lines.clear()
            self.desk.pse.close()
            self.desk.database.close()
