"""Whatever comes in a session is of the form that its operation has, or refused before anything is looked at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.wire import b64u
from e2s.commerce.purchasing import store
from e2s.commerce.purchasing.requests import ARGUMENTS
from e2s.network.sessions.calls import Call
from e2s.network.sessions.merchant import Caller
from tests.worlds.shop import ShopWorld

JSON = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
)
DIGEST = "sha-256:" + "A" * 43
TRADE = b64u(b"t" * 16)
GOOD: dict[str, dict[str, Any]] = {
    "search": {"q": "r", "class": "Resistor", "offset": 0, "limit": 5},
    "item": {"sku": "R:10K"},
    "basket": {"lines": [{"sku": "R:10K", "qty": "1"}]},
    "offer": {
        "trade": TRADE,
        "list": DIGEST,
        "lines": [{"sku": "R:10K", "qty": "1"}],
        "deliverTo": "Dock 3",
        "buyer": DIGEST,
    },
    "accept": {"trade": TRADE, "act": b64u(b"act")},
    "pinit": {"trade": TRADE, "cid": DIGEST, "nC": b64u(b"n" * 32), "brand": "E2S", "issuer": "urn:bank"},
    "pay": {"trade": TRADE, "parcel": b64u(b"parcel")},
    "status": {"trade": TRADE},
    "receipt": {"trade": TRADE, "act": b64u(b"act")},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    world = ShopWorld(tmp_path_factory.mktemp("shop"))
    world.load()
    return world


@pytest.fixture(scope="module")
def anna(shop):
    return shop.person()


def test_every_operation_is_tried():
    assert GOOD.keys() == ARGUMENTS.keys()


@given(op=st.sampled_from(sorted(GOOD)), data=st.data())
def test_a_request_of_another_form_is_refused(shop, anna, op, data):
    args = dict(GOOD[op])
    member = data.draw(st.sampled_from([*sorted(args), "other"]))
    if data.draw(st.booleans()):
        args.pop(member, None)
    else:
        args[member] = data.draw(JSON)
    before = trades(shop)
    try:
        shop.purchasing.serve(anna.caller, Call("r", op, args))
    except Refusal:
        assert trades(shop) == before


@given(data=st.binary(max_size=300), op=st.sampled_from(["accept", "pay", "receipt"]))
def test_garbage_for_an_act_is_refused(shop, anna, data, op):
    member = "parcel" if op == "pay" else "act"
    with pytest.raises(Refusal):
        shop.ask(anna, op, **{**GOOD[op], member: b64u(data)})
    assert trades(shop) == 0


def test_unknown_operations_are_refused(shop, anna):
    with pytest.raises(Refusal, match="unknown-operation"):
        shop.ask(anna, "capture")


def test_a_certificate_that_names_no_organisation_is_nobodys(shop):
    lone = shop.pki.signer("buyer-session", "urn:e2s:market:alpha:anna")
    crossed = shop.pki.signer("buyer-session", ("urn:e2s:market:beta:anna", "urn:e2s:market:alpha"))
    for signer in (lone, crossed):
        with pytest.raises(Refusal, match="no-organisation"):
            shop.purchasing.serve(Caller(signer.certificate), Call("r", "status", {"trade": TRADE}))


def trades(shop):
    with shop.purchasing.counter.store.reading() as connection:
        return len(connection.execute(store.TRADE.select()).all())
