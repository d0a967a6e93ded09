"""Attacks on payments: each is refused with its reason and moves no money.

SET's two known defects are shown on forms like SET's first: checks that look only at what those forms
held accept the attack, ours refuse it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Response
from e2s.base.wire import Document, b64u, unb64u
from e2s.commerce.bankcard import store as bank_store
from e2s.commerce.payment import documents as forms
from e2s.commerce.payment import store as till_store
from e2s.commerce.payment.asking import Asking
from e2s.commerce.payment.documents import instruction_digest, pan_commitment
from e2s.commerce.payment.dual_signature import names_of
from e2s.commerce.payment.instructions import Roles, commitment_of
from e2s.crypto import oids
from e2s.crypto.acts import read_act, sign_act, write_parcel
from e2s.crypto.keys import KeySigner
from e2s.crypto.openers import KeyOpener
from e2s.network.sessions.local import duplicate, to
from tests.worlds.market import GATEWAY, ISSUER, Market, refused
from tests.worlds.payer import LINES, Purchase, one_line, opened_by


@pytest.fixture
def paying(market: Market) -> Purchase:
    """Anna's purchase, permitted, instructed and not yet sent."""
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna)
    made.pinit()
    return made.instruct()


def payments(market: Market) -> list[tuple[str, str, str]]:
    """What the bank holds and took: card-holder, state, amount."""
    with market.bank.store.reading() as connection:
        rows = connection.execute(bank_store.PAYMENT.select())
        return sorted((row.holder, row.state, row.amount) for row in rows)


def dishonest_gateway(market: Market) -> tuple[KeySigner, KeyOpener]:
    name = market.name("badpay")
    return market.pki.signer("gateway", name), market.pki.opener("gateway-agreement", name)


def bare(document: Document, *absent: str) -> Document:
    """A document as it would be without some members."""
    return {name: value for name, value in document.items() if name not in absent}


# ------------------------------------------------------------------ SET's first defect


def set_gateway(ds: Document, pi: Document, auth: Document, commitment: bytes) -> bool:
    """What a SET gateway could check: digest, card, amount, transaction; its own name is in none of them."""
    return (
        ds["hPI"] == b64u(instruction_digest(pi))
        and pan_commitment(unb64u(pi["panSecret"]), pi["pan"]) == commitment
        and pi["amount"] == ds["amount"] == auth["amount"]
        and pi["xid"] == ds["xid"] == auth["xid"]
    )


def test_set_gateway_swap(market: Market):
    """A PI opened by a dishonest gateway is sealed again to an honest one, which it never named."""
    market.permit(market.alpha, market.anna)
    bad, opener = dishonest_gateway(market)
    roles = Roles(merchant=market.roles.merchant, gateway=bad.certificate, issuer=market.roles.issuer)
    made = Purchase(market, market.anna, roles=roles).instruct()
    opened = opened_by(opener, market.sealed(opener, wire.encode(made.pi), oids.PLAIN_PI))
    pi = wire.decode(opened)
    again = market.sealed(market.gateway_opener, opened, oids.PLAIN_PI)
    auth = made.auth(to=[market.acquirer.name, market.bank.name])
    # the old form: neither DS nor PI names a gateway
    old_pi = bare(pi, "gateway", "issuer")
    old_ds = bare(made.ds.document, "gateway", "issuer") | {"hPI": b64u(instruction_digest(old_pi))}
    assert set_gateway(old_ds, old_pi, read_act(auth).document, commitment_of(made.ds.certificate))
    # ours
    refused("wrong-audience", _read_ds_as_gateway, market, made)
    answer = made.ask_gateway(auth, pi=again)
    assert (answer.type, answer.document["rule"]) == ("e2s/1/authres-refused", "wrong-audience")
    # even when the card-holder named the honest gateway's party beside the dishonest one's certificate
    made = Purchase(market, market.anna, roles=roles)
    made.changes = {
        "DS": {"to": market.roles.readers},
        "PI": {"to": [market.acquirer.name, market.bank.name]},
    }
    answer = made.instruct().ask_gateway()
    assert answer.document["rule"] == "other-gateway"
    assert payments(market) == []


