"""Each message of a purchase comes from somebody else: it is refused by a rule, and the purchase goes on.

Somebody else is: another organisation in its own purchase, the same party in another purchase, and signers of
the very same names whose certificates are expired, revoked, for another purpose, or of another community.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2s.crypto.acts import Act, check_act_signature
from tests.worlds.books import CAPTURED, TOTAL, Market, market_in
from tests.worlds.forgers import MAKING, Forgers
from tests.worlds.forging import WAYS, Keys, Tamper, resigned, rules_raised

PURCHASE = (
    "login login-answer offer accept confirm pinit pay auth issue decision authres pres delivery capreq captured"
    " capres receipt"
).split()
#: Kinds of certificates by the labels of keys.
KINDS = {"session": "buyer-session", "card": "card-holder"}
#: Who signs otherwise is refused by the rule of the certificate that was used, except where a key that is
#: named before - in the offer, in the dual signature, in a contract between banks - is asked for first.
RULES = {"accept": "offer-of-other-organisation", "receipt": "other-buyer"}
#: What the same act of somebody else's purchase is refused by, and that of another purchase of her own.
FOREIGN = {
    "login": "replayed-login",
    "login-answer": "wrong-audience",
    "offer": "wrong-audience",
    "accept": "wrong-offer",
    "confirm": "wrong-audience",
    "pinit": "wrong-audience",
    "pay": "ds-for-other-contract",
    "auth": "other-transaction",
    "issue": "other-transaction",
    "decision": "other-transaction",
    "authres": "other-transaction",
    "pres": "wrong-audience",
    "delivery": "wrong-audience",
    "capreq": "other-transaction",
    "captured": "other-transaction",
    "capres": "other-transaction",
    "receipt": "wrong-delivery",
}
EARLIER = {
    **FOREIGN,
    "login-answer": "wrong-answer",
    "offer": "wrong-trade",
    "confirm": "wrong-acceptance",
    "pinit": "wrong-contract",
    "pres": "other-transaction",
    "delivery": "wrong-delivery",
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with market_in(tmp_path_factory.mktemp("market")) as market:
        market.whole.permit("beta-manager")
        yield market


@pytest.fixture(scope="module")
def keys(market: Market) -> Iterator[Keys]:
    keys = Keys(market.whole)
    yield keys
    keys.close()


@pytest.fixture(scope="module")
def forgers(market: Market) -> Iterator[Forgers]:
    forgers = Forgers(market.whole)
    yield forgers
    forgers.close()


def acts_of(market: Market, keys: Keys, wallet: str) -> dict[str, Act]:
    """Every act of one purchase of ``wallet``, met on its way."""
    market.rest()
    found: dict[str, Act] = {}

    def keep(act: Act) -> bytes:
        found[act.type.rpartition("/")[2]] = act
        return act.octets

    with ExitStack() as stack:
        tampers = [
            stack.enter_context(Tamper(market.whole, keys, name, keep, wallet).in_place())
            for name in PURCHASE
        ]
        trade = market.begin(wallet)
        for tamper in tampers:
            tamper.trade = trade
        market.finish(trade, wallet=wallet)
    assert found.keys() == set(PURCHASE)
    return found


@pytest.fixture(scope="module")
def earlier(market: Market, keys: Keys) -> dict[str, Act]:
    return acts_of(market, keys, "alpha-wallet")


@pytest.fixture(scope="module")
def foreign(market: Market, keys: Keys) -> dict[str, Act]:
    return acts_of(market, keys, "beta-wallet")


def substituted(market: Market, tamper: Tamper, rule: str) -> None:
    """A purchase with one act put in another's place; what was refused, and that nothing came of it."""
    with rules_raised() as rules, tamper.in_place():
        tamper.trade = trade = market.begin()
        market.finish(trade, 12)
    assert tamper.hits == 1
    assert market.unnamed == []
    standing = market.books.standing(trade)
    if tamper.name == "offer":
        # a bad offer ends the trade: nothing was signed, and the merchant's offer lapses
        assert (standing.buyer, standing.merchant, standing.payments) == ("void", "offered", ())
    else:
        assert (standing.buyer, standing.merchant) == CAPTURED
        assert standing.agrees(TOTAL)
        assert market.books.faults(trade) == []
    assert rule in rules


@pytest.mark.parametrize("kind", MAKING)
@pytest.mark.parametrize("name", PURCHASE)
def test_signer_whom_nobody_should_believe(
    market: Market, keys: Keys, forgers: Forgers, name: str, kind: str
) -> None:
    market.rest(5)
    component, label = WAYS[name].signer
    signer = MAKING[kind](forgers, keys.pse(component).certificate(label), KINDS.get(label, label))

    def forged(act: Act) -> bytes:
        return resigned(act, signer)

    substituted(market, Tamper(market.whole, keys, name, forged), RULES.get(name, kind))


@pytest.mark.parametrize("name", PURCHASE)
def test_another_organisations_act(market: Market, keys: Keys, foreign: dict[str, Act], name: str) -> None:
    market.rest(5)
    check_act_signature(foreign[name])
    substituted(market, Tamper(market.whole, keys, name, lambda _: foreign[name].octets), FOREIGN[name])


@pytest.mark.parametrize("name", PURCHASE)
def test_another_purchases_act(market: Market, keys: Keys, earlier: dict[str, Act], name: str) -> None:
    market.rest(5)
    check_act_signature(earlier[name])
    substituted(market, Tamper(market.whole, keys, name, lambda _: earlier[name].octets), EARLIER[name])
