"""A merchant's side of a trade, through its own doors and in process: offer, contract, payment, delivery."""

from __future__ import annotations

from datetime import timedelta

import pytest

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA, parse_instant
from e2s.base.wire import b64u, unb64u
from e2s.commerce.bankcard.evidence import judge, read_bundle
from e2s.commerce.purchasing import store
from e2s.crypto.acts import read_act
from tests.worlds.shop import LINES, ShopWorld


@pytest.fixture
def shop(tmp_path):
    world = ShopWorld(tmp_path)
    world.load()
    return world


def test_a_whole_trade_through_the_outside(shop):
    anna = shop.person()
    visit = shop.visit(anna)
    found = visit.ask("search", {"q": "resist", "class": "Resistor"})
    assert [row["sku"] for row in found["rows"]] == ["R:10K", "R:4K7"]
    assert found["rows"][0]["unit"] == "0.0108"
    assert found["rows"][0]["listPrice"] == "0.012"
    basket = visit.ask("basket", {"lines": LINES})
    assert [(row["rate"], row["base"], row["tax"]) for row in basket["vat"]] == [
        ("0", "15.00", "0.00"),
        ("7", "30.00", "2.10"),
        ("19", "10.80", "2.05"),
    ]
    assert basket["total"] == "59.95"
    trade = b64u(b"t" * 16)
    args = {"trade": trade, "list": basket["list"], "lines": LINES, "deliverTo": "Dock 3"}
    offer = unb64u(visit.ask("offer", {**args, "buyer": anna.buyer.certificate.id})["offer"])
    answer = visit.ask("accept", {"trade": trade, "act": b64u(shop.acceptance(anna, offer))})
    confirm = read_act(unb64u(answer["confirm"]))
    assert confirm.inner().inner().octets == offer
    assert "stamp" in answer
    nonce = b64u(b"n" * 32)
    card = {"brand": "E2S", "issuer": "urn:e2s:market:bank"}
    terms = visit.ask("pinit", {"trade": trade, "cid": confirm.id, "nC": nonce, **card})
    assert read_act(unb64u(terms["pinit"])).document["cid"] == confirm.id
    paid = visit.ask("pay", {"trade": trade, "parcel": b64u(shop.parcel(trade, confirm.id))})
    assert read_act(unb64u(paid["pres"])).document["result"] == "approved"
    shop.payment.says = "captured"
    status = visit.ask("status", {"trade": trade})
    assert status["state"] == "captured"
    delivery = unb64u(status["acts"]["delivery"])
    assert status["acts"]["deliveryStamp"]
    assert read_act(delivery).inner(0).octets == unb64u(paid["pres"])
    receipt = shop.receipt(anna, delivery)
    assert visit.ask("receipt", {"trade": trade, "act": b64u(receipt)}) == {"stored": read_act(receipt).id}


