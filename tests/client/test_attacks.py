"""What a lying shop, gateway or carrier may try on the buyer: each is refused by its rule and changes nothing."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from e2s.base.errors import E2SError, Refusal
from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.client.wallet import store
from e2s.commerce import order
from e2s.crypto.acts import digest_id, read_act
from tests.client.parties import (
    ACQUIRER,
    ALPHA,
    ANNA,
    BANK,
    GOODS,
    LINES,
    SHOP,
    VOLT,
    Parties,
    Scene,
    make_keys,
    phrase,
)
from tests.worlds.pki import SetClock, make_pki


def refused(act, *rules: str) -> None:
    with pytest.raises(E2SError) as caught:
        act()
    assert caught.value.rule in rules, caught.value


def unmoved(scene: Scene, trade: str, state: str) -> None:
    assert scene.state(trade) == state


def lying(scene: Scene, act: str, **members) -> None:
    scene.parties.change[act] = lambda document: document.update(members)


# ---------------------------------------------------------------------- the offer
def asked(scene: Scene) -> str:
    with scene.wallet.desk.database.reading() as connection:
        return store.trades(connection)[0].trade


def no_offer(scene: Scene, *rules: str) -> None:
    refused(scene.offered, *rules)
    unmoved(scene, asked(scene), "void")
    assert scene.wallet.trade(asked(scene)).because


def test_offer_of_other_organisation(scene):
    lying(scene, "offer", to=[f"{ALPHA}x", ANNA])
    no_offer(scene, "offer-of-other-organisation")


def test_offer_to_another_buyer_of_the_organisation(scene):
    lying(scene, "offer", buyer=digest_id(b"another"))
    no_offer(scene, "offer-of-other-organisation")


def test_wrong_audience(scene):
    lying(scene, "offer", to=["urn:e2s:market:beta", "urn:e2s:market:beta:bruno"])
    no_offer(scene, "wrong-audience")


def test_wrong_label(scene):
    lying(scene, "offer", type="e2s/1/confirm")
    no_offer(scene, "wrong-label", "bad-document")


@pytest.mark.parametrize("member", ["net", "tax", "total"])
def test_false_total(scene, member):
    lying(scene, "offer", **{member: "9.99"})
    no_offer(scene, "false-total")


def test_false_total_in_vat(scene):
    scene.parties.change["offer"] = lambda d: d["vat"][0].update(tax="0.01")
    no_offer(scene, "false-total")


def test_false_total_in_basket(scene):
    lying(scene, "basket", total="0.01")
    refused(scene.offered, "false-total")
    assert "offer" not in scene.parties.calls


def test_price_changed_after_view(scene):
    basket = scene.wallet.basket("volt", LINES)
    scene.parties.list_id = digest_id(b"list 2")
    refused(lambda: scene.wallet.ask(basket, "Alpha", "1"), "price-changed-after-view")
    unmoved(scene, asked(scene), "void")


def test_shop_says_price_changed(scene):
    scene.parties.refuse["offer"] = Refusal("price-changed", "the price list has a newer version")
    refused(scene.offered, "price-changed")
    unmoved(scene, asked(scene), "void")


@pytest.mark.parametrize("member", ["sku", "qty", "unit", "text", "vatRate", "class"])
def test_altered_line(scene, member):
    def change(document):
        lines = [{k: v for k, v in line.items() if k not in {"n", "net"}} for line in document["lines"]]
        lines[0][member] = {"qty": "999", "unit": "0.0032", "vatRate": "7"}.get(member, "other")
        document.update(order.sums(lines, "EUR"))

    scene.parties.change["offer"] = change
    no_offer(scene, "altered-line")


def test_altered_line_in_basket(scene):
    def change(answer):
        answer.update(order.sums([{**GOODS["R-10K"], "qty": "2000"}], "EUR"))

    scene.parties.change["basket"] = change
    refused(scene.offered, "altered-line")


def test_altered_terms(scene):
    scene.parties.change["offer"] = lambda d: d["terms"].update(text="The buyer pays twice.")
    no_offer(scene, "altered-terms")


def test_altered_delivery_place(scene):
    lying(scene, "offer", deliverTo="the merchant's brother")
    no_offer(scene, "altered-line")


def test_deadlines_in_the_wrong_order(scene):
    lying(scene, "offer", payBy=format_instant(scene.parties.clock.now()))
    no_offer(scene, "bad-deadlines")


def test_wrong_eku(scene):
    scene.parties.by["offer"] = scene.parties.keys.till
    no_offer(scene, "wrong-purpose")


def test_offer_by_another_merchant(scene):
    scene.parties.by["offer"] = scene.parties.keys.pki.signer("merchant", "urn:e2s:market:watt")
    no_offer(scene, "wrong-name")


def test_other_community(scene):
    scene.parties.by["offer"] = make_pki("elsewhere").signer("merchant", (VOLT, SHOP))
    no_offer(scene, "unknown-root")


def test_expired_signer(scene):
    clock = scene.parties.clock
    soon = clock.now() + timedelta(minutes=5)
    scene.parties.by["offer"] = scene.parties.keys.pki.signer("merchant", (VOLT, SHOP), not_after=soon)
    clock.forward(minutes=6)
    no_offer(scene, "expired")


def test_revoked_signer(scene):
    signer = scene.parties.keys.pki.signer("merchant", (VOLT, SHOP))
    scene.parties.by["offer"] = signer
    scene.parties.keys.pki.revoke(signer.certificate, scene.parties.clock.now())
    no_offer(scene, "revoked")


def test_offer_of_another_trade(scene):
    lying(scene, "offer", trade=b64u(secrets.token_bytes(16)))
    no_offer(scene, "wrong-trade")


def test_late_acceptance(scene):
    trade = scene.offered()
    scene.parties.clock.forward(minutes=16)
    refused(lambda: scene.wallet.accept(trade, phrase()), "late-acceptance")
    unmoved(scene, trade, "void")
    assert "accept" not in scene.parties.calls


def test_offer_swapped_between_look_and_signature(scene):
    trade = scene.offered()
    refused(lambda: scene.wallet.accept(trade, phrase(), offer=digest_id(b"what was shown")), "other-offer")
    unmoved(scene, trade, "offered")


# ---------------------------------------------------------------------- the confirmation
def no_contract(scene: Scene, *rules: str) -> None:
    trade = scene.offered()
    refused(lambda: scene.wallet.accept(trade, phrase()), *rules)
    unmoved(scene, trade, "accepted")
    scene.parties.clock.forward(hours=2)
    assert scene.wallet.poll(trade).state == "void"


def test_backdated_confirmation(scene):
    scene.parties.stamped_late = 20 * 60
    no_contract(scene, "backdated-confirmation")


def test_late_confirmation(scene):
    scene.parties.merchant_stamps = scene.parties.stamping = False
    trade = scene.offered()
    scene.parties.refuse["accept"] = Refusal("busy", "later")
    refused(lambda: scene.wallet.accept(trade, phrase()), "busy")
    scene.parties.refuse.clear()
    scene.parties.clock.forward(minutes=20)
    refused(lambda: scene.wallet.poll(trade), "late-confirmation")
    unmoved(scene, trade, "accepted")


def test_stripped_inner_signature(scene):
    scene.parties.over["confirm"] = lambda _: []
    no_contract(scene, "stripped-inner-signature")


def test_confirmation_over_something_else(scene):
    scene.parties.over["confirm"] = lambda over: [read_act(over[0]).over[0]]
    no_contract(scene, "wrong-nesting")


def test_confirmation_of_another_acceptance(scene):
    lying(scene, "confirm", accept=digest_id(b"another"))
    no_contract(scene, "wrong-acceptance")


def test_broken_inner_signature(scene):
    def mangle(over):
        octets = bytearray(over[0])
        octets[-1] ^= 1
        return [bytes(octets)]

    scene.parties.over["confirm"] = mangle
    no_contract(scene, "bad-signature")


def test_token_swapped(scene):
    trade = scene.offered()
    first = scene.contract()
    other = scene.parties.acts[first]["stamp"]
    scene.parties.stamp = lambda _: other
    refused(lambda: scene.wallet.accept(trade, phrase()), "wrong-imprint")
    unmoved(scene, trade, "accepted")


def test_equivocating_merchant(scene):
    """Two confirmations of one acceptance: the first stays, the second is no step."""
    trade = scene.contract()
    with scene.wallet.desk.database.reading() as connection:
        first = store.act_of(connection, trade, "confirm")
    scene.parties.clock.forward(minutes=1)
    del scene.parties.acts[trade]["confirm"]
    scene.parties.op_accept({"trade": trade, "act": b64u(scene.parties.acts[trade]["accept"])})
    scene.wallet.poll(trade)
    with scene.wallet.desk.database.reading() as connection:
        kept = store.act_of(connection, trade, "confirm")
    assert first is not None
    assert kept is not None
    assert kept.id == first.id
    assert read_act(scene.parties.acts[trade]["confirm"]).id != first.id


def test_void_by_a_stranger(scene):
    scene.parties.result = "void-contract"
    scene.parties.by["void"] = scene.parties.keys.pki.signer("merchant", "urn:e2s:market:watt")
    no_contract(scene, "wrong-name")


# ---------------------------------------------------------------------- the payment offer
def no_order(scene: Scene, *rules: str) -> None:
    trade = scene.contract()
    refused(lambda: scene.wallet.pay(trade, phrase()), *rules)
    unmoved(scene, trade, "contract")
    assert "pay" not in scene.parties.calls
    assert scene.parties.seen_pans == []


def test_set_gateway_swap(scene):
    """The merchant names a gateway that the contract does not."""
    pki = scene.parties.keys.pki
    name = "urn:e2s:market:other-bank"
    signing, agreement = pki.signer("gateway", name), pki.opener("gateway-agreement", name)
    scene.parties.wrong_certificates = [signing.certificate.der, agreement.certificate.der, pki.operating.der]
    members = {"name": name, "signing": signing.certificate.id, "agreement": agreement.certificate.id}
    lying(scene, "pinit", gateway=members)
    no_order(scene, "gateway-not-accepted")


def swapped_agreement(scene: Scene, certificate) -> None:
    keys = scene.parties.keys
    scene.parties.wrong_certificates = [keys.gateway.certificate.der, certificate.der, keys.pki.operating.der]
    members = {"name": ACQUIRER, "signing": keys.gateway.certificate.id, "agreement": certificate.id}
    lying(scene, "pinit", gateway=members)


def test_pan_to_the_merchants_own_key(scene):
    """The merchant puts its own agreement certificate in the gateway's place, to read the card number."""
    swapped_agreement(scene, scene.parties.keys.merchant_opener.certificate)
    no_order(scene, "wrong-purpose", "wrong-name")