def _read_ds_as_gateway(market: Market, made: Purchase) -> None:
    from e2s.commerce.acts import received

    received(
        made.ds,
        forms.PAY,
        trust=market.trust,
        to=market.acquirer.name,
        role="card-holder",
        at=market.clock.now(),
    )


# ------------------------------------------------------------------ SET's second defect


def set_merchant(asked: Document, answer: Document) -> bool:
    """What a SET merchant could check in AuthRes: transaction and amount."""
    return (answer["xid"], answer["amount"]) == (asked["xid"], asked["amount"])


def answered_by(market: Market, made: Purchase, authres: bytes) -> None:
    """Let the gateway's door answer with ``authres``; the payment component's own refusal comes out."""
    sealed = market.sealed(market.till_opener, authres)

    def fault(_origin, request, deliver):
        return Response(200, sealed) if request.path == "/payment/authorise" else deliver(request)

    market.exchange.faults.append(fault)
    try:
        market.till_says("/pay", parcel=b64u(made.preq()), contract=made.contract)
        Asking(market.till).ask(b64u(made.xid))
    finally:
        market.exchange.faults.remove(fault)


def payment_state(market: Market, made: Purchase) -> str:
    with market.till.store.reading() as connection:
        row = till_store.payment(connection, b64u(made.xid))
    assert row is not None
    return row.state


def test_set_merchant_swap(market: Market, paying: Purchase):
    """The answer to another merchant, same transaction and amount, is shown to this one."""
    shop = (market.name("watt"), "https://127.0.0.1:9443")
    other = market.pki.signer("merchant-payment", shop)
    roles = Roles(merchant=other.certificate, gateway=market.roles.gateway, issuer=market.roles.issuer)
    theirs = Purchase(
        market, market.anna, roles=roles, xid=paying.xid, cid=paying.cid, trade=paying.trade
    ).instruct()
    decision = theirs.ask_issuer(auth=theirs.auth(signer=other))
    answer = theirs.authres(decision, to=[other.certificate.name, market.anna.signer.certificate.name])
    assert decision.document["result"] == "approved"
    assert set_merchant(read_act(paying.auth()).document, read_act(answer).document)
    refused("wrong-audience", answered_by, market, paying, answer)
    # and if the gateway addressed it to this merchant too, it still names the other one, or another DS
    answer = theirs.authres(decision)
    refused("other-dual-signature", answered_by, market, paying, answer)
    mine = names_of(paying.ds)
    answer = theirs.authres(decision, ds=mine["ds"])
    refused("other-merchant", answered_by, market, paying, answer)
    assert payment_state(market, paying) == "asking"
    assert "pres" not in paying.state()


def test_other_holders_ds_same_xid(market: Market, paying: Purchase):
    """Bert ordered the same transaction, amount and merchant: his approval is not Anna's."""
    market.permit(market.beta, market.bert)
    theirs = Purchase(market, market.bert, xid=paying.xid, cid=paying.cid, trade=paying.trade).instruct()
    decision = theirs.ask_issuer()
    answer = theirs.authres(decision)
    assert set_merchant(read_act(paying.auth()).document, read_act(answer).document)
    refused("other-dual-signature", answered_by, market, paying, answer)
    said = names_of(paying.ds)
    answer = theirs.authres(decision, ds=said["ds"])
    refused("other-holder", answered_by, market, paying, answer)
    # a gateway that names Anna's over Bert's decision is caught by the decision inside
    answer = theirs.authres(decision, ds=said["ds"], holder=said["holder"], req=asked_id(market, paying))
    refused("other-dual-signature", answered_by, market, paying, answer)
    assert payment_state(market, paying) == "asking"


def asked_id(market: Market, made: Purchase) -> str:
    """``#AuthReq`` as the payment component committed it."""
    from e2s.crypto.acts import act_id

    with market.till.store.reading() as connection:
        row = till_store.payment(connection, b64u(made.xid))
    assert row is not None
    return act_id(wire.decode(row.auth_doc), [row.ds])


# ------------------------------------------------------------------ what the merchant must not accept