def test_an_ended_trade_leaves_a_bundle_and_a_later_receipt_renews_it(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.pay(anna, trade, confirmation)
    shop.payment.says = "captured"
    status = shop.ask(anna, "status", trade=trade)
    shop.purchasing.tick()
    path = shop.folder / "evidence" / f"{trade}.tar"
    first = read_bundle(path.read_bytes())
    kinds = [name.split("-", 1)[1] for name, _ in first.of("act")]
    assert kinds == ["offer.cms", "accept.cms", "confirm.cms", "pay.cms", "pres.cms", "delivery.cms"]
    assert len(first.of("stamp")) == 2
    assert first.of("crl")
    receipt = shop.receipt(anna, unb64u(status["acts"]["delivery"]))
    shop.ask(anna, "receipt", trade=trade, act=b64u(receipt))
    shop.purchasing.tick()
    assert len(read_bundle(path.read_bytes()).of("act")) == 7


def test_the_same_question_gets_the_same_offer(shop):
    anna = shop.person()
    trade = b64u(b"t" * 16)
    assert shop.offer(anna, trade) == shop.offer(anna, trade)
    with pytest.raises(Refusal, match="trade-differs"):
        shop.offer(anna, trade, deliverTo="elsewhere")


def test_a_rid_names_one_request(shop):
    anna = shop.person()
    trade = b64u(b"t" * 16)
    first = shop.offer(anna, trade, rid="r1")
    assert shop.offer(anna, trade, rid="r1") == first
    with pytest.raises(Refusal, match="rid-reused"):
        shop.offer(anna, b64u(b"u" * 16), rid="r1")


def test_trades_belong_to_their_buyer(shop):
    anna, bob, carl = shop.person(), shop.person("bob"), shop.person("carl", "beta")
    trade, _ = shop.contract(anna)
    for other in (bob, carl):
        with pytest.raises(Refusal, match="no-such-trade"):
            shop.ask(other, "status", trade=trade)
        assert read_act(shop.offer(other, trade)).document["trade"] == trade  # no name is taken from others


def test_an_organisation_without_a_contract_sees_no_prices(shop):
    stranger = shop.person("eve", "gamma")
    with pytest.raises(Refusal, match="no-contract"):
        shop.ask(stranger, "search", q="")


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([{"sku": "NONE", "qty": "1"}], "no-such-item"),
        ([{"sku": "R:10K", "qty": "0"}], "bad-quantity"),
        ([{"sku": "R:10K", "qty": "1.5"}], "bad-quantity"),
        ([{"sku": "R:10K", "qty": "-1"}], "bad-document"),
        ([{"sku": "R:10K", "qty": "1"}, {"sku": "R:10K", "qty": "1"}], "sku-twice"),
        ([], "bad-document"),
    ],
)
def test_lines_that_cannot_be_ordered(shop, lines, rule):
    with pytest.raises(Refusal, match=rule):
        shop.ask(shop.person(), "basket", lines=lines)


def test_metres_may_be_parts(shop):
    basket = shop.ask(shop.person(), "basket", lines=[{"sku": "WIRE:RED", "qty": "2.50"}])
    assert basket["lines"][0]["qty"] == "2.5"
    assert basket["net"] == "0.88"


def test_an_offer_not_accepted_in_time_is_void(shop):
    anna = shop.person()
    offer = shop.offer(anna)
    trade = read_act(offer).document["trade"]
    shop.confirm_by(offer)
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "void"


