"""Downgrade: what an intruder, a relay or a dishonest end can do to the offers of a session, and to its keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto import suites
from e2s.crypto.acts import read_act, read_parcel, write_parcel
from e2s.crypto.exchange import Ephemeral
from e2s.network.sessions.calls import PAGE_PATH, Call, write_call
from e2s.network.sessions.local import alter_answer, to
from e2s.network.sessions.offers import Offer, common_suites, offer
from e2s.network.sessions.pages import PAGE, make_page, read_page
from e2s.network.sessions.records import Kind
from tests.network.market import SUITES, Market
from tests.network.settings import Randomness
from tests.worlds.pki import SetClock

HYBRID = "p384-ml-kem-1024-hkdf-sha384-aes256gcm"
X_HYBRID = "x25519-ml-kem-768-hkdf-sha256-aes256gcm"
P384, P256 = "p384-hkdf-sha384-aes256gcm", "p256-hkdf-sha256-aes256gcm"
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def refused(rule: str, saying: str = ""):
    return pytest.raises(Refusal, check=lambda refusal: refusal.rule == rule and saying in refusal.message)


def rewritten(page_answer: bytes, **changes: Any) -> bytes:
    page, *certificates = read_parcel(page_answer, PAGE)
    return write_parcel(PAGE, [wire.encode({**wire.decode(page), **changes}), *certificates])


def suite_of(market: Market, **choice: Any) -> str:
    """The suite of a session that both ends agree on and use."""
    login = market.begin(**choice)
    answer = market.volt.sessions.login(login.octets)
    session = market.finish(login, answer)
    sealed = session.channel.seal(Kind.REQUEST, write_call(Call("r", "search")))
    market.volt.sessions.receive(sealed, market.volt.serve)
    found: str = read_act(answer).document["kex"]["suite"]
    return found


# ------------------------------------------------------------------ what two places agree on


@pytest.mark.parametrize(
    ("here", "there", "suite"),
    [
        ("*", "*", HYBRID),
        ("DE", "DE", HYBRID),
        ("FR", "US", HYBRID),
        ("IT", "JP", HYBRID),
        ("DE", "FR", HYBRID),
    ],
)
def test_two_places_agree_on_the_strongest_that_both_permit(here, there, suite):
    assert suite_of(Market(location=here), location=there) == suite


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_carries_a_session(name):
    market = Market(suites=(name,))
    assert suite_of(market) == name
    assert market.visit().ask("search", {"q": "x"})["echo"] == {"q": "x"}


@pytest.mark.parametrize(
    ("ours", "theirs", "taken"),
    [
        ((X_HYBRID, P256), SUITES, X_HYBRID),
        (SUITES, (P256, P384), P384),
        ((P256, P384), (P384, P256), P384),
        ((P256, HYBRID), (P256,), P256),
    ],
)
def test_the_order_is_the_protocols_not_an_offers(ours, theirs, taken):
    market = Market(suites=ours)
    assert suite_of(market, suites=theirs) == taken


def test_the_whole_offer_of_both_ends_is_under_the_buyers_signature():
    market = Market(location="DE")
    login = market.begin(location="FR")
    document = market.opened(login).document
    assert document["location"] == "FR"
    assert document["suites"] == list(suites.permitted("session", "FR", "FR", at=market.clock.now()))
    assert document["signatures"] == list(suites.permitted("signature", "FR", "FR", at=market.clock.now()))
    page = read_page(wire.unb64u(document["page"]))
    assert page.offer == market.volt.shop.offer(page.at)
    assert [item["suite"] for item in document["kex"]] == [HYBRID, P384, P256]


# ------------------------------------------------------------------ an intruder alters the page

ALTERED = [
    {"suites": [P256]},
    {"suites": [P384, P256]},
    {"suites": list(reversed(SUITES))},
    {"suites": [*SUITES, "rot13"]},
    {"suites": [*SUITES, SUITES[0]]},
    {"signatures": ["p256-sha256"]},
    {"signatures": ["p256-sha256", "rsa3072-pkcs1-sha256"]},
    {"location": "DE"},
    {"location": "US-CA"},
]


@pytest.mark.parametrize("changes", ALTERED, ids=str)
def test_page_offer_altered(changes):
    """The wallet can't know; what it signs holds the altered page, and the merchant knows its own."""
    market = Market()
    login = market.begin(rewritten(market.volt.sessions.page(), **changes))
    with refused("suite-stripped"):
        market.volt.sessions.login(login.octets)
    assert len(market.volt.sessions) == 0


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"suites": ["rot13"]}, "suite-not-permitted"),
        ({"suites": []}, "bad-document"),
        ({"signatures": []}, "bad-document"),
        ({"signatures": ["p384-sha384"]}, "suite-not-permitted"),
        ({"location": "US-NSS"}, "suite-not-permitted"),
        ({"location": "nowhere"}, "bad-document"),
        ({"location": ""}, "bad-document"),
        ({"suites": ["x"] * 17}, "bad-document"),
    ],
    ids=str,
)
def test_page_offer_altered_until_the_wallet_can_use_nothing(changes, rule):
    market = Market()
    with refused(rule):
        market.begin(rewritten(market.volt.sessions.page(), **changes))


