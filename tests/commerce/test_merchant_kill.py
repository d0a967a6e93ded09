"""A kill of purchasing after any of its commits, or a lost answer of any component, changes no outcome."""

from __future__ import annotations

import pytest

from e2s.base import meter
from e2s.base.errors import Unreachable
from e2s.base.wire import b64u, unb64u
from e2s.crypto.acts import read_act
from e2s.network.sessions.local import drop_answer, drop_request, nth, to
from tests.worlds.shop import ShopWorld


class Killed(BaseException):
    """The process is gone: nobody catches this."""


class Drill:
    """Kills at the n-th commit of whoever commits, once."""

    def __init__(self):
        self.left = 0
        meter.watch(self.seen)

    def seen(self, what, _count):
        if what == "commit" and self.left > 0:
            self.left -= 1
            if self.left == 0:
                raise Killed


DRILL = Drill()


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    DRILL.left = 0


@pytest.fixture
def shop(tmp_path):
    world = ShopWorld(tmp_path)
    world.load()
    return world


class Purchase:
    """What a wallet does: repeat each request, same act, until it is answered."""

    def __init__(self, shop):
        self.shop = shop
        self.anna = shop.person()
        self.trade = b64u(b"k" * 16)
        self.list = shop.list(self.anna)
        self.seen = {}

    def repeat(self, make):
        for _ in range(40):
            try:
                return make()
            except Killed:
                self.shop.restart()
            except Unreachable:
                pass
            self.shop.clock.forward(seconds=1)
        raise AssertionError("never answered")

    def note(self, name, octets):
        """Whatever is released under one name is one act."""
        act = read_act(octets)
        assert self.seen.setdefault(name, act.id) == act.id
        return octets

    def run(self):
        shop, anna = self.shop, self.anna
        offer = self.repeat(lambda: shop.offer(anna, self.trade, rid="o"))
        self.note("offer", offer)
        act = shop.acceptance(anna, offer)
        answer = self.repeat(lambda: shop.ask(anna, "accept", rid="a", trade=self.trade, act=b64u(act)))
        confirmation = self.note("confirm", unb64u(answer["confirm"]))
        parcel = shop.parcel(self.trade, read_act(confirmation).id)
        self.repeat(lambda: self.paid(confirmation, parcel))
        shop.payment.says = "captured"
        status = self.repeat(self.status)
        receipt = shop.receipt(anna, unb64u(status["acts"]["delivery"]))
        self.repeat(lambda: shop.ask(anna, "receipt", rid="r", trade=self.trade, act=b64u(receipt)))
        return status

    def paid(self, confirmation, parcel):
        answer = self.shop.pay(self.anna, self.trade, confirmation, parcel)
        if "pending" in answer:
            raise Unreachable("pending", "asked again")
        self.note("pres", unb64u(answer["pres"]))

    def status(self):
        status = self.shop.ask(self.anna, "status", trade=self.trade)
        for name in ("offer", "confirm", "pres", "delivery"):
            if name in status["acts"]:
                self.note(name, unb64u(status["acts"][name]))
        if status["state"] != "captured":
            raise Unreachable("pending", "asked again")
        return status


def commits(tmp_path):
    shop = ShopWorld(tmp_path / "count")
    shop.load()
    purchase = Purchase(shop)
    with meter.measured() as spent:
        purchase.run()
    return spent["commit"]


def test_kill_between_sign_and_send(tmp_path):
    """After each commit of a purchase in turn: the same acts, one of each, and the money taken once."""
    count = commits(tmp_path)
    assert count >= 15
    for n in range(1, count + 1):
        shop = ShopWorld(tmp_path / str(n))
        shop.load()
        purchase = Purchase(shop)
        DRILL.left = n
        status = purchase.run()
        assert DRILL.left == 0
        assert status["state"] == "captured"
        assert {"offer", "confirm", "pres", "delivery"} <= purchase.seen.keys()
        assert len(shop.payment.rows) == 1


@pytest.mark.parametrize("path", ["/sign", "/", "/pay", "/capture"])
@pytest.mark.parametrize("fault", [drop_request, drop_answer])
def test_lost_messages_between_components(shop, path, fault):
    purchase = Purchase(shop)
    for n in (1, 2, 3):
        shop.exchange.faults.append(fault(nth(n, to(path))))
    assert purchase.run()["state"] == "captured"
    assert len(shop.payment.rows) == 1


def test_lost_confirmation(shop):
    """The buyer who never saw her confirmation finds it again, by repeating or by status."""
    anna = shop.person()
    offer = shop.offer(anna)
    trade = read_act(offer).document["trade"]
    act = b64u(shop.acceptance(anna, offer))
    first = shop.ask(anna, "accept", trade=trade, act=act)
    shop.restart()
    assert shop.ask(anna, "accept", trade=trade, act=act) == first
    assert shop.ask(anna, "status", trade=trade)["acts"]["confirm"] == first["confirm"]


def test_time_finishes_what_a_kill_left_when_the_buyer_is_gone(shop):
    """buyer_gone_after_ds, the merchant's half: her order to pay was taken, so it is carried through."""
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    DRILL.left = 1  # the intent to ask for the money is durable, nothing was sent
    with pytest.raises(Killed):
        shop.pay(anna, trade, confirmation)
    assert shop.payment.asked == []
    shop.restart()
    shop.clock.forward(hours=2)  # past payBy: what was ordered in time is asked about before any lapse
    shop.purchasing.tick()
    shop.payment.says = "captured"
    shop.clock.forward(seconds=70)
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "captured"


def test_an_order_to_pay_that_came_to_nothing_lets_the_contract_lapse(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.payment.silent = True
    assert shop.pay(anna, trade, confirmation) == {"pending": True}
    shop.payment.silent, shop.payment.refuses = False, "ds-after-until"
    shop.clock.forward(hours=2)
    shop.purchasing.tick()
    shop.clock.forward(minutes=2)
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "void"
    assert "void" in shop.pay(anna, trade, confirmation)