def test_pan_to_a_gateway_key_of_another_name(scene):
    swapped_agreement(scene, scene.parties.keys.pki.opener("gateway-agreement", VOLT).certificate)
    no_order(scene, "wrong-name")


def test_pan_to_a_gateway_of_another_root(scene):
    swapped_agreement(scene, make_pki("elsewhere").opener("gateway-agreement", ACQUIRER).certificate)
    no_order(scene, "unknown-root")


def test_amount_raised(scene):
    lying(scene, "pinit", total="999.00")
    no_order(scene, "amount-raised")


def test_ds_for_other_contract(scene):
    lying(scene, "pinit", cid=digest_id(b"another contract"))
    no_order(scene, "wrong-contract")


def test_stale_nonce(scene):
    lying(scene, "pinit", nC=b64u(bytes(32)))
    no_order(scene, "stale-nonce")


def test_pinit_by_the_contract_key(scene):
    scene.parties.by["pinit"] = scene.parties.keys.merchant
    no_order(scene, "wrong-purpose")


def test_revoked_issuer_gets_no_order(tmp_path):
    keys = make_keys()
    scene = Scene(Parties(keys, SetClock()), tmp_path)
    keys.pki.revoke(keys.issuer_opener.certificate, scene.parties.clock.now())
    no_order(scene, "revoked")