def test_ds_for_other_contract(market: Market, paying: Purchase):
    """A dual signature for one contract is shown with another."""
    other = Purchase(market, market.anna, trade=paying.trade)
    other.pinit()
    refused("other-transaction", pay, market, paying, other.contract)
    # signed for the other's transaction, but this contract
    mixed = Purchase(market, market.anna, cid=paying.cid, trade=paying.trade, xid=other.xid).instruct()
    refused("other-contract", pay, market, mixed, other.contract)
    # the contract's, but the order information holds other lines of the same total
    lines = [{**line, "text": "Something else"} for line in LINES]
    changed = Purchase(market, market.anna, lines=lines, cid=paying.cid, trade=paying.trade, xid=paying.xid)
    refused("other-contract", pay, market, changed.instruct(), paying.contract)
    # the right dual signature with order information that it does not cover
    swapped = Purchase(market, market.anna, lines=lines, cid=paying.cid, xid=paying.xid).instruct()
    swapped.ds = paying.ds
    refused("instruction-differs", pay, market, swapped, paying.contract)
    assert paying.state() == {"state": "none"}


def pay(market: Market, made: Purchase, contract: Document) -> Document:
    return market.till_says("/pay", parcel=b64u(made.preq()), contract=contract)


def test_pi_copied_by_other_holder(market: Market):
    """Bert copies Anna's sealed PI and its digest into a dual signature of his own."""
    market.permit(market.alpha, market.anna)
    market.permit(market.beta, market.bert)
    anna = Purchase(market, market.anna).instruct()
    copied = anna.envelopes()[0]
    bert = Purchase(
        market, market.bert, xid=anna.xid, changes={"DS": {"hPI": anna.ds.document["hPI"]}}
    ).instruct()
    answer = bert.ask_gateway(pi=copied)
    assert answer.document["rule"] == "other-holder"
    # nor does the bank take a gateway's word for it
    decision = bert.ask_issuer(pi=wire.encode(anna.pi))
    assert (decision.document["result"], decision.document["reason"]) == ("declined", "other-holder")
    # nor Anna's card number under Bert's name
    thief = Purchase(market, market.bert, card=market.anna.card).instruct()
    assert thief.ask_gateway().document["rule"] == "other-card"
    assert thief.ask_issuer().document["reason"] == "other-card"


def test_xid_reused(market: Market, paying: Purchase):
    """A second order under a transaction that is known: at the merchant, the gateway and the bank."""
    assert paying.pay()["state"] == "authorised"
    second = Purchase(market, market.anna, cid=paying.cid, trade=paying.trade, xid=paying.xid).instruct()
    refused("xid-reused", pay, market, second, paying.contract)
    refused("xid-reused", second.ask_gateway)
    refused("xid-reused", second.ask_issuer)
    refused("xid-reused", second.inquire)
    assert [state for _, state, _ in payments(market)] == ["held"]


def test_amount_raised(market: Market, paying: Purchase):
    """The merchant, or the gateway, asks for more than the card-holder signed."""
    more = f"{float(paying.sums['total']) + 100:.2f}"
    raised = paying.auth(amount=more)
    assert paying.ask_gateway(raised).document["rule"] == "other-amount"
    refused("other-amount", paying.ask_issuer, auth=raised)
    # in PI or in OI, where the card-holder would have signed it herself, it contradicts the dual signature
    for name, member in (("PI", "amount"), ("OI", "total")):
        made = Purchase(market, market.anna, changes={name: {member: more}})
        made.pinit()
        made.instruct()
        if name == "PI":
            made.changes = {}
            made.ds = read_act(
                sign_act({**made.ds.document, "amount": made.sums["total"]}, (), made.signer, made.began)
            )
            assert made.ask_gateway().document["rule"] == "other-amount"
            assert made.ask_issuer().document["reason"] == "other-amount"
        else:
            refused("false-total", pay, market, made, made.contract)
    assert all(state == "declined" for _, state, _ in payments(market))


def test_double_authorisation(market: Market):
    """Repeated at every hop, the same request holds the money once."""
    made = Purchase(market, market.anna, lines=one_line("40"))
    market.permit(market.alpha, market.anna, per_purchase="40.00", per_period="80.00")
    for path in ("/payment/authorise", "/payment/issue", "/pay"):
        market.exchange.faults.append(duplicate(to(path)))
    first = made.pay()
    market.exchange.faults.clear()
    assert (made.pay()["pres"], first["state"]) == (first["pres"], "authorised")
    market.payment.tick()
    market.gateway.tick()
    assert payments(market) == [(market.anna.id, "held", "40.00")]
    assert Purchase(market, market.anna, lines=one_line("40")).pay()["state"] == "authorised"
    assert Purchase(market, market.anna, lines=one_line("40")).pay()["state"] == "declined"