def test_page_offer_widened_to_what_the_merchants_place_bars():
    """The merchant in Germany is made to seem to offer X25519; the wallet's share for it is not taken."""
    market = Market(location="DE")
    page = rewritten(market.volt.sessions.page(), suites=list(SUITES))
    with refused("suite-stripped"):
        market.volt.sessions.login(market.begin(page).octets)


def test_page_offer_of_another_place_swapped_in():
    """A page's offer is replaced by that of the same shop's office elsewhere."""
    market = Market(location="DE")
    other = offer("US-NSS", at=market.clock.now())
    with refused("suite-not-permitted", "ecdsa-256 for authentication at US-NSS: at least 384"):
        market.begin(rewritten(market.volt.sessions.page(), **other.document()))


def test_page_stripped_on_the_wire_ends_the_visit():
    market = Market(location="DE")
    market.exchange.faults.append(
        alter_answer(to(PAGE_PATH), lambda r: replace(r, body=rewritten(r.body, suites=[P256])))
    )
    with refused("suite-stripped"):
        market.visit(location="DE")
    assert len(market.volt.sessions) == 0


# ------------------------------------------------------------------ an intruder alters the login


@pytest.mark.parametrize(
    "changes",
    [
        {"suites": [P256]},
        {"signatures": ["p256-sha256"]},
        {"location": "JP"},
        {"kex": []},
    ],
    ids=str,
)
def test_login_offer_altered(changes):
    """Only Ba's signature makes a login hers: Mallory's alteration is Mallory's login."""
    market = Market()
    login = market.begin()
    document = {**market.opened(login).document, **changes}
    if document["kex"]:
        document["kex"] = [item for item in document["kex"] if item["suite"] in document["suites"]]
    try:
        answer = market.volt.sessions.login(market.sealed(document, market.buyer("mallory")))
    except Refusal as refusal:
        assert refusal.rule == "bad-document"
    else:
        with refused("wrong-audience"):
            market.finish(login, answer)


def test_login_with_fewer_shares_than_both_offer():
    """A wallet that was talked out of sending the strong share has still signed that it takes it."""
    market = Market()
    document = market.opened(market.begin()).document
    for kex in (document["kex"][1:], document["kex"][:-1], list(reversed(document["kex"]))):
        with refused("suite-stripped"):
            market.volt.sessions.login(market.sealed({**document, "kex": kex}, market.anna))
    assert len(market.volt.sessions) == 0


def test_login_with_a_share_that_one_end_does_not_offer():
    market = Market(location="DE")
    document = market.opened(market.begin()).document
    share = wire.b64u(Ephemeral(X_HYBRID, market.random).share)
    for where in (0, 1, len(document["kex"])):
        kex = list(document["kex"])
        kex.insert(where, {"suite": X_HYBRID, "share": share})
        with refused("suite-stripped"):
            market.volt.sessions.login(market.sealed({**document, "kex": kex}, market.anna))


def test_login_that_weakens_itself_gets_no_less_than_the_merchants_place_permits():
    """A dishonest buyer may ask for the weakest; she gets it only where the merchant's place permits it."""
    market = Market(location="DE")
    assert suite_of(market, suites=(P256,)) == P256
    market.clock.forward(days=365 * 6)  # 2032: not alone in Germany any more
    with pytest.raises(Refusal):
        offer("DE", sessions=(P256,), at=market.clock.now())


def test_login_offer_that_names_what_nobody_knows():
    market = Market()
    document = market.opened(market.begin()).document
    named = {**document, "suites": ["rot13", *document["suites"], "p1024-hkdf"]}
    market.volt.sessions.login(market.sealed(named, market.anna))
    only = {**document, "suites": ["rot13"]}
    again = market.opened(market.begin()).document
    with refused("suite-not-permitted", "no session suite is offered by both ends"):
        market.volt.sessions.login(market.sealed({**again, "suites": only["suites"]}, market.anna))


# ------------------------------------------------------------------ the answer


def test_answer_with_a_weaker_suite():
    """A merchant that is broken into, or the one who has its key, takes another of the shares."""
    market = Market()
    login = market.begin()
    answer = read_act(market.volt.sessions.login(login.octets)).document
    for name in SUITES[1:]:
        share = wire.b64u(Ephemeral(name, market.random).share)
        forged = market.volt.sign_document({**answer, "kex": {"suite": name, "share": share}}, [])
        with refused("suite-stripped"):
            market.finish(login, forged)


def test_answer_to_an_altered_offer_is_to_another_login():
    """``req`` names the login octet by octet, and so both offers."""
    market = Market()
    login = market.begin()
    document = {**market.opened(login).document, "suites": [P256]}
    document["kex"] = [item for item in document["kex"] if item["suite"] == P256]
    answer = market.volt.sessions.login(market.sealed(document, market.anna))
    with refused("wrong-answer"):
        market.finish(login, answer)


