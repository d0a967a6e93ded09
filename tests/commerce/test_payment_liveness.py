"""Whatever is lost, late or killed, merchant, gateway, bank and card-holder end up agreed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from e2s.base.errors import Unreachable
from e2s.base.wire import b64u, unb64u
from e2s.commerce.bankcard import store as bank_store
from e2s.crypto.acts import read_act
from e2s.crypto.keys import KeySigner
from e2s.network.sessions.local import Delay, drop_answer, drop_request, nth, to
from tests.worlds.market import ISSUER, Market
from tests.worlds.payer import Purchase


@pytest.fixture
def paying(market: Market) -> Purchase:
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna)
    made.pinit()
    return made.instruct()


def held(market: Market) -> list[str]:
    with market.bank.store.reading() as connection:
        return [row.state for row in connection.execute(bank_store.PAYMENT.select())]


def settle(market: Market, times: int = 3) -> None:
    """Let every component repeat what it waits for."""
    for _ in range(times):
        market.clock.forward(minutes=2)
        market.gateway.tick()
        market.payment.tick()
        market.issuer.tick()


def test_inquiry_races_authorisation(market: Market, paying: Purchase):
    """Whichever comes first to the bank stands: both orders end the same way for all."""
    delayed = Delay(to("/payment/issue"))
    market.exchange.faults.append(delayed)
    assert paying.pay()["state"] == "asking"
    market.clock.at = paying.until
    assert paying.inquire().document["state"] == "void"
    market.exchange.faults.remove(delayed)
    late = delayed.release()
    assert read_act(late.body).document["result"] == "void"
    settle(market)
    assert paying.state()["state"] == "declined"
    assert read_act(unb64u(paying.state()["pres"])).document["result"] == "void"
    assert paying.inquire().document["state"] == "void"
    # the other order: the authorisation first
    other = Purchase(market, market.anna)
    other.pinit()
    other.instruct()
    market.exchange.faults.append(lost := drop_answer(to("/payment/issue")))
    assert other.pay()["state"] == "asking"
    market.exchange.faults.remove(lost)
    assert other.inquire().document["state"] == "held"
    settle(market, 1)
    assert other.state()["state"] == "authorised"
    assert held(market) == ["void", "held"]


def test_clock_set_back(market: Market, paying: Purchase):
    """A void that was written lasts, an expired hold stays expired and a closed one closed."""
    market.clock.at = paying.until
    assert paying.inquire().document["state"] == "void"
    market.clock.at = paying.began + timedelta(minutes=1)
    assert paying.ask_issuer().document["result"] == "void"
    assert paying.inquire().document["state"] == "void"
    other = Purchase(market, market.anna).instruct()
    other.ask_issuer()
    began = market.clock.now()
    market.clock.forward(days=8)
    market.issuer.tick()
    market.clock.at = began
    market.issuer.tick()
    assert held(market) == ["void", "expired"]
    market.clock.forward(days=38)
    authres = other.authres()
    market.issuer.tick()
    market.clock.at = began
    assert other.capture(authres=authres).document["result"] == "closed"
    assert other.ask_issuer(auth=other.asked).document["result"] == "void"


def test_hold_expires_while_delivering(market: Market, paying: Purchase):
    """Stamped before holdUntil, the claim is honoured to claimUntil, however late it comes; stamped later, never."""
    assert paying.pay()["state"] == "authorised"
    until = market.clock.now() + market.bank.terms.hold
    market.clock.at = until - timedelta(seconds=1)
    market.exchange.faults.append(lost := drop_request(to("/payment/capture")))
    assert paying.deliver()["state"] == "capturing"
    market.clock.forward(days=20)
    market.issuer.tick()
    assert held(market) == ["expired"]
    assert paying.inquire().document["state"] == "held"
    market.exchange.faults.remove(lost)
    market.payment.tick()
    assert paying.state()["state"] == "captured"
    assert paying.inquire().document["state"] == "captured"
    # stamped a second too late
    other = Purchase(market, market.anna)
    assert other.pay()["state"] == "authorised"
    market.clock.at = market.clock.now() + market.bank.terms.hold
    assert other.deliver()["state"] == "capturing"
    settle(market)
    assert other.state()["state"] == "capturing"
    market.clock.forward(days=31)
    settle(market)
    assert other.state()["state"] == "unpaid"
    assert held(market) == ["captured", "closed"]


@pytest.mark.parametrize("fault", [drop_request, drop_answer])
@pytest.mark.parametrize("path", ["/payment/authorise", "/payment/issue"])
def test_lost_on_the_way_to_the_money(market: Market, paying: Purchase, path: str, fault):
    market.exchange.faults.append(fault(nth(1, to(path))))
    assert paying.pay()["state"] == "asking"
    settle(market, 1)
    assert paying.state()["state"] == "authorised"
    assert held(market) == ["held"]


@pytest.mark.parametrize("fault", [drop_request, drop_answer])
@pytest.mark.parametrize("hop", [1, 2])
def test_lost_capres(market: Market, paying: Purchase, hop: int, fault):
    """CapReq or its answer is lost on either hop; the repeat captures once."""
    paying.pay()
    market.exchange.faults.append(fault(nth(hop, to("/payment/capture"))))
    assert paying.deliver()["state"] == "capturing"
    settle(market, 1)
    assert paying.state()["state"] == "captured"
    assert len(market.statement(market.alpha, 1).document["entries"]) == 1


@pytest.mark.parametrize("fault", [drop_request, drop_answer])
@pytest.mark.parametrize("hop", [1, 2])
def test_lost_revres(market: Market, paying: Purchase, hop: int, fault):
    paying.pay()
    market.exchange.faults.append(fault(nth(hop, to("/payment/reverse"))))
    assert paying.reverse()["state"] == "reversing"
    settle(market, 1)
    assert paying.state()["state"] == "reversed"
    assert held(market) == ["void"]


def test_buyer_gone_after_ds_the_bank_decides_alone(market: Market, paying: Purchase):
    """Nobody asks any more: the gateway ends it with the bank, and the merchant hears."""
    market.exchange.doors.pop(ISSUER)
    assert paying.pay()["state"] == "asking"
    market.clock.at = paying.until + timedelta(hours=1)
    market.start_issuer()
    settle(market)
    assert paying.state()["state"] == "declined"
    assert held(market) == ["void"]


def test_merchant_gone_after_authorisation_frees_the_money(market: Market, paying: Purchase):
    paying.pay()
    market.clock.forward(days=37)
    market.issuer.tick()
    assert held(market) == ["closed"]
    assert paying.inquire().document["state"] == "void"


class Killed(Exception):
    """The process ends here."""


class Dying:
    """A signer whose process is killed before it signs."""

    def __init__(self, signer: KeySigner) -> None:
        self.certificate, self.chain, self.suite = signer.certificate, signer.chain, signer.suite

    def sign(self, _data: bytes) -> bytes:
        raise Killed


@pytest.mark.parametrize("which", ["decision", "captured", "reversed"])
def test_kill_between_commit_and_signature(market: Market, paying: Purchase, which: str):
    """Killed once the intent is committed: after the start the same ``#`` is signed and given."""
    auth = paying.auth()
    proof = {}
    if which != "decision":
        paying.ask_issuer(auth=auth)
        authres = paying.authres()
        proof = {"authres": authres, "delivery": paying.delivery(paying.pres(authres))}
    acts = {
        "decision": lambda: paying.ask_issuer(auth=auth),
        "captured": lambda: paying.capture(**proof),
        "reversed": lambda: paying.give_back(paying.authrev(proof["authres"])),
    }
    alive = market.bank
    market.bank = replace(alive, signer=Dying(market.issuer_signer))
    market.start_issuer()
    with pytest.raises(Killed):
        acts[which]()
    with alive.store.reading() as connection:
        row = connection.execute(bank_store.PAYMENT.select()).one()
    assert getattr(row, which) is None
    market.bank = alive
    market.start_issuer()
    told = acts[which]()
    assert told.doc_octets == getattr(row, f"{which}_doc")
    assert acts[which]().octets == told.octets


def test_unreachable_issuer_answers_503(market: Market, paying: Purchase):
    market.exchange.doors.pop(ISSUER)
    with pytest.raises(Unreachable):
        paying.ask_gateway()
    market.start_issuer()
    assert paying.ask_gateway(auth=paying.auth()).document["result"] == "approved"


def test_answers_survive_a_start_of_all(market: Market, paying: Purchase):
    first = paying.pay()
    market.start_issuer()
    market.start_gateway()
    market.start_till()
    market.clock.forward(minutes=1)
    assert paying.pay() == first
    assert paying.deliver()["state"] == "captured"
    assert b64u(paying.xid) == paying.state()["xid"]
