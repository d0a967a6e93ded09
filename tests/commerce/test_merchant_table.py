"""Every cell of the merchant's table: a pair listed leads where it says, any other is out of order, without effect."""

from __future__ import annotations

import itertools

import pytest

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.base.wire import b64u, unb64u
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.tables import MERCHANT
from e2s.commerce.steps import events, follow, states
from e2s.crypto.acts import read_act
from tests.worlds.shop import ShopWorld

PAIRS = sorted(itertools.product(states(MERCHANT), events(MERCHANT)))
#: What a buyer may send, as an event of the table.
SENT = ("ask", "acceptance", "pinit", "preq", "receipt")


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_cell_by_rule(state, event):
    if (state, event) in MERCHANT:
        step = follow(MERCHANT, state, event)
        assert step.state in states(MERCHANT)
        assert step.state == state or not step.stored
    else:
        with pytest.raises(Refusal, match="out-of-order"):
            follow(MERCHANT, state, event)


class Driven:
    """A shop with one trade brought to each state by what really leads there."""

    def __init__(self, folder):
        self.shop = ShopWorld(folder)
        self.shop.load()
        self.anna = self.shop.person()
        self.trade = ""

    def bring(self, state):
        shop, anna = self.shop, self.anna
        self.offer = shop.offer(anna)
        self.trade = str(read_act(self.offer).document["trade"])
        self.acceptance = shop.acceptance(anna, self.offer)
        self.cid = "sha-256:" + "A" * 43
        if state == "offered":
            return
        if state == "void":
            shop.confirm_by(self.offer)
            shop.purchasing.tick()
            return
        self.send("acceptance")
        if state == "confirmed":
            return
        shop.payment.says = "asking" if state == "asking" else "authorised"
        self.parcel = shop.parcel(self.trade, self.cid)
        self.send("preq")
        if state in ("asking", "authorised"):
            return
        if state == "reversing":
            shop.purchasing.settling._deliverable = lambda _trade, _offer: False
        shop.payment.says = {"captured": "captured", "unpaid": "unpaid"}.get(state, "authorised")
        shop.ask(anna, "status", trade=self.trade)

    def send(self, event):
        shop, anna, trade = self.shop, self.anna, self.trade
        if event == "ask":
            return shop.offer(anna, trade)
        if event == "acceptance":
            answer = shop.ask(anna, "accept", trade=trade, act=b64u(self.acceptance))
            if "confirm" in answer:
                self.cid = read_act(unb64u(answer["confirm"])).id
            return answer
        if event == "pinit":
            card = {"nC": b64u(b"n" * 32), "brand": "E2S", "issuer": "urn:e2s:market:bank"}
            return shop.ask(anna, "pinit", trade=trade, cid=self.cid, **card)
        if event == "preq":
            parcel = getattr(self, "parcel", None) or shop.parcel(trade, self.cid)
            return shop.ask(anna, "pay", trade=trade, parcel=b64u(parcel))
        acts = shop.ask(anna, "status", trade=trade)["acts"] if self.released() else {}
        delivery = unb64u(acts["delivery"]) if "delivery" in acts else self.offer
        cid = {"cid": self.cid} if "delivery" not in acts else {}
        act = shop.receipt(anna, delivery, **cid) if cid == {} else self.acceptance
        return shop.ask(anna, "receipt", trade=trade, act=b64u(act))

    def released(self):
        return self.state() in ("delivered", "captured", "unpaid")

    def state(self):
        return self.shop.state(self.anna, self.trade)

    def kept(self):
        """Everything that the store holds of the trade."""
        with self.shop.purchasing.counter.store.reading() as connection:
            row = self.shop.row(self.anna, self.trade)
            return row, store.acts(connection, row.id), store.intents(connection, row.id)


@pytest.mark.parametrize("state", sorted(states(MERCHANT)))
@pytest.mark.parametrize("event", SENT)
def test_cell_by_what_a_buyer_sends(tmp_path, state, event):
    driven = Driven(tmp_path)
    driven.bring(state)
    assert driven.state() == state
    before = driven.kept()
    step = MERCHANT.get((state, event))
    if step is None:
        with pytest.raises(Refusal, match="out-of-order"):
            driven.send(event)
        assert driven.kept() == before
        return
    first = driven.send(event)
    expected = "authorised" if (state, event) == ("confirmed", "preq") else step.state
    if (state, event) == ("asking", "preq"):
        assert first == {"pending": True}
    assert driven.state() == expected
    if step.stored and event in ("ask", "acceptance", "preq"):
        assert driven.send(event) == first
        assert driven.kept() == before


def test_cell_by_time(tmp_path):
    """confirm-by, pay-by, margin and claim-until move exactly the states that list them."""
    driven = Driven(tmp_path)
    for state, column, after in (
        ("offered", "confirm_by", "void"),
        ("confirmed", "pay_by", "void"),
        ("asking", "pay_by", "asking"),
        ("delivered", "claim_until", "unpaid"),
    ):
        driven.shop.restart()
        driven.bring(state)
        row, _, _ = driven.kept()
        driven.shop.clock.at = parse_instant(getattr(row, column))
        driven.shop.clock.forward(seconds=0 if state == "offered" else 239)
        driven.shop.purchasing.tick()
        assert driven.state() == ("void" if state == "offered" else state)
        driven.shop.clock.forward(minutes=3)
        driven.shop.purchasing.tick()
        assert driven.state() == after


def test_a_late_approval_of_a_void_trade_sets_out_to_give_the_money_back(tmp_path):
    """The gateway's word ends *asking* alone; should it find the trade void, the hold is reversed."""
    driven = Driven(tmp_path)
    driven.bring("void")
    settling = driven.shop.purchasing.settling
    row = driven.shop.row(driven.anna, driven.trade)
    hold = "2027-01-01T00:00:00Z"
    state = {"state": "authorised", "xid": b64u(b"x" * 20), "issuer": "urn:e2s:market:bank"}
    settling._follow(row, {**state, "holdUntil": hold, "claimUntil": hold})
    assert driven.state() == "reversing"
