"""In any order of events, repeats and passing time, the money adds up."""

from __future__ import annotations

import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from e2s.base.errors import Refusal
from e2s.base.instants import parse_instant
from e2s.commerce.bankcard import store
from tests.worlds.market import Market
from tests.worlds.payer import Purchase, one_line

PER_PURCHASE, PER_PERIOD, DAYS = Decimal("60.00"), Decimal("100.00"), 10


class Bank(RuleBasedStateMachine):
    """Everything that anybody may say to the bank about a handful of purchases, and time between."""

    @initialize()
    def found(self) -> None:
        self.home = Path(mkdtemp(prefix="e2s-money-"))
        self.market = Market(self.home)
        self.market.permit(
            self.market.alpha,
            self.market.anna,
            per_purchase=f"{PER_PURCHASE}",
            per_period=f"{PER_PERIOD}",
            days=DAYS,
        )
        self.purchases: list[Any] = []
        self.told: dict[bytes, set[str]] = {}

    def teardown(self) -> None:
        if hasattr(self, "market"):
            self.market.close()
            shutil.rmtree(self.home)

    def pick(self, data: int) -> Any:
        return self.purchases[data % len(self.purchases)]

    def say(self, act: Any, *args: Any, **named: Any) -> Any:
        """The bank's answer; a refusal has no effect, which the invariants see."""
        try:
            return act(*args, **named)
        except Refusal:
            return None

    @rule(price=st.sampled_from(["1", "20", "40", "60", "61"]))
    def order(self, price: str) -> None:
        if len(self.purchases) < 8:
            made: Any = Purchase(self.market, self.market.anna, lines=one_line(price)).instruct()
            made.first, made.proof = made.auth(), {}
            self.purchases.append(made)

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def order_again(self, which: int) -> None:
        """The same contract under another transaction."""
        if len(self.purchases) < 8:
            old = self.pick(which)
            made: Any = Purchase(self.market, self.market.anna, lines=old.lines, cid=old.cid).instruct()
            made.first, made.proof = made.auth(), {}
            self.purchases.append(made)

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def authorise(self, which: int) -> None:
        made = self.pick(which)
        decision = self.say(made.ask_issuer, auth=made.first)
        if decision is not None and decision.document["result"] == "approved" and not made.proof:
            authres = made.authres(decision)
            made.proof = {"authres": authres, "delivery": made.delivery(made.pres(authres))}

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def stamp(self, which: int) -> None:
        made = self.pick(which)
        if made.proof and "token" not in made.proof:
            made.proof["token"] = self.market.stamp(made.proof["delivery"])

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def capture(self, which: int) -> None:
        made = self.pick(which)
        if made.proof:
            answer = self.say(made.capture, **made.proof)
            if answer is not None:
                self.told.setdefault(made.xid, set()).add(answer.document["result"])

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def reverse(self, which: int) -> None:
        made = self.pick(which)
        if made.proof:
            self.say(made.give_back, made.authrev(made.proof["authres"]))

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def reverse_unanswered(self, which: int) -> None:
        self.say(self.pick(which).reversal)

    @precondition(lambda self: self.purchases)
    @rule(which=st.integers(0, 7))
    def inquire(self, which: int) -> None:
        self.say(self.pick(which).inquire)

    @rule(hours=st.sampled_from([1, 24, 24 * 6, 24 * 8, 24 * 31, -2, -48]))
    def wait(self, hours: int) -> None:
        """Time passes, or the bank's clock is set back."""
        self.market.clock.at = max(self.market.clock.at + timedelta(hours=hours), self.market.pki.at)
        self.market.issuer.tick()

    @rule()
    def restart(self) -> None:
        self.market.start_issuer()

    @invariant()
    def money_adds_up(self) -> None:
        if not hasattr(self, "market"):
            return
        with self.market.bank.store.reading() as connection:
            rows = list(connection.execute(store.PAYMENT.select()))
        live = [row for row in rows if row.state in {"held", "expired", "captured"}]
        assert all(Decimal(row.amount) <= PER_PURCHASE for row in live)
        assert len({row.cid for row in live}) == len(live)
        for row in live:
            end = parse_instant(row.decided)
            begin = end - timedelta(days=DAYS)
            spent = sum(Decimal(r.amount) for r in live if begin < parse_instant(r.decided) <= end)
            assert spent <= PER_PERIOD
        for row in rows:
            assert (row.entry is not None) == (row.state == "captured")
        captured = {row.xid for row in rows if row.state == "captured"}
        assert len(captured) == len([row for row in rows if row.capture_seq is not None])
        # who was told that it was captured once is told so for ever
        assert all(len(results) == 1 for results in self.told.values())


TestMoney = Bank.TestCase
TestMoney.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
