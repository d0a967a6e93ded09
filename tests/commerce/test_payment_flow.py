"""A payment from PInit to capture, a declined one, a reversed one: through the public doors."""

from __future__ import annotations

from e2s.base.wire import unb64u
from e2s.crypto.acts import read_act
from tests.worlds.market import Market
from tests.worlds.payer import Purchase


def test_paid_delivered_captured(market: Market):
    market.permit(market.alpha, market.anna)
    purchase = Purchase(market, market.anna)
    paid = purchase.pay()
    assert paid["state"] == "authorised"
    pres = read_act(unb64u(paid["pres"]))
    decision = pres.inner().inner()
    assert decision.certificate == market.issuer_signer.certificate
    assert decision.document["result"] == "approved"
    done = purchase.deliver()
    assert done["state"] == "captured"
    told = read_act(unb64u(done["capres"])).inner().document
    assert (told["result"], told["amount"]) == ("captured", purchase.sums["total"])
    assert purchase.inquire().document["state"] == "captured"
    statement = market.statement(market.alpha, 1).document
    assert [entry["cid"] for entry in statement["entries"]] == [purchase.cid]


def test_without_controls_nothing_is_bought(market: Market):
    purchase = Purchase(market, market.anna)
    paid = purchase.pay()
    assert paid["state"] == "declined"
    decision = read_act(unb64u(paid["pres"])).inner().inner()
    assert decision.document["reason"] == "no-controls"


def test_reversed_payment_is_cancelled_over_the_issuers_word(market: Market):
    market.permit(market.alpha, market.anna)
    purchase = Purchase(market, market.anna)
    purchase.pay()
    back = purchase.reverse()
    assert back["state"] == "reversed"
    cancel = read_act(unb64u(back["cancel"]))
    assert cancel.type == "e2s/1/cancel"
    assert cancel.inner().inner().document["result"] == "void"
    assert purchase.inquire().document["state"] == "void"
