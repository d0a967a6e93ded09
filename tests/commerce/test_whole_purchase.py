"""Whole purchases between real parties: whatever is lost or killed, all sides end alike, and can prove it."""

from __future__ import annotations

import pytest

from e2s.base import meter
from e2s.base.errors import Refusal, Unreachable
from e2s.base.instants import parse_instant
from e2s.commerce.bankcard.evidence import judge
from e2s.network.sessions.local import drop_answer, drop_request, nth, to
from tests.leaks.scan import Haystack, leaks
from tests.worlds.bazaar import WANTED, Bazaar, phrase

DONE = ("received", "captured", ["captured"])


class Killed(BaseException):
    """Every process is gone: nobody catches this."""


class Drill:
    """Kills everybody at the n-th commit of anybody, once."""

    def __init__(self):
        self.left = 0
        meter.watch(self.seen)

    def seen(self, what, _count):
        if what == "commit" and self.left > 0:
            self.left -= 1
            if self.left == 0:
                raise Killed


DRILL = Drill()


@pytest.fixture
def whole(tmp_path):
    return Bazaar(tmp_path)


class Buyer:
    """Anna at her wallet: she does the next thing, and again, until the goods are there and acknowledged."""

    def __init__(self, whole):
        self.whole = whole
        self.trade = ""

    def next(self):
        wallet = self.whole.wallet
        if not self.trade:
            basket = wallet.basket("volt", WANTED)
            self.trade = wallet.shopping.open(basket, "Dock 3", "4711")
        known = wallet.poll(self.trade)
        if known.state == "offered":
            wallet.accept(self.trade, phrase())
        elif known.state == "contract":
            wallet.pay(self.trade, phrase())
        elif known.state == "received":
            wallet.receipt(self.trade, phrase())

    def done(self):
        return bool(self.trade) and self.ends() == DONE and self.whole.wallet.trade(self.trade).settled

    def run(self, most=60):
        for _ in range(most):
            try:
                self.next()
                self.whole.tick()
            except Killed:
                self.whole.restart()
            except Unreachable:
                pass
            if self.done():
                return
        raise AssertionError(f"unfinished: {self.ends()}")

    def ends(self):
        whole = self.whole
        return (
            whole.wallet.trade(self.trade).state,
            whole.merchant_state(self.trade),
            whole.issuer_states(),
        )


def pay_for(whole):
    """Anna up to her payment; the trade."""
    buyer = Buyer(whole)
    while not buyer.trade or whole.wallet.trade(buyer.trade).state not in ("paying", "paid"):
        buyer.next()
    return buyer


def test_a_purchase_leaves_proof_on_both_sides(whole):
    buyer = Buyer(whole)
    buyer.run()
    whole.tick()
    merchants = (whole.shop.folder / "evidence" / f"{buyer.trade}.tar").read_bytes()
    (buyers,) = (path.read_bytes() for path in (whole.home / "evidence").iterdir())
    for bundle in (merchants, buyers):
        report = judge(bundle, whole.market.pki.anchors)
        assert report.holds, report.findings


def test_pan_in_merchant_home(whole):
    """After a purchase no file of the merchant's five components holds the card number, however wrapped."""
    Buyer(whole).run()
    card = whole.market.anna.card
    haystack = Haystack({card.pan.encode(): "card number"})
    assert leaks(whole.shop.folder, haystack) == []
    whole.market.close()  # closed, so that each database is one file
    for name in ("payment.db", "keys.db"):
        (whole.home / "merchant").mkdir(exist_ok=True)
        (whole.home / name).rename(whole.home / "merchant" / name)
    assert leaks(whole.home / "merchant", haystack) == []


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/session/record", 2),
        ("/session/record", 3),
        ("/session/record", 5),
        ("/session/record", 6),
        ("/session/record", 8),
        ("/sign", 4),
        ("/payment/authorise", 1),
        ("/payment/issue", 1),
        ("/payment/capture", 1),
        ("/pay", 1),
        ("/capture", 1),
    ],
)
@pytest.mark.parametrize("fault", [drop_request, drop_answer])
def test_one_lost_message_changes_nothing(whole, path, number, fault):
    """lost_confirmation, lost_pres, lost_capres and all the others: the sender's repeat finds it again."""
    whole.exchange.faults.append(fault(nth(number, to(path))))
    buyer = Buyer(whole)
    buyer.run()
    assert buyer.ends() == DONE


def test_kill_between_sign_and_send(tmp_path):
    """Everybody is killed after a commit of anybody, at every second in turn from the first to the last."""
    whole = Bazaar(tmp_path / "count")
    with meter.measured() as spent:
        Buyer(whole).run()
    for n in range(1, spent["commit"] + 1, 2):
        whole = Bazaar(tmp_path / str(n))
        DRILL.left = n
        try:
            buyer = Buyer(whole)
            buyer.run()
        finally:
            DRILL.left = 0
        assert buyer.ends() == DONE, n


def test_merchant_gone_after_authorisation(whole):
    """The merchant stops for ever before delivery: the buyer ends void, uncharged."""
    buyer = pay_for(whole)
    del whole.exchange.doors[whole.shop.origin]
    row = whole.merchant_row(buyer.trade)
    assert row is not None
    whole.clock.at = parse_instant(row.claim_until)
    whole.clock.forward(minutes=5)
    whole.market.issuer.tick()
    assert whole.issuer_states() == ["closed"]
    with pytest.raises((Refusal, Unreachable)):
        whole.wallet.poll(buyer.trade)
    assert whole.wallet.inquire(buyer.trade, phrase()).state == "void"


def test_buyer_gone_after_ds(whole):
    """She ordered payment and never came back: the goods leave and the money is taken."""
    buyer = pay_for(whole)
    for _ in range(5):
        whole.tick()
    assert buyer.ends()[1:] == DONE[1:]


def test_goods_that_cannot_be_delivered_charge_nobody(tmp_path):
    whole = Bazaar(tmp_path, deliverable=lambda _trade, _offer: False)
    buyer = pay_for(whole)
    for _ in range(5):
        whole.tick()
        whole.wallet.poll(buyer.trade)
    assert buyer.ends() == ("void", "void", ["void"])