def test_ds_after_until(scene):
    trade = scene.contract()
    scene.parties.clock.forward(hours=1, minutes=16)
    refused(lambda: scene.wallet.pay(trade, phrase()), "ds-after-until")
    assert scene.wallet.poll(trade).state == "contract"  # the counterpart waits two clock errors more
    scene.parties.clock.forward(minutes=5)
    assert scene.wallet.poll(trade).state == "void"


# ---------------------------------------------------------------------- the answer to the order
def unpaid(scene: Scene, *rules: str) -> None:
    trade = scene.contract()
    refused(lambda: scene.wallet.pay(trade, phrase()), *rules)
    unmoved(scene, trade, "paying")


def test_merchant_claims_approval(scene):
    scene.parties.result = "declined"
    lying(scene, "pres", result="approved")
    unpaid(scene, "merchant-claims-approval")


def test_merchant_claims_approval_alone(scene):
    scene.parties.over["pres"] = lambda _: []
    unpaid(scene, "decision-missing")


def test_gateway_invents_payment(scene):
    scene.parties.over["authres"] = lambda _: []
    unpaid(scene, "gateway-invents-payment")


def test_gateway_turns_a_refusal_into_an_approval(scene):
    scene.parties.result = "declined"
    lying(scene, "pres", result="approved")
    lying(scene, "authres", result="approved")
    unpaid(scene, "merchant-claims-approval")


@pytest.mark.parametrize("act", ["authres", "decision"])
@pytest.mark.parametrize(
    "member", ["ds", "holder", "merchant", "gateway", "cid", "xid", "amount", "currency", "trade"]
)
def test_other_holders_ds_same_xid(scene, act, member):
    """An answer about another payment, be it alike in all members but one."""
    other = {"amount": "1.00", "currency": "USD", "xid": b64u(bytes(20)), "trade": b64u(bytes(16))}
    lying(scene, act, **{member: other.get(member, digest_id(b"another"))})
    with pytest.raises(Refusal) as caught:
        scene.paid()
    assert caught.value.rule.startswith("other-")