def test_second_xid_live(market: Market, paying: Purchase):
    """One contract, two transactions: the second gets nothing while the first holds or took money."""
    paying.ask_issuer()
    second = Purchase(market, market.anna, cid=paying.cid).instruct()
    assert second.ask_issuer().document["reason"] == "second-xid-live"
    market.clock.forward(days=8)  # expired still counts
    market.issuer.tick()
    third = Purchase(market, market.anna, cid=paying.cid).instruct()
    assert third.ask_issuer().document["reason"] == "second-xid-live"
    paying.give_back()
    fourth = Purchase(market, market.anna, cid=paying.cid).instruct()
    assert fourth.ask_issuer().document["result"] == "approved"
    fourth.capture()
    fifth = Purchase(market, market.anna, cid=paying.cid).instruct()
    assert fifth.ask_issuer().document["reason"] == "second-xid-live"


def test_gateway_invents_payment(market: Market, paying: Purchase):
    """A gateway wants money that nobody ordered, or says approved where the bank did not."""
    # in the merchant's place
    refused("wrong-purpose", paying.ask_issuer, auth=paying.auth(signer=market.gateway_signer))
    # with a card-holder of its own making
    holder = KeySigner(*market.pki.issue("card-holder", market.name("bank:card:0000"), pan_commit=bytes(32)))
    invented = Purchase(market, market.anna, payer_signer=holder).instruct()
    refused("unknown-card", invented.ask_issuer)
    # through a gateway that the card-holder did not name
    bad, _ = dishonest_gateway(market)
    refused("other-gateway", paying.ask_issuer, signer=bad)
    # an order of another merchant's
    other = market.pki.signer("merchant-payment", (market.name("watt"), "https://127.0.0.1:9443"))
    refused("other-merchant", paying.ask_issuer, auth=paying.auth(signer=other))
    assert payments(market) == []
    # approved, over a decision that says declined
    market.permit(market.alpha, market.anna, per_purchase="0.01")
    paying.asked = paying.auth()
    decision = paying.ask_issuer(auth=paying.asked)
    market.exchange.doors.pop(GATEWAY)
    pay(market, paying, paying.contract)
    market.exchange.doors[GATEWAY] = market.gateway.handle
    answer = paying.authres(decision, result="approved", req=asked_id(market, paying))
    refused("gateway-invents", answered_by, market, paying, answer)
    # approved, over its own word in the bank's place
    said = read_act(answer).inner().document | {
        "from": market.gateway_signer.certificate.id,
        "result": "approved",
    }
    forged = read_act(sign_act(said, (), market.gateway_signer, market.clock.now()))
    refused(
        "wrong-purpose", answered_by, market, paying, paying.authres(forged, req=asked_id(market, paying))
    )
    assert payment_state(market, paying) == "asking"


def test_merchant_claims_approval(market: Market, paying: Purchase):
    """A merchant captures what was declined, or approved by nobody but itself."""
    market.permit(market.alpha, market.anna, per_purchase="0.01")
    decision = paying.ask_issuer()
    assert decision.document["result"] == "declined"
    refused("other-signer", paying.capture, authres=paying.authres(signer=market.till_signer))
    refused("not-approved", paying.capture, authres=paying.authres(result="approved"))
    said = {**decision.document, "from": market.till_signer.certificate.id, "result": "approved"}
    forged = read_act(sign_act(said, (), market.till_signer, market.clock.now()))
    refused("not-approved", paying.capture, authres=paying.authres(forged))
    # nor with the approval of another payment
    market.permit(market.alpha, market.anna)
    good = Purchase(market, market.anna).instruct()
    refused(
        "other-transaction", paying.capture, authres=paying.authres(good.ask_issuer(), xid=b64u(good.xid))
    )
    assert sorted(state for _, state, _ in payments(market)) == ["declined", "held"]


# ------------------------------------------------------------------ captures


