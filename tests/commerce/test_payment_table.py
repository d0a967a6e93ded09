"""Every cell of the merchant's payment table; nothing unsigned moves it, and what waits is asked again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2s.base.errors import Refusal
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.payment import store
from e2s.commerce.payment.tables import PAYMENT
from e2s.commerce.steps import events, states
from e2s.crypto.acts import read_act
from tests.worlds.market import GATEWAY, ISSUER, Market, refused
from tests.worlds.payer import Purchase


class Bench:
    """One payment brought into a state, and each event made to happen to it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.made = Purchase(market, market.anna)
        self.made.pinit()
        self.made.instruct()

    def state(self) -> str:
        with self.market.till.store.reading() as connection:
            row = store.payment(connection, b64u(self.made.xid))
        return row.state if row is not None else "none"

    def cut(self) -> None:
        self.market.exchange.doors.pop(GATEWAY, None)

    def restore(self) -> None:
        self.market.exchange.doors[GATEWAY] = self.market.gateway.handle

    def reach(self, state: str) -> None:
        market = self.market
        if state not in {"none", "declined", "refused"}:
            market.permit(market.alpha, market.anna)
        if state == "refused":
            self.spoil()
        if state == "asking":
            self.cut()
        if state != "none":
            self.made.pay()
        if state in {"capturing", "captured", "unpaid"}:
            if state != "captured":
                self.cut()
            self.made.deliver()
        if state in {"reversing", "reversed"}:
            if state == "reversing":
                self.cut()
            self.made.reverse()
        if state == "unpaid":
            market.clock.forward(days=38)
            market.payment.tick()
        assert self.state() == state

    def spoil(self) -> None:
        """The instruction opens, but is not what the dual signature says."""
        self.made.pi = {**self.made.pi, "amount": "1.00"}

    def tick(self) -> None:
        self.restore()
        self.market.clock.forward(minutes=2)
        self.market.payment.tick()

    def happen(self, event: str) -> Document | None:
        return getattr(self, event.replace("-", "_"))()

    def preq(self) -> Document:
        return self.made.pay()

    def approved(self) -> None:
        if self.state() == "asking":
            self.market.permit(self.market.alpha, self.market.anna)
        self.tick()

    def declined(self) -> None:
        if self.state() == "asking":
            self.market.permit(self.market.alpha, self.market.anna, per_purchase="0.01")
        self.tick()

    def voided(self) -> None:
        market = self.market
        if self.state() == "asking":
            market.clock.at = self.made.until
            assert self.made.inquire().document["state"] == "void"
            market.exchange.faults.append(self._earlier)
        self.tick()

    def _earlier(self, origin, request, deliver):
        """The gateway's clock is behind, so it still forwards; the bank's is not."""
        market, now = self.market, self.market.clock.at
        if origin != GATEWAY:
            return deliver(request)
        market.clock.at = self.made.began
        try:
            return deliver(request)
        finally:
            market.clock.at = now

    def refused(self) -> None:
        if self.state() == "asking":
            with self.market.till.store.transaction() as connection:
                pi = self.market.sealed(self.market.gateway_opener, b"{}", "1.2.3")
                store.advance(connection, b64u(self.made.xid), "asking", {"pi": pi})
        self.tick()

    time_out = captured = reversed = tick

    def not_captured(self) -> None:
        self.market.clock.forward(days=38)
        self.tick()

    def deliver(self) -> Document:
        self.market.clock.forward(minutes=1)
        state = self.made.state()
        act = self.made.delivery(unb64u(state["pres"]) if "pres" in state else self.made.auth())
        self.cut()
        try:
            said = self.market.till_says(
                "/capture", xid=b64u(self.made.xid), delivery=b64u(act), token=b64u(self.market.stamp(act))
            )
        finally:
            self.restore()
        return said

    def reverse(self) -> Document:
        self.cut()
        try:
            return self.made.reverse()
        finally:
            self.restore()