def test_a_contract_not_paid_in_time_is_void_and_a_late_order_to_pay_is_told_so(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.clock.forward(hours=1, minutes=16)
    with pytest.raises(Refusal, match="late-payment"):
        shop.pay(anna, trade, confirmation)
    shop.clock.forward(minutes=4)
    void = read_act(unb64u(shop.pay(anna, trade, confirmation)["void"]))
    assert void.document["reason"] == "lapsed"
    assert shop.state(anna, trade) == "void"
    assert shop.payment.asked == []


def test_a_declined_payment_leaves_the_contract_open_for_another(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.payment.says = "declined"
    parcel = shop.parcel(trade, read_act(confirmation).id)
    first = shop.pay(anna, trade, confirmation, parcel)
    assert read_act(unb64u(first["pres"])).document["result"] == "declined"
    assert shop.state(anna, trade) == "confirmed"
    shop.payment.says = "authorised"
    assert shop.pay(anna, trade, confirmation, parcel) == first
    second = shop.pay(anna, trade, confirmation)
    assert read_act(unb64u(second["pres"])).document["result"] == "approved"


def test_goods_that_cannot_be_delivered_give_the_money_back(tmp_path):
    shop = ShopWorld(tmp_path, deliverable=lambda _trade, _offer: False)
    shop.load()
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.pay(anna, trade, confirmation)
    assert shop.ask(anna, "status", trade=trade)["state"] == "reversing"
    shop.payment.says = "reversed"
    status = shop.ask(anna, "status", trade=trade)
    assert status["state"] == "void"
    assert read_act(unb64u(status["acts"]["cancel"])).inner().octets == unb64u(status["acts"]["revres"])
    assert "delivery" not in status["acts"]


def test_tsa_down(shop):
    """A spare authority stamps; with none a contract stands unstamped, but no goods leave unstamped."""
    anna = shop.person()
    doors = shop.exchange.doors
    first, second = doors.pop("http://tsa1.test"), doors["http://tsa2.test"]
    assert "stamp" in shop.accept(anna, shop.offer(anna))
    del doors["http://tsa2.test"]
    offer = shop.offer(anna)
    answer = shop.accept(anna, offer)
    trade = read_act(offer).document["trade"]
    assert "stamp" not in answer
    shop.pay(anna, trade, unb64u(answer["confirm"]))
    shop.payment.says = "captured"
    status = shop.ask(anna, "status", trade=trade)
    assert status["state"] == "authorised"
    assert "delivery" not in status["acts"]
    doors |= {"http://tsa1.test": first, "http://tsa2.test": second}
    shop.clock.forward(minutes=2)
    shop.purchasing.tick()
    status = shop.ask(anna, "status", trade=trade)
    assert status["state"] == "captured"
    assert {"stamp", "deliveryStamp"} <= status["acts"].keys()


def test_no_stamp_is_taken_that_would_prove_a_confirmation_late(shop):
    """Unstamped, its time is claimed; a stamp after confirmBy + 2δ would take away what was claimed."""
    anna = shop.person()
    doors = shop.exchange.doors
    away = {name: doors.pop(name) for name in ("http://tsa1.test", "http://tsa2.test")}
    offer = shop.offer(anna)
    latest = parse_instant(read_act(offer).document["confirmBy"]) + 2 * DELTA
    assert "stamp" not in shop.accept(anna, offer)
    trade = read_act(offer).document["trade"]
    doors |= away
    shop.clock.at = latest + timedelta(seconds=1)
    shop.purchasing.tick()
    assert "stamp" not in shop.ask(anna, "status", trade=trade)["acts"]
    shop.clock.forward(hours=2)
    shop.purchasing.tick()
    bundle = (shop.folder / "evidence" / f"{trade}.tar").read_bytes()
    assert judge(bundle, shop.pki.anchors).holds


def test_what_was_signed_while_the_clock_was_ahead_is_stamped_once_its_time_has_come(shop):
    """A stamp before the act proves nothing; so none is kept, and nothing is delivered, until then."""
    anna = shop.person()
    doors = shop.exchange.doors
    away = {name: doors.pop(name) for name in ("http://tsa1.test", "http://tsa2.test")}
    shop.clock.forward(seconds=600)
    offer = shop.offer(anna)
    answer = shop.accept(anna, offer)
    trade = read_act(offer).document["trade"]
    shop.pay(anna, trade, unb64u(answer["confirm"]))
    shop.purchasing.tick()
    shop.clock.forward(seconds=-600)
    doors |= away
    shop.purchasing.tick()
    acts = shop.ask(anna, "status", trade=trade)["acts"]
    assert not {"stamp", "deliveryStamp"} & acts.keys()
    shop.payment.says = "captured"
    shop.clock.forward(seconds=600)
    shop.purchasing.tick()
    status = shop.ask(anna, "status", trade=trade)
    assert {"stamp", "deliveryStamp"} <= status["acts"].keys()
    shop.purchasing.tick()
    bundle = (shop.folder / "evidence" / f"{trade}.tar").read_bytes()
    assert not [f for f in judge(bundle, shop.pki.anchors).findings if f.check == 15]


def test_the_last_stamp_in_time_is_taken(shop):
    anna = shop.person()
    doors = shop.exchange.doors
    away = {name: doors.pop(name) for name in ("http://tsa1.test", "http://tsa2.test")}
    offer = shop.offer(anna)
    shop.accept(anna, offer)
    doors |= away
    shop.clock.at = parse_instant(read_act(offer).document["confirmBy"]) + 2 * DELTA
    shop.purchasing.tick()
    assert "stamp" in shop.ask(anna, "status", trade=read_act(offer).document["trade"])["acts"]


def test_hold_expires_while_delivering(shop):
    """Too near the hold's end nothing is delivered any more: the money goes back instead."""
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.pay(anna, trade, confirmation)
    hold = shop.row(anna, trade).hold_until
    shop.clock.at = parse_instant(hold) - shop.deadlines.margin
    shop.restart()
    shop.payment.says = "reversed"
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "void"
    assert "/capture" not in shop.payment.asked


def test_a_silent_gateway_leaves_the_payment_pending_and_time_repeats_it(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.payment.silent = True
    parcel = shop.parcel(trade, read_act(confirmation).id)
    assert shop.pay(anna, trade, confirmation, parcel) == {"pending": True}
    with pytest.raises(Refusal, match="payment-under-way"):
        shop.pay(anna, trade, confirmation)
    shop.payment.silent = False
    shop.payment.says = "asking"
    shop.clock.forward(seconds=5)
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "asking"
    shop.clock.forward(hours=2)  # only the gateway's signed word ends it, whatever the clock says
    shop.payment.says = "authorised"
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "delivered"


def test_a_contract_that_waits_to_be_paid_is_no_refusal(shop):
    """The audit log of a quiet shop says nothing every minute."""
    anna = shop.person()
    trade, _ = shop.contract(anna)
    with shop.purchasing.counter.store.reading() as connection:
        before = store.OUTBOX.waiting(connection, "audit")
    for _ in range(5):
        shop.clock.forward(minutes=2)
        shop.purchasing.tick()
    with shop.purchasing.counter.store.reading() as connection:
        assert store.OUTBOX.waiting(connection, "audit") == before
    assert shop.state(anna, trade) == "confirmed"


def test_a_clock_that_was_ahead_delays_nothing_once_it_is_right(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.payment.silent = True
    assert shop.pay(anna, trade, confirmation) == {"pending": True}
    shop.clock.forward(seconds=600)
    shop.purchasing.tick()
    shop.clock.forward(seconds=-600)
    shop.payment.silent = False
    shop.payment.says = "authorised"
    shop.purchasing.tick()
    assert shop.state(anna, trade) == "delivered"


def test_what_the_payment_component_refuses_leaves_no_trace(shop):
    anna = shop.person()
    trade, confirmation = shop.contract(anna)
    shop.payment.refuses = "other-amount"
    with pytest.raises(Refusal, match="other-amount"):
        shop.pay(anna, trade, confirmation)
    shop.payment.refuses = ""
    assert shop.state(anna, trade) == "confirmed"
    assert "pres" in shop.pay(anna, trade, confirmation)


def test_ds_for_other_contract(shop):
    anna = shop.person()
    trade, _ = shop.contract(anna)
    other, confirmation = shop.contract(anna)
    for wrong in (shop.parcel(trade, read_act(confirmation).id), shop.parcel(other, "sha-256:" + "A" * 43)):
        with pytest.raises(Refusal, match="ds-for-other-contract"):
            shop.ask(anna, "pay", trade=trade, parcel=b64u(wrong))
    assert shop.payment.asked == []


def test_a_receipt_is_of_this_delivery_by_this_buyer(shop):
    anna, bob = shop.person(), shop.person("bob")
    trade, confirmation = shop.contract(anna)
    shop.pay(anna, trade, confirmation)
    delivery = unb64u(shop.ask(anna, "status", trade=trade)["acts"]["delivery"])
    wrong = {
        "more-than-delivered": shop.receipt(anna, delivery, received=[{"n": 1, "qty": "1001"}]),
        "wrong-delivery": shop.receipt(anna, delivery, delivery="sha-256:" + "A" * 43),
        "other-buyer": shop.receipt(bob, delivery),
    }
    for rule, act in wrong.items():
        with pytest.raises(Refusal, match=rule):
            shop.ask(anna, "receipt", trade=trade, act=b64u(act))
    good = shop.receipt(anna, delivery)
    assert shop.ask(anna, "receipt", trade=trade, act=b64u(good)) == {"stored": read_act(good).id}
    assert shop.ask(anna, "receipt", trade=trade, act=b64u(good)) == {"stored": read_act(good).id}
    with pytest.raises(Refusal, match="already-received"):
        shop.ask(anna, "receipt", trade=trade, act=b64u(shop.receipt(anna, delivery, received=[])))
