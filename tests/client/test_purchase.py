"""A whole purchase through the wallet, and what becomes of it when the world misbehaves but nobody lies."""

from __future__ import annotations

import pytest

from e2s.base.errors import Refusal, Unreachable
from e2s.client.wallet import store
from e2s.client.wallet.wallet import Wish
from e2s.commerce.bankcard.evidence import judge
from e2s.commerce.evidence import read_bundle
from e2s.crypto.acts import read_act
from e2s.network.sessions.calls import LOGIN_PATH, RECORD_PATH
from e2s.network.sessions.local import drop_answer, drop_request, duplicate, nth, to
from tests.client.parties import ALPHA, LINES, PAN, VOLT, phrase


def test_whole_purchase(scene):
    wallet = scene.wallet
    found = wallet.search("volt", "resistor")
    assert [row["sku"] for row in found["rows"]] == ["R-10K"]
    basket = wallet.basket("volt", LINES)
    assert [row["rate"] for row in basket.sums["vat"]] == ["7", "19"]
    review = wallet.ask(basket, "Alpha, 1 Street", "4711")
    assert review.document["total"] == basket.sums["total"]
    assert wallet.accept(review.trade, phrase(), offer=review.id).state == "contract"
    assert wallet.pay(review.trade, phrase()).state == "paid"
    assert wallet.poll(review.trade).state == "received"
    ended = wallet.receipt(review.trade, phrase())
    assert (ended.state, ended.settled) == ("received", True)
    bundle = read_bundle((scene.home / "evidence" / ended.bundle).read_bytes())
    kinds = [name.rpartition("-")[2] for name, _ in bundle.of("act")]
    assert kinds == ["offer.cms", "accept.cms", "confirm.cms", "pinit.cms", "pay.cms", "pres.cms", "delivery.cms", "receipt.cms"]  # fmt: skip
    assert len(bundle.of("stamp")) == 2
    assert bundle.of("opened")
    assert bundle.of("crl")
    assert bundle.party == ALPHA


def test_signed_octets_are_the_octets_shown(scene):
    trade = scene.offered()
    review = scene.wallet.review(trade)
    scene.wallet.accept(trade, phrase(), offer=review.id)
    accepted = read_act(scene.parties.acts[trade]["accept"])
    assert accepted.inner().doc_octets == review.doc_octets
    assert accepted.over[0] == review.octets


def test_card_number_reaches_the_gateway_and_no_file(scene):
    scene.received()
    assert PAN in scene.parties.seen_pans[0]
    for path in scene.home.rglob("*"):
        if path.is_file():
            assert PAN.encode() not in path.read_bytes(), path


def test_one_pass_phrase_one_signature(scene):
    trade = scene.offered()
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        scene.wallet.accept(trade, phrase("guessed"))
    assert scene.state(trade) == "offered"
    scene.wallet.accept(trade, phrase())
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        scene.wallet.pay(trade, phrase("guessed"))
    assert scene.state(trade) == "contract"


def test_unattended_purchase(scene):
    trade = scene.wallet.begin(
        Wish(shop="volt", lines=LINES, deliver_to="Alpha", cost_centre="1", at_most="100.00")
    )
    ended = scene.wallet.advance(trade, phrase())
    assert (ended.state, ended.settled) == ("received", True)
    assert ended.bundle


def test_unattended_purchase_stops_at_its_allowance(scene):
    trade = scene.wallet.begin(
        Wish(shop="volt", lines=LINES, deliver_to="Alpha", cost_centre="1", at_most="1.00")
    )
    with pytest.raises(Refusal, match="over-allowance"):
        scene.wallet.advance(trade, phrase())
    assert scene.state(trade) == "void"
    assert "accept" not in scene.parties.calls


def test_resume_never_accepts_what_the_user_did_not(scene):
    trade = scene.offered()
    assert scene.wallet.advance(trade, phrase()).state == "offered"
    scene.wallet.accept(trade, phrase())
    assert scene.wallet.advance(trade, phrase()).state == "contract"