@pytest.mark.parametrize("name", [HYBRID, X_HYBRID])
def test_answer_with_an_altered_ciphertext(name):
    """Implicit rejection: no refusal that an intruder could learn from, but not one record opens."""
    market = Market(suites=(name,))
    login = market.begin()
    answer = read_act(market.volt.sessions.login(login.octets)).document
    share = bytearray(wire.unb64u(answer["kex"]["share"]))
    share[100] ^= 1
    forged = {**answer, "kex": {"suite": name, "share": wire.b64u(bytes(share))}}
    session = market.finish(login, market.volt.sign_document(forged, []))
    sealed = session.channel.seal(Kind.REQUEST, write_call(Call("r", "search")))
    with refused("altered-record"):
        market.volt.sessions.receive(sealed, market.volt.serve)
    assert market.volt.served == []


# ------------------------------------------------------------------ signatures, apart from session suites


def test_a_key_that_the_other_place_does_not_take_is_not_used_to_log_in():
    """The wallet says so before anything is signed, and whose rule it is."""
    with refused("suite-not-permitted", "ecdsa-256 for authentication at US-NSS: at least 384 (CNSSP 15"):
        Market(location="US-NSS").begin(location="DE")
    with refused("suite-not-permitted", "at US-NSS"):
        Market(location="DE").begin(location="US-NSS")


def test_merchant_refuses_a_login_signed_by_a_suite_outside_its_offer():
    market = Market()
    only = replace(market.volt.shop, signatures=("p384-sha384",))
    document = market.opened(market.begin()).document
    market.volt.sessions.shop = only
    page = make_page(only, market.volt.sessions._secret, Randomness(b"page"), market.clock.now())
    changed = {**document, "page": wire.b64u(page), "nM": wire.b64u(read_page(page).nonce)}
    with refused("suite-not-permitted", "not among those that an end offers"):
        market.volt.sessions.login(market.sealed(changed, market.anna))


def test_wallet_refuses_an_answer_signed_by_a_suite_outside_her_offer():
    market = Market()
    document = market.opened(market.begin()).document
    with refused("suite-not-permitted", "not among those that an end offers"):
        market.volt.sessions.login(market.sealed({**document, "signatures": ["p384-sha384"]}, market.anna))
    with refused("suite-not-permitted"):
        market.begin(signatures=("p384-sha384",))


# ------------------------------------------------------------------ dates


def test_suites_end_by_date_while_a_shop_runs():
    """BSI TR-02102-1: key agreement alone until the end of 2031.  Nobody restarts anything."""
    shop = Market(location="DE").volt.shop
    before, after = (datetime(2031, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC))
    assert shop.offer(before).suites == (HYBRID, P384, P256)
    assert shop.offer(after).suites == (HYBRID,)


def test_a_page_of_yesterday_gives_no_suite_of_yesterday():
    """A page made before midnight is good for two minutes; the wallet's own place counts from midnight."""
    page_offer = offer("DE", at=datetime(2031, 12, 31, 23, 59, 30, tzinfo=UTC))
    hers = offer("DE", at=datetime(2032, 1, 1, 0, 0, 10, tzinfo=UTC))
    when = datetime(2032, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert P384 in page_offer.suites
    assert common_suites(hers, page_offer, at=when) == (HYBRID,)


def test_nothing_left_at_a_place_is_refused_with_the_row():
    with refused("suite-not-permitted", "not after 2031-12-31 (CNSSP 15 (CNSA 1.0), October 2016"):
        offer("US-NSS", signatures=("p384-sha384",), at=datetime(2032, 1, 1, tzinfo=UTC))
    with refused("suite-not-permitted", "not after 2031-12-31 (CNSSP 15 (CNSA 1.0), October 2016"):
        suites.strongest("signature", "US-NSS", "DE", at=datetime(2032, 1, 1, tzinfo=UTC))


def test_two_offers_without_a_common_suite_say_why():
    ours, theirs = offer("DE", at=NOW), Offer(location="US", suites=(X_HYBRID,), signatures=("ed25519",))
    with refused("suite-not-permitted", "offered by both ends"):
        common_suites(ours, theirs, at=NOW)
    none = suites.table().with_rows(
        suites.read_rows(
            b'[[document]]\nname = "A law"\nedition = "1"\nlocations = ["US"]\n'
            b'row = [{ use = ["confidentiality"], mechanism = "aes-gcm", status = "forbidden", clause = "2" }]\n'
        )
    )
    with refused("suite-not-permitted", "aes-gcm-256 for confidentiality at US: forbidden (A law, 1: 2)"):
        common_suites(ours, theirs, at=NOW, policy=none)
    with refused("suite-not-permitted", "no session suite is permitted at US and US: "):
        offer("US", at=NOW, policy=none)


def test_an_offer_that_wants_what_its_place_bars_is_refused():
    with refused("suite-not-permitted", "x25519+ml-kem-768 for confidentiality at DE: no document"):
        offer("DE", sessions=(X_HYBRID,), at=NOW)
    with refused("suite-not-permitted", "an end must want some suite"):
        offer("DE", sessions=(), at=NOW)


def test_the_clock_of_these_tests_is_before_every_end():
    assert SetClock().now() < datetime(2031, 1, 1, tzinfo=UTC)