def test_capture_over_hold(market: Market, paying: Purchase):
    paying.ask_issuer()
    refused("capture-over-hold", paying.capture, amount="1000.00")
    refused("partial-capture", paying.capture, amount="1.00")
    refused("other-amount", paying.capture, currency="USD", amount=paying.sums["total"])
    # the gateway sees it first
    answer = Purchase(market, market.anna).instruct()
    gave = answer.ask_gateway()
    parcel = write_parcel("e2s/1/capture", answer.claim_items(authres=gave.octets, amount="1000.00"))
    sealed = market.sealed(market.gateway_opener, parcel, oids.PLAIN_PARCEL)
    refused("capture-over-hold", market.send, GATEWAY, "/payment/capture", sealed)
    assert {state for _, state, _ in payments(market)} == {"held"}


def test_double_capture(market: Market, paying: Purchase):
    paying.ask_issuer()
    authres = paying.authres()
    first = paying.claim(authres=authres)
    assert read_act(market.send(ISSUER, "/payment/capture", first)).document["result"] == "captured"
    assert read_act(market.send(ISSUER, "/payment/capture", first)).document["result"] == "captured"
    market.clock.forward(minutes=1)
    refused("double-capture", paying.capture, authres=authres)
    refused("other-transaction", paying.capture, authres=authres, n=2)
    assert len(market.statement(market.alpha, 1).document["entries"]) == 1
    refused("nothing-to-state", market.statement, market.alpha, 2)


def test_capture_after_reversal(market: Market, paying: Purchase):
    paying.ask_issuer()
    authres = paying.authres()
    assert paying.give_back(paying.authrev(authres)).document["result"] == "void"
    assert paying.capture(authres=authres).document["result"] == "void"
    refused("nothing-to-state", market.statement, market.alpha, 1)
    # and a reversal after the capture finds the money gone
    other = Purchase(market, market.anna).instruct()
    other.ask_issuer()
    authres = other.authres()
    assert other.capture(authres=authres).document["result"] == "captured"
    assert other.give_back(other.authrev(authres)).document["result"] == "captured"


def test_lines_differ_from_oi(market: Market, paying: Purchase):
    """The statement shows the lines that the card-holder signed, or nothing is captured."""
    paying.ask_issuer()
    authres = paying.authres()
    dear = [{**line, "text": "Gold"} for line in paying.oi["lines"]]
    refused("lines-differ", paying.capture, authres=authres, lines={"lines": dear})
    refused("lines-differ", paying.capture, authres=authres, lines={"oi": "sha-256:" + b64u(bytes(32))})
    other = {**paying.oi, "lines": dear}
    refused("instruction-differs", paying.capture, authres=authres, oi=other)
    refused("instruction-differs", paying.capture, authres=authres, oi={**paying.oi, "salt": b64u(bytes(32))})
    less = paying.delivery(paying.pres(authres), lines=[{"n": 1, "qty": "999"}, {"n": 2, "qty": "2"}])
    refused("lines-differ", paying.capture, authres=authres, delivery=less)
    # a delivery of another payment, by another merchant, or over nothing
    for changes in (
        {"xid": b64u(bytes(20))},
        {"cid": "sha-256:" + b64u(bytes(32))},
        {"trade": b64u(bytes(16))},
    ):
        strange = _delivery(paying, authres, **changes)
        refused("other-delivery", paying.capture, authres=authres, delivery=strange)
    bare_delivery = paying.delivery(paying.pres(authres), over=[])
    refused("wrong-nesting", paying.capture, authres=authres, delivery=bare_delivery)
    watt = market.pki.signer("merchant", (market.name("watt"), "https://127.0.0.1:9443"))
    refused(
        "wrong-name",
        paying.capture,
        authres=authres,
        delivery=paying.delivery(paying.pres(authres), signer=watt),
    )
    # stamped for something else, or at an impossible time
    delivery = paying.delivery(paying.pres(authres))
    refused("wrong-imprint", paying.capture, authres=authres, delivery=delivery, token=market.stamp(authres))
    early = market.clock.now() - timedelta(days=1)
    refused("impossible-stamp", paying.capture, authres=authres, delivery=delivery, stamped=early)
    assert [state for _, state, _ in payments(market)] == ["held"]
    assert paying.capture(authres=authres, delivery=delivery).document["result"] == "captured"


