"""Every cell of the issuer's table: what is listed happens, what is not is refused with no effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from e2s.base.errors import Refusal
from e2s.commerce.bankcard import store
from e2s.commerce.payment.tables import ISSUER
from e2s.commerce.steps import events, states
from tests.worlds.market import Market
from tests.worlds.payer import Purchase


class Bench:
    """One payment brought into a state, and each event of the table made to happen to it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.made: Any = Purchase(market, market.anna).instruct()

    def state(self) -> str:
        with self.market.bank.store.reading() as connection:
            row = store.payment(connection, self.market.anna.id, self.made.ds.document["xid"])
        return row.state if row is not None else "none"

    def reach(self, state: str) -> None:
        market, made = self.market, self.made
        if state == "declined":
            made.ask_issuer()
        elif state != "none":
            market.permit(market.alpha, market.anna)
            made.ask_issuer()
            made.answer = made.authres()
            made.kept = made.delivery(made.pres(made.answer))
            made.token = market.stamp(made.kept)
            if state == "captured":
                made.capture(authres=made.answer, delivery=made.kept, token=made.token)
            elif state == "void":
                made.give_back(made.authrev(made.answer))
            elif state in {"expired", "closed"}:
                market.clock.forward(days=7 if state == "expired" else 37)
                market.issuer.tick()
        assert self.state() == state

    def happen(self, event: str) -> str:
        """Make it happen; what is answered, as the document's type without its prefix, and its result."""
        act = getattr(self, event.replace("-", "_"))()
        if act is None:
            return ""
        assert act.certificate == self.market.issuer_signer.certificate
        return act.type.removeprefix("e2s/1/")

    def authiss(self):
        if self.state() == "none":
            self.market.permit(self.market.alpha, self.market.anna)
        return self.made.ask_issuer(auth=getattr(self.made, "asked", None))

    def authiss_bad(self):
        return self.made.ask_issuer()

    def inquiry_early(self):
        return self.made.inquire()

    inquiry = inquiry_early

    def inquiry_late(self):
        self.market.clock.at = self.made.until
        return self.made.inquire()

    def reverse(self):
        return self.made.reversal()

    def capreq(self):
        self.ground()
        return self.made.capture(authres=self.made.answer, delivery=self.made.kept, token=self.made.token)

    def authrev(self):
        self.ground()
        return self.made.give_back(self.made.authrev(self.made.answer))

    def ground(self) -> None:
        """Acts that a merchant would need, from a decision that may not be one."""
        made = self.made
        if not hasattr(made, "answer"):
            if not hasattr(made, "decision"):
                other = Purchase(self.market, self.market.anna).instruct()
                made.decision, made.asked = other.ask_issuer(), made.auth()
            made.answer = made.authres(made.decision)
            made.kept = made.delivery(made.pres(made.answer))
            made.token = self.market.stamp(made.kept)

    def hold_until(self):
        self.market.clock.forward(days=7)
        self.market.issuer.tick()

    def claim_until(self):
        self.market.clock.forward(days=30)
        self.market.issuer.tick()


ANSWERS = {
    "decision": "decision",
    "answer": "inquiry-answer",
    "captured": "captured",
    "reversed": "reversed",
    "": "",
}
#: Time alone never fails: where it brings nothing about, nothing happens.
TIMES = {"hold-until", "claim-until"}
#: In these the table tells apart what the same message does by content or time.
KINDS: dict[str, Callable[[str], bool]] = {
    "authiss-bad": lambda state: state == "none",
    "inquiry-early": lambda state: state == "none",
    "inquiry-late": lambda state: state == "none",
    "inquiry": lambda state: state != "none",
}


@pytest.mark.parametrize("event", sorted(events(ISSUER)))
@pytest.mark.parametrize("state", sorted(states(ISSUER)))
def test_cell(market: Market, state: str, event: str):
    if not KINDS.get(event, lambda _: True)(state):
        assert (state, event) not in ISSUER
        return
    bench = Bench(market)
    bench.reach(state)
    step = ISSUER.get((state, event))
    if step is not None:
        assert bench.happen(event) == ANSWERS[step.send]
        assert bench.state() == step.state
        if step.stored and step.send != "answer":
            assert bench.happen(event) == ANSWERS[step.send]
    elif event in TIMES:
        bench.happen(event)
        later = {("held", "claim-until"): "expired"}
        assert bench.state() == later.get((state, event), state)
    else:
        with pytest.raises(Refusal):
            bench.happen(event)
        assert bench.state() == state


def test_a_repeat_gets_the_same_octets(market: Market):
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna).instruct()
    first = made.ask_issuer()
    assert made.ask_issuer(auth=made.asked).octets == first.octets
    answer = made.authres()
    kept = made.delivery(made.pres(answer))
    proof = {"authres": answer, "delivery": kept, "token": market.stamp(kept)}
    assert made.capture(**proof).octets == made.capture(**proof).octets
    other = Purchase(market, market.anna).instruct()
    other.ask_issuer()
    back = other.authrev()
    assert other.give_back(back).octets == other.give_back(back).octets
    assert other.reversal().octets == other.reversal().octets


def test_authiss_that_meets_a_void_gets_a_void_decision(market: Market):
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna).instruct()
    market.clock.at = made.until
    assert made.inquire().document["state"] == "void"
    assert made.ask_issuer().document["result"] == "void"


def test_after_a_reversal_the_approval_is_not_given_again(market: Market):
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna).instruct()
    assert made.ask_issuer().document["result"] == "approved"
    assert made.reversal().document["result"] == "void"
    assert made.ask_issuer(auth=made.asked).document["result"] == "void"


def test_expired_hold_pays_a_delivery_stamped_in_time_and_no_other(market: Market):
    market.permit(market.alpha, market.anna)
    for late, result in ((False, "captured"), (True, "")):
        made = Purchase(market, market.anna).instruct()
        made.ask_issuer()
        answer = made.authres()
        if late:
            market.clock.forward(days=7)
        kept = made.delivery(made.pres(answer))
        token = market.stamp(kept)
        market.clock.forward(days=8)
        if late:
            with pytest.raises(Refusal) as caught:
                made.capture(authres=answer, delivery=kept, token=token)
            assert caught.value.rule == "delivered-too-late"
        else:
            assert made.capture(authres=answer, delivery=kept, token=token).document["result"] == result


def test_money_closed_is_not_captured(market: Market):
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna).instruct()
    made.ask_issuer()
    answer = made.authres()
    kept = made.delivery(made.pres(answer))
    token = market.stamp(kept)
    market.clock.at += timedelta(days=37)
    assert made.capture(authres=answer, delivery=kept, token=token).document["result"] == "closed"