# ---------------------------------------------------------------------- loss and repetition
@pytest.mark.parametrize("number", range(1, 12))
@pytest.mark.parametrize("fault", [drop_request, drop_answer, duplicate])
def test_any_record_lost_or_doubled(scene, fault, number):
    scene.parties.exchange.faults.append(fault(nth(number, to(RECORD_PATH))))
    trade = scene.wallet.begin(
        Wish(shop="volt", lines=LINES, deliver_to="Alpha", cost_centre="1", at_most="100.00")
    )
    ended = scene.wallet.advance(trade, phrase())
    assert (ended.state, ended.settled) == ("received", True)
    assert len({read_act(a["pay"]).id for a in scene.parties.acts.values()}) == 1
    assert len(scene.parties.acts) == 1


@pytest.mark.parametrize("fault", [drop_request, drop_answer])
def test_lost_login_is_repeated(scene, fault):
    scene.parties.exchange.faults.append(fault(nth(1, to(LOGIN_PATH))))
    assert scene.wallet.search("volt", "")["total"] == 3


def test_shop_restart_means_a_new_login_and_the_same_trade(scene):
    trade = scene.offered()
    scene.parties.sessions.close()
    scene.wallet.accept(trade, phrase())
    assert scene.state(trade) == "contract"


def test_lost_confirmation(scene):
    trade = scene.offered()
    lost = drop_answer(to(RECORD_PATH))
    scene.parties.exchange.faults.append(lost)
    with pytest.raises(Unreachable):
        scene.wallet.accept(trade, phrase())
    assert scene.state(trade) == "accepted"
    scene.parties.exchange.faults.clear()
    scene.again()
    assert scene.wallet.poll(trade).state == "contract"


def test_lost_pres(scene):
    trade = scene.contract()
    scene.parties.exchange.faults.append(drop_answer(lambda *_: "pinit" in scene.parties.calls))
    with pytest.raises(Unreachable):
        scene.wallet.pay(trade, phrase())
    assert scene.state(trade) == "paying"
    first = read_act(scene.parties.acts[trade]["pay"]).id
    scene.parties.exchange.faults.clear()
    scene.again()
    assert scene.wallet.poll(trade).state == "received"
    assert read_act(scene.parties.acts[trade]["pay"]).id == first


def test_buyer_gone_after_ds(scene):
    """Killed once the order is in the book: the very same order goes out when she returns."""
    trade = scene.contract()
    scene.wallet.paying.pay(scene.wallet.line("volt"), trade, phrase())
    scene.again()
    assert scene.state(trade) == "paying"
    assert scene.wallet.poll(trade).state == "paid"


def test_kill_between_intent_and_signature(scene):
    trade = scene.contract()
    with pytest.raises(Refusal):
        scene.wallet.pay(trade, phrase("never typed right"))
    with scene.wallet.desk.database.reading() as connection:
        intended = store.intent_of(connection, trade, "pay")
    assert intended is not None
    scene.again()
    scene.wallet.pay(trade, phrase())
    assert read_act(scene.parties.acts[trade]["pay"]).document == intended[0]


def test_stale_intent_gives_way_to_a_new_order(scene):
    trade = scene.contract()
    with pytest.raises(Refusal):
        scene.wallet.pay(trade, phrase("never typed right"))
    scene.parties.clock.forward(minutes=20)
    assert scene.wallet.pay(trade, phrase()).state == "paid"


def test_merchant_gone_after_authorisation(scene):
    """The bank holds the money, the merchant is silent for ever: in the end she is free and uncharged."""
    scene.parties.delivering = False
    trade = scene.paid()
    scene.parties.refuse["status"] = Refusal("gone", "the shop has closed")
    scene.parties.clock.forward(days=38)
    scene.parties.state = "void"
    assert scene.wallet.inquire(trade, phrase()).state == "void"
    assert scene.wallet.trade(trade).bundle


def test_merchant_gone_before_answering_the_order(scene):
    trade = scene.inquiring()
    assert scene.state(trade) == "inquiring"
    scene.parties.state = "void"
    assert scene.wallet.advance(trade, phrase()).state == "void"


def test_tsa_down(scene):
    """Neither has a stamp: the contract binds all the same, its time is only claimed."""
    scene.parties.merchant_stamps = scene.parties.stamping = False
    trade = scene.contract()
    assert scene.state(trade) == "contract"
    with scene.wallet.desk.database.reading() as connection:
        assert store.stamps_of(connection, trade) == {}


