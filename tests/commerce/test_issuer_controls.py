"""Limits are exact in every currency, and only the organisation's own manager sets them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from e2s.commerce.bankcard.cards import block_card, card_number, check_digit
from e2s.commerce.bankcard.controls import Parameters, Wanted, fault
from e2s.crypto import oids
from e2s.crypto.acts import read_act
from tests.worlds.market import ISSUER, Market, refused
from tests.worlds.payer import Purchase, one_line


def decided(market: Market, unit: str, **named) -> str:
    """``approved``, or why not."""
    made = Purchase(market, market.anna, lines=one_line(unit), **named).instruct()
    document = made.ask_issuer().document
    return "approved" if document["result"] == "approved" else document["reason"]


@pytest.mark.parametrize(
    ("currency", "limit", "period", "under", "over", "rest"),
    [
        ("EUR", "100.00", "150.00", "100.00", "100.01", "50.01"),
        ("JPY", "100", "150", "100", "101", "51"),
        ("KWD", "100.000", "150.000", "100.000", "100.001", "50.001"),
    ],
)
def test_limits_to_the_last_decimal(tmp_path, currency, limit, period, under, over, rest):
    market = Market(tmp_path, currency=currency)
    market.permit(market.alpha, market.anna, per_purchase=limit, per_period=period)
    assert decided(market, over) == "over-purchase-limit"
    assert decided(market, under) == "approved"
    assert decided(market, rest) == "over-period-limit"
    places = Decimal(1).scaleb(-len(limit.partition(".")[2]))
    assert decided(market, f"{Decimal(rest) - places}") == "approved"
    assert decided(market, f"{places:f}") == "over-period-limit"
    market.close()


def test_period_slides_and_counts_what_is_held(market: Market):
    market.permit(market.alpha, market.anna, per_purchase="60.00", per_period="100.00", days=10)
    first = Purchase(market, market.anna, lines=one_line("60")).instruct()
    first.ask_issuer()
    assert decided(market, "60") == "over-period-limit"
    first.capture()
    market.clock.forward(days=9)
    assert decided(market, "60") == "over-period-limit"
    market.clock.forward(days=1)
    assert decided(market, "60") == "approved"
    # a hold counts beyond its period, and expired as long as it may be claimed
    market.clock.forward(days=11)
    assert decided(market, "60") == "over-period-limit"
    market.clock.forward(days=26)
    assert decided(market, "60") == "approved"


def test_reversed_money_is_free_again(market: Market):
    market.permit(market.alpha, market.anna, per_purchase="60.00", per_period="60.00")
    first = Purchase(market, market.anna, lines=one_line("60")).instruct()
    first.ask_issuer()
    first.give_back()
    assert decided(market, "60") == "approved"


def test_each_card_has_its_own_limits(market: Market):
    berta = market.card_holder("alpha", "berta")
    market.permit(market.alpha, market.anna, berta, per_period="50.00")
    assert decided(market, "50") == "approved"
    assert decided(market, "1") == "over-period-limit"
    other = Purchase(market, berta, lines=one_line("50")).instruct()
    assert other.ask_issuer().document["result"] == "approved"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"classes": ()}, "class-not-permitted"),
        ({"classes": ("book",)}, "class-not-permitted"),
        ({"merchants": ()}, "merchant-not-permitted"),
        ({"merchants": ("urn:e2s:market:watt",)}, "merchant-not-permitted"),
        ({"merchants": ("urn:e2s:market:volt",), "classes": ("resistor",)}, "approved"),
        ({"per_purchase": "0.00"}, "over-purchase-limit"),
        ({"per_period": "0.00"}, "over-period-limit"),
    ],
)
def test_empty_permits_nothing(market: Market, limits, reason):
    market.permit(market.alpha, market.anna, **limits)
    assert decided(market, "10") == reason


def test_a_card_not_named_buys_nothing(market: Market):
    berta = market.card_holder("alpha", "berta")
    market.permit(market.alpha, berta)
    assert decided(market, "10") == "no-controls"
    market.permit(market.alpha)
    other = Purchase(market, berta).instruct()
    assert other.ask_issuer().document["reason"] == "no-controls"


def test_other_currency_is_declined(market: Market):
    market.permit(market.alpha, market.anna)
    market.currency = "USD"
    assert decided(market, "10") == "other-currency"


def test_blocked_or_expired_card(market: Market):
    market.permit(market.alpha, market.anna)
    old = market.card_holder("alpha", "otto", expiry="2026-02")
    market.permit(market.alpha, market.anna, old)
    assert Purchase(market, old).instruct().ask_issuer().document["reason"] == "card-expired"
    held = Purchase(market, market.anna).instruct()
    held.ask_issuer()
    block_card(market.bank, market.anna.id)
    assert decided(market, "10") == "card-blocked"
    assert held.capture().document["result"] == "captured"


# ------------------------------------------------------------------ who sets them


def test_numbers_rise(market: Market):
    first = market.controls(market.alpha, market.anna)
    answer = market.order(first)
    assert read_act(answer).document["controls"] == read_act(first).id
    assert market.order(first) == answer
    refused("controls-not-rising", market.permit, market.alpha, market.anna, n=1, per_purchase="1.00")
    third = market.controls(market.alpha, market.anna, n=3, per_purchase="9.00")
    market.order(third)
    refused("controls-not-rising", market.order, first)
    refused("controls-not-rising", market.permit, market.alpha, market.anna, n=2)
    assert decided(market, "10") == "over-purchase-limit"


def test_only_the_organisations_own_manager(market: Market):
    refused("unknown-card", market.permit, market.beta, market.anna)
    foreign = market.controls(market.beta, market.bert)
    said = {**read_act(foreign).document, "organisation": market.alpha.organisation}
    from e2s.crypto.acts import sign_act

    refused("not-the-manager", market.order, sign_act(said, (), market.beta.signer, market.clock.now()))
    names = (market.name("alpha:eve"), market.name("alpha"))
    eve = market.pki.signer("manager", names)
    said = {**read_act(market.controls(market.alpha, market.anna)).document, "from": eve.certificate.id}
    refused("not-the-manager", market.order, sign_act(said, (), eve, market.clock.now()))
    buyer = market.pki.signer("buyer", names)
    said["from"] = buyer.certificate.id
    refused("wrong-purpose", market.order, sign_act(said, (), buyer, market.clock.now()))
    assert decided(market, "10") == "no-controls"


def test_bad_controls(market: Market):
    refused("bad-controls", market.permit, market.alpha, market.anna, market.anna)
    refused("bad-controls", market.permit, market.alpha, market.anna, per_purchase="-1.00")
    refused("other-currency", market.permit, market.alpha, currency="USD")
    refused(
        "bad-envelope", market.send, ISSUER, "/controls", market.sealed(market.issuer_opener, b"", oids.DATA)
    )


def test_rules_alone():
    """The controls as values: no database, no clock."""
    from datetime import timedelta

    parameters = Parameters(
        currency="EUR",
        per_purchase=Decimal("10.00"),
        per_period=Decimal("20.00"),
        period=timedelta(days=1),
        classes=frozenset({"a"}),
        merchants=frozenset({"m"}),
    )
    wanted = Wanted(amount=Decimal("10.00"), currency="EUR", classes=["a"], merchant="m")
    assert fault(parameters, wanted, Decimal("10.00")) == ""
    assert fault(parameters, wanted, Decimal("10.01")) == "over-period-limit"
    assert fault(None, wanted, Decimal(0)) == "no-controls"


def test_card_numbers():
    assert check_digit("400000000000000") == "2"
    assert check_digit("555555555555444") == "4"
    assert card_number("424242", 424242424) == "4242424242424242"
    for prefix in ("40", "40000a", "400000000"):
        with pytest.raises(Exception, match="bad-card-prefix"):
            card_number(prefix, 1)