def _delivery(made: Purchase, authres: bytes, **changes: Any) -> bytes:
    trade, made.trade = made.trade, changes.pop("trade", made.trade)
    try:
        return made.delivery(made.pres(authres), **changes)
    finally:
        made.trade = trade


def test_lines_of_a_kind_that_was_not_disclosed(market: Market):
    """A card limited to resistors is told of resistors, and the lines turn out to be books."""
    market.permit(market.alpha, market.anna, classes=("resistor",))
    honest = Purchase(market, market.anna).instruct()
    assert honest.ask_issuer().document["reason"] == "class-not-permitted"
    silent = Purchase(market, market.anna, classes=[]).instruct()
    assert silent.ask_issuer().document["reason"] == "class-not-disclosed"
    lying = Purchase(market, market.anna, classes=["resistor"]).instruct()
    assert lying.ask_issuer().document["result"] == "approved"
    refused("class-not-disclosed", lying.capture)


def test_ds_after_until(market: Market, paying: Purchase):
    """An order that has lapsed is not authorised: not by the merchant, the gateway or the bank."""
    market.clock.at = paying.until
    refused("ds-after-until", pay, market, paying, paying.contract)
    assert paying.ask_gateway().document["rule"] == "ds-after-until"
    decision = paying.ask_issuer()
    assert (decision.document["result"], decision.document["reason"]) == ("declined", "ds-after-until")
    # nor may it last beyond the contract
    long = Purchase(market, market.anna, lasts=timedelta(hours=3))
    long.pinit()
    refused("ds-after-until", pay, market, long.instruct(), long.contract)


# ------------------------------------------------------------------ every field of the dual signature


@pytest.mark.parametrize(
    "member", ["xid", "cid", "amount", "currency", "merchant", "gateway", "issuer", "hPI", "hSI"]
)
def test_altered_member_of_the_dual_signature(market: Market, paying: Purchase, member: str):
    """Altered after signing nothing verifies; signed like that, the instructions contradict it."""
    values = {
        "xid": b64u(bytes(20)),
        "amount": "1.00",
        "currency": "USD",
        "hPI": b64u(bytes(32)),
        "hSI": b64u(bytes(32)),
    }
    value = values.get(member, "sha-256:" + b64u(bytes(32)))
    altered = {**paying.ds.document, member: value}
    octets = paying.ds.octets.replace(wire.encode(paying.ds.document), wire.encode(altered))
    if len(wire.encode(altered)) == len(wire.encode(paying.ds.document)):
        paying.ds = read_act(octets)
        refused("altered-content", pay, market, paying, paying.contract)
    paying.ds = read_act(sign_act(altered, (), paying.signer, paying.began))
    paying.asked = paying.auth()
    try:
        decision = paying.ask_issuer()
    except Refusal as refusal:
        assert refusal.rule.startswith("other-") or refusal.rule == "bad-document"
    else:
        assert decision.document["result"] == "declined"
    assert all(state == "declined" for _, state, _ in payments(market))


def test_certificates_of_another_kind_time_or_community(market: Market, tmp_path):
    """Expired, revoked, of another purpose or another community: the bank decides nothing."""
    from tests.worlds.market import make_keys

    (tmp_path / "own").mkdir()
    own = Market(tmp_path / "own", keys=make_keys())
    own.permit(own.alpha, own.anna)
    made = Purchase(own, own.anna).instruct()
    strange = make_keys("market")
    refused("unknown-root", made.ask_issuer, signer=strange.gateway_signer)
    refused("unknown-root", made.ask_issuer, auth=made.auth(signer=strange.till_signer))
    refused("wrong-purpose", made.ask_issuer, signer=own.merchant)
    own.pki.revoke(own.anna.signer.certificate, own.clock.now())
    refused("revoked", made.ask_issuer)
    assert made.ask_gateway().document["rule"] == "revoked"
    own.clock.forward(days=800)
    refused("expired", made.ask_issuer)
    assert payments(own) == []
    own.close()


def test_unpredictable_salts(market: Market):
    one, two = (Purchase(market, market.anna, cid="sha-256:" + b64u(bytes(32))).instruct() for _ in range(2))
    assert all(one.ds.document[h] != two.ds.document[h] for h in ("hPI", "hOI", "hSI"))