def test_set_merchant_swap(scene):
    """An approval for another merchant's payment, nested by this merchant."""
    lying(scene, "authres", merchant=digest_id(b"another merchant"))
    unpaid(scene, "other-merchant")


def test_answer_by_another_gateway(scene):
    scene.parties.by["authres"] = scene.parties.keys.pki.signer("gateway", ACQUIRER)
    unpaid(scene, "set-gateway-swap")


def test_decision_by_another_bank(scene):
    scene.parties.by["decision"] = scene.parties.keys.pki.signer("issuer", "urn:e2s:market:other-bank")
    unpaid(scene, "wrong-name")


def test_void_never_ends_a_payment(scene):
    scene.parties.result = "void-payment"
    trade = scene.paid()
    unmoved(scene, trade, "paying")


def test_pending_changes_nothing(scene):
    scene.parties.pending = True
    unmoved(scene, scene.paid(), "paying")


# ---------------------------------------------------------------------- inquiry
def test_answer_to_another_inquiry(scene):
    trade = scene.inquiring()
    scene.parties.state = "void"
    lying(scene, "inquiry-answer", inquiry=digest_id(b"another"))
    refused(lambda: scene.wallet.inquire(trade, phrase()), "other-inquiry")
    unmoved(scene, trade, "inquiring")


def test_inquiry_answered_by_a_stranger(scene):
    trade = scene.inquiring()
    scene.parties.by["inquiry-answer"] = scene.parties.keys.pki.signer("issuer", "urn:e2s:market:other-bank")
    refused(lambda: scene.wallet.inquire(trade, phrase()), "wrong-name")
    unmoved(scene, trade, "inquiring")


def test_refusal_without_its_decision(scene):
    trade = scene.inquiring()
    scene.parties.state = "declined"
    scene.parties.over["inquiry-answer"] = lambda _: []
    refused(lambda: scene.wallet.inquire(trade, phrase()), "decision-missing")
    unmoved(scene, trade, "inquiring")


def test_inquiry_is_not_made_early(scene):
    scene.parties.pending = True
    trade = scene.paid()
    refused(lambda: scene.wallet.inquire(trade, phrase()), "out-of-order")


# ---------------------------------------------------------------------- delivery
def undelivered(scene: Scene, *rules: str) -> None:
    trade = scene.paid()
    refused(lambda: scene.wallet.poll(trade), *rules)
    unmoved(scene, trade, "paid")


def test_delivery_of_other_lines(scene):
    scene.parties.change["delivery"] = lambda d: d["lines"][0].update(qty="1001")
    undelivered(scene, "more-than-ordered")


def test_delivery_of_another_contract(scene):
    lying(scene, "delivery", cid=digest_id(b"another"))
    undelivered(scene, "wrong-delivery")


def test_delivery_that_does_not_date_the_payment(scene):
    scene.parties.over["delivery"] = lambda over: over[:1]
    undelivered(scene, "stripped-inner-signature")


def test_unstamped_delivery_is_no_delivery(scene):
    trade = scene.paid()
    scene.parties.delivery(trade)
    del scene.parties.acts[trade]["deliveryStamp"]
    scene.parties.delivering = False
    assert scene.wallet.poll(trade).state == "paid"


def test_cancel_without_the_banks_reversal(scene):
    scene.parties.delivering = False
    trade = scene.paid()
    scene.parties.over["cancel"] = lambda _: []
    scene.parties.cancel(trade)
    refused(lambda: scene.wallet.poll(trade), "reversal-missing")
    unmoved(scene, trade, "paid")


def test_cancel_of_a_captured_payment(scene):
    scene.parties.delivering = False
    trade = scene.paid()
    scene.parties.cancel(trade, result="captured")
    refused(lambda: scene.wallet.poll(trade), "not-reversed")
    unmoved(scene, trade, "paid")


def test_statement_with_other_lines_closes_nothing(scene):
    trade = scene.received()
    scene.parties.change["statement"] = lambda d: d["entries"][0].update(amount="1.00")
    statement = scene.parties.statement()
    refused(lambda: scene.wallet.close_by(trade, statement), "statement-differs")
    unmoved(scene, trade, "received")


def test_statement_of_another_bank(scene):
    trade = scene.received()
    scene.parties.by["statement"] = scene.parties.keys.pki.signer("issuer", BANK + "x")
    statement = scene.parties.statement()
    refused(lambda: scene.wallet.close_by(trade, statement), "wrong-name")
