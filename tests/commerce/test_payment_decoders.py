"""Garbage, and good messages with a few octets changed: refusals that name their rule, and nothing else."""

from __future__ import annotations

import atexit
import secrets
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.base.http import Request
from e2s.base.wire import b64u
from e2s.commerce.bankcard import store as bank_store
from e2s.commerce.payment.documents import LI, OI, PI, SI
from e2s.commerce.payment.instructions import check_payment_instruction, read_instruction
from e2s.crypto import oids
from e2s.crypto.acts import write_parcel
from tests.worlds.market import GATEWAY, ISSUER, Market
from tests.worlds.payer import Purchase

DOORS = [
    (GATEWAY, "/payment/authorise"),
    (GATEWAY, "/payment/capture"),
    (GATEWAY, "/payment/reverse"),
    (ISSUER, "/payment/issue"),
    (ISSUER, "/payment/reverse-unanswered"),
    (ISSUER, "/payment/capture"),
    (ISSUER, "/payment/reverse"),
    (ISSUER, "/inquiry"),
    (ISSUER, "/controls"),
    (ISSUER, "/statement"),
]
LABELS = ["e2s/1/authreq", "e2s/1/authiss", "e2s/1/capture", "e2s/1/li", "e2s/1/preq"]


@cache
def world() -> tuple[Market, Purchase]:
    """One market for all examples: what is refused leaves no trace in it."""
    folder = Path(mkdtemp(prefix="e2s-decoders-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    market = Market(folder)
    market.permit(market.alpha, market.anna)
    made = Purchase(market, market.anna)
    made.pinit()
    made.instruct()
    return market, made


def untouched(market: Market) -> bool:
    with market.bank.store.reading() as connection:
        return connection.execute(bank_store.PAYMENT.select()).first() is None


def answered(origin: str, path: str, body: bytes) -> None:
    """The door refuses by a rule, in words."""
    market, _ = world()
    response = market.exchange.send(origin, Request("POST", path, body))
    assert response.status == 400
    assert response.headers["e2s-rule"]
    assert response.body
    assert untouched(market)


@pytest.mark.parametrize(("origin", "path"), DOORS)
@given(body=st.binary(max_size=400))
def test_garbage_at_a_door(origin, path, body):
    answered(origin, path, body)


@pytest.mark.parametrize(("origin", "path"), DOORS)
@given(
    content=st.binary(max_size=200),
    kind=st.sampled_from([oids.ACT, oids.PLAIN_PARCEL, oids.PLAIN_PI, oids.DATA]),
)
def test_garbage_in_an_envelope(origin, path, content, kind):
    market, _ = world()
    opener = market.gateway_opener if origin == GATEWAY else market.issuer_opener
    answered(origin, path, market.sealed(opener, content, kind))


@given(label=st.sampled_from(LABELS), items=st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_garbage_in_a_parcel(label, items):
    market, _ = world()
    parcel = write_parcel(label, items)
    for origin, path in DOORS:
        opener = market.gateway_opener if origin == GATEWAY else market.issuer_opener
        answered(origin, path, market.sealed(opener, parcel, oids.PLAIN_PARCEL))


def spoiled(octets: bytes, places: list[int], values: list[int]) -> bytes:
    """``octets`` with some octets set; always another value."""
    changed = bytearray(octets)
    for place, value in zip(places, values, strict=False):
        changed[place % len(changed)] ^= value or 1
    return bytes(changed)


CHANGES = {
    "places": st.lists(st.integers(0, 2**16), min_size=1, max_size=4, unique=True),
    "values": st.lists(st.integers(1, 255), min_size=4, max_size=4),
}


@given(**CHANGES)
def test_mutated_act_of_a_good_request(places, values):
    """The auth act, inside an honest parcel, with octets changed wherever it may be."""
    market, made = world()
    pi, si = made.envelopes()
    parcel = write_parcel("e2s/1/authreq", [spoiled(made.auth(), places, values), pi, si])
    body = market.sealed(market.gateway_opener, parcel, oids.PLAIN_PARCEL)
    response = market.exchange.send(GATEWAY, Request("POST", "/payment/authorise", body))
    # a changed signature value of the inner act cannot be told from a wrong one: refused all the same
    assert response.status == 400
    assert untouched(market)


@given(**CHANGES)
def test_mutated_authiss(places, values):
    _, made = world()
    body = spoiled(made.authiss(), places, values)
    answered(ISSUER, "/payment/issue", body)


@given(**CHANGES)
def test_mutated_dual_signature_at_the_merchant(places, values):
    market, made = world()
    pi, si = made.envelopes()
    parcel = write_parcel(
        "e2s/1/preq", [spoiled(made.ds.octets, places, values), wire.encode(made.oi), pi, si]
    )
    with pytest.raises(Refusal) as caught:
        market.till_says("/pay", parcel=b64u(parcel), contract=made.contract)
    assert caught.value.rule
    assert made.state() == {"state": "none"}


@given(
    body=st.binary(max_size=300), path=st.sampled_from(["/pinit", "/pay", "/state", "/capture", "/reverse"])
)
def test_garbage_from_purchasing(body, path):
    market, _ = world()
    with pytest.raises(Refusal):
        market.payment_link.ask(path, body)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(member=st.integers(0, 30), value=_VALUES, form=st.sampled_from(["PI", "OI", "SI"]))
def test_instruction_with_any_value(member, value, form):
    """One member replaced by anything: refused, unless it is the value that was there."""
    _, made = world()
    document, known = {"PI": (made.pi, PI), "OI": (made.oi, OI), "SI": (made.si, SI)}[form]
    name = sorted(document)[member % len(document)]
    try:
        octets = wire.encode({**document, name: value})
    except Exception:  # noqa: BLE001 - what has no canonical form cannot be sent as one
        octets = b"{}"
    with pytest.raises(Refusal):
        read_instruction(octets, known, reader=made.market.bank.name, digest=made.ds.document[f"h{form}"])


@given(octets=st.binary(max_size=300))
def test_garbage_instruction(octets):
    for form in (PI, OI, SI, LI):
        with pytest.raises(Refusal):
            read_instruction(octets, form, reader="urn:e2s:market:bank")


@given(
    member=st.sampled_from(
        ["xid", "merchant", "gateway", "issuer", "amount", "currency", "holder", "pan", "panSecret"]
    )
)
def test_each_member_of_pi_counts(member):
    _, made = world()
    other = {"panSecret": b64u(secrets.token_bytes(32))}.get(member, "other")
    with pytest.raises(Refusal):
        check_payment_instruction({**made.pi, member: other}, made.ds.document, made.ds.certificate)
    check_payment_instruction(made.pi, made.ds.document, made.ds.certificate)