#: What an answer of the gateway or time brings about, in words of the other party's state, is tested by
#: making it happen: where the table lists no such pair, the payment stays where it is.
BY_TIME = {"approved", "declined", "voided", "refused", "time-out", "captured", "reversed", "not-captured"}
#: One tick both asks and hears, so a waiting state ends in what was heard.
HEARD = {"asking": "authorised", "capturing": "captured", "reversing": "reversed"}


@pytest.mark.parametrize("event", sorted(events(PAYMENT)))
@pytest.mark.parametrize("state", sorted(states(PAYMENT)))
def test_cell(market: Market, state: str, event: str):
    bench = Bench(market)
    bench.reach(state)
    step = PAYMENT.get((state, event))
    if step is None and event in BY_TIME:
        if state not in HEARD:
            bench.happen(event)
            assert bench.state() == state
    elif step is None:
        _nothing(bench, state, lambda: bench.happen(event))
    else:
        before = market.till_says("/state", cid=bench.made.cid)
        if event == "preq" and state in {"none", "asking"}:
            bench.cut()
        said = bench.happen(event)
        expected = HEARD[step.state] if event == "time-out" else step.state
        assert bench.state() == expected
        if said is not None:
            assert said["state"] == expected
        if step.stored:
            assert said == before
        if step.send == "pres" and expected != "refused":
            assert read_act(unb64u(bench.made.state()["pres"])).type == "e2s/1/pres"
        if step.send == "pending":
            assert "pres" not in bench.made.state()


def _nothing(bench: Bench, state: str, act: Callable[[], object]) -> None:
    """Refused, or (a reversal asked for again) answered as before: the state stays."""
    if state in {"reversing", "reversed"}:
        try:
            act()
        except Refusal as refusal:
            assert refusal.rule in {"out-of-order", "other-delivery"}
    else:
        refused("unknown-payment" if state == "none" else "out-of-order", act)
    assert bench.state() == state


def test_pinit_is_answered_once_for_contract_and_nonce(market: Market):
    made = Purchase(market, market.anna)
    asked = {
        "trade": made.trade,
        "cid": made.cid,
        "nC": b64u(bytes(32)),
        "brand": "Market Card",
        "issuer": market.bank.name,
        "buyer": market.anna.person,
        "total": "10.00",
        "currency": "EUR",
        "payBy": made.contract["payBy"],
    }
    assert market.till_says("/pinit", **asked) == market.till_says("/pinit", **asked)
    refused(
        "unknown-issuer", market.till_says, "/pinit", **{**asked, "nC": b64u(b"x" * 32), "issuer": "nobank"}
    )
    refused("bad-document", market.till_says, "/pinit", **{**asked, "total": "10.0"})
    refused("bad-document", market.till_says, "/pinit", **asked, colour="red")


def test_second_payment_of_a_contract_only_after_the_first_ended(market: Market):
    market.permit(market.alpha, market.anna, per_purchase="1.00")
    first = Purchase(market, market.anna)
    assert first.pay()["state"] == "declined"
    market.permit(market.alpha, market.anna)
    second = Purchase(market, market.anna, cid=first.cid, trade=first.trade)
    assert second.pay()["state"] == "authorised"
    third = Purchase(market, market.anna, cid=first.cid, trade=first.trade)
    refused("already-paying", third.pay)
    assert first.state()["xid"] == b64u(second.xid)


def test_unsigned_refusal_by_a_peer_moves_nothing(market: Market):
    bench = Bench(market)
    market.permit(market.alpha, market.anna)
    market.exchange.doors[ISSUER] = lambda _request: (_ for _ in ()).throw(Refusal("closed", "we are closed"))
    assert bench.made.pay()["state"] == "asking"
    market.exchange.doors[ISSUER] = market.issuer.handle
    bench.tick()
    assert bench.state() == "authorised"


def test_only_purchasing_speaks_to_payment(market: Market):
    door = market.payment.doors["/state"]
    refused("wrong-component", door, "volt-outside", b"{}")
    refused("not-canonical", door, "volt-purchasing", b"{ }")