def test_buyer_gets_the_stamp_that_the_merchant_had_none_of(scene):
    scene.parties.merchant_stamps = False
    trade = scene.contract()
    with scene.wallet.desk.database.reading() as connection:
        assert len(store.stamps_of(connection, trade)) == 1


def test_declined_payment_can_be_tried_again(scene):
    scene.parties.result = "declined"
    trade = scene.paid()
    known = scene.wallet.trade(trade)
    assert known.state == "declined"
    assert "over-purchase-limit" in known.because
    first = read_act(scene.parties.acts[trade]["pay"]).document["xid"]
    scene.parties.result = "approved"
    assert scene.wallet.pay(trade, phrase()).state == "paid"
    assert read_act(scene.parties.acts[trade]["pay"]).document["xid"] != first
    assert scene.wallet.poll(trade).state == "received"


def test_cancelled_by_the_merchant(scene):
    scene.parties.delivering = False
    trade = scene.paid()
    scene.parties.cancel(trade)
    ended = scene.wallet.poll(trade)
    assert ended.state == "void"
    assert "out of stock" in ended.because


def test_closed_by_the_statement(scene):
    trade = scene.received()
    scene.wallet.receipt(trade, phrase())
    assert scene.wallet.close_by(trade, scene.parties.statement()).state == "closed"


def test_wallet_offers_no_shop_it_does_not_know(scene):
    with pytest.raises(Refusal, match="unknown-shop"):
        scene.wallet.search("urn:e2s:market:other", "x")
    assert scene.wallet.desk.shop(VOLT).name == VOLT


def test_a_judge_finds_the_wallets_bundle_whole(scene):
    """Thirty checks, off-line, with nothing but the bundle and the root."""
    trade = scene.received()
    ended = scene.wallet.receipt(trade, phrase())
    octets = (scene.home / "evidence" / ended.bundle).read_bytes()
    report = judge(octets, scene.parties.keys.pki.anchors)
    assert report.holds, report.findings
    assert all(one.proven for one in report.commitments if one.act in {"offer", "accept", "confirm"})


# ---------------------------------------------------------------------- the issuer's word
def test_held_by_the_bank_then_delivered(scene):
    """No PRes ever came; the bank says that it holds the money, and the delivery brings the rest of the proof."""
    trade = scene.inquiring()
    scene.parties.state = "held"
    assert scene.wallet.inquire(trade, phrase()).state == "paid"
    assert scene.wallet.trade(trade).claim_until
    scene.parties.pending = False
    assert scene.wallet.poll(trade).state == "received"


def test_late_pres_ends_the_inquiry(scene):
    trade = scene.inquiring()
    scene.parties.pending, scene.parties.delivering = False, False
    assert scene.wallet.poll(trade).state == "paid"


def test_bank_that_knows_nothing_yet_is_asked_again(scene):
    trade = scene.inquiring()
    assert scene.wallet.inquire(trade, phrase()).state == "inquiring"
    scene.parties.state = "void"
    assert scene.wallet.inquire(trade, phrase()).state == "void"


def test_lost_answer_to_an_inquiry(scene):
    """The same inquiry goes out again: what the bank answers is about it."""
    trade = scene.inquiring()
    scene.parties.state = "void"
    scene.parties.exchange.faults.append(drop_answer(nth(1, to("/inquiry"))))
    with pytest.raises(Unreachable):
        scene.wallet.inquire(trade, phrase())
    assert scene.wallet.inquire(trade, phrase()).state == "void"
    with scene.wallet.desk.database.reading() as connection:
        kinds = [kind for kind, _ in store.acts_of(connection, trade)]
    assert kinds.count("inquiry") == 1


def test_bank_declined_while_the_merchant_was_silent(scene):
    scene.parties.result = "declined"
    trade = scene.inquiring()
    scene.parties.state = "declined"
    known = scene.wallet.inquire(trade, phrase())
    assert (known.state, "over-purchase-limit" in known.because) == ("declined", True)
    assert scene.wallet.decline(trade).state == "void"


def test_captured_and_never_delivered_stays_claimable(scene):
    scene.parties.delivering = False
    trade = scene.paid()
    scene.parties.clock.forward(days=38)
    scene.parties.state = "captured"
    assert scene.wallet.inquire(trade, phrase()).state == "paid"
