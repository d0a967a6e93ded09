"""A version is signed by the catalogue's key, taken whole by purchasing and outside, and never goes back."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Request
from e2s.base.wire import b64u, unb64u
from e2s.commerce.purchasing.publishing import read_contracts, serves_files
from e2s.crypto.acts import read_act, sign_act
from tests.worlds.shop import CONTRACTS, CSV, ShopWorld


@pytest.fixture
def shop(tmp_path):
    return ShopWorld(tmp_path)


def published(shop):
    """What the catalogue component sent to purchasing, with its answer put off."""
    sent: list[bytes] = []

    class Taken:
        def ask(self, path, body):
            assert path == "/publish"
            sent.append(body)
            return b"{}"

    shop.publisher._links = {"purchasing": Taken(), "outside": Taken()}
    shop.load()
    return wire.decode(sent[0], 2**21)


def test_before_the_first_version_nothing_is_for_sale(shop):
    with pytest.raises(Refusal, match="no-catalogue"):
        shop.ask(shop.person(), "search", q="")


def test_a_version_reaches_buyers_and_public(shop):
    assert shop.load() == 1
    anna = shop.person()
    assert shop.ask(anna, "search", q="")["total"] == 5
    page = shop.exchange.send(shop.origin, Request("GET", "/"))
    assert b"5 items" in page.body
    signed = read_act(shop.exchange.send(shop.origin, Request("GET", "/catalogue.cms")).body)
    assert signed.document["count"] == 5
    assert shop.load(CSV + b"NEW:1,New thing,New,1,19,piece,\n") == 2
    assert shop.ask(anna, "item", sku="NEW:1")["item"]["unit"] == "1.00"


def test_each_organisation_has_its_own_signed_list(shop):
    shop.load()
    anna, carl = shop.person(), shop.person("carl", "beta")
    assert shop.list(anna) != shop.list(carl)
    prices = [shop.ask(who, "item", sku="BOOK:7")["item"]["unit"] for who in (anna, carl)]
    assert prices == ["15.00", "18.69"]


def test_a_version_waits_for_a_component_that_is_down(shop):
    door = shop.exchange.doors.pop("link:purchasing")
    shop.load()
    shop.load()
    shop.exchange.doors["link:purchasing"] = door
    shop.publisher.tick()
    assert shop.purchasing.shelf.stock.version == 2


def test_a_version_intended_before_a_kill_is_signed_after_it(shop):
    handler = shop.exchange.doors["link:keys"]
    shop.publisher._keys.certificate("catalogue")
    del shop.exchange.doors["link:keys"]
    with pytest.raises(Unreachable):
        shop.load()
    shop.exchange.doors["link:keys"] = handler
    shop._publisher()
    shop.publisher.tick()
    assert shop.purchasing.shelf.stock.version == 1


def test_a_bad_file_makes_no_version(shop):
    with pytest.raises(Refusal, match="bad-price"):
        shop.load(CSV + b"X,x,K,free,19,piece,\n")
    assert shop.load() == 1


def test_the_catalogue_survives_a_restart(shop):
    shop.load()
    shop.load()
    shop.restart()
    assert shop.purchasing.shelf.stock.version == 2
    assert len(list((shop.folder / "catalogue").glob("*.db"))) <= 2


def test_an_old_version_does_not_come_back(shop):
    first = published(shop)
    second = published(shop)
    publish = shop.purchasing.shelf.publish
    publish(wire.encode(second))
    with pytest.raises(Refusal, match="old-version"):
        publish(wire.encode(first))
    assert publish(wire.encode(second)) == wire.encode({"version": 2})
    assert shop.purchasing.shelf.stock.version == 2


def test_what_is_not_the_catalogues_word_is_refused(shop):
    good = published(shop)
    act = read_act(unb64u(good["catalogue"]))
    impostor = shop.signers["merchant"]
    resigned = sign_act({**act.document, "from": impostor.certificate.id}, [], impostor, act.at)
    other = ShopWorld(shop.folder / "other")
    foreign = published(other)
    wrong = {
        "wrong-purpose": {**good, "catalogue": b64u(resigned)},
        "unknown-root": foreign,
        "altered-items": {**good, "items": b64u(unb64u(good["items"]) + b" ")},
        "wrong-catalogue": {**good, "lists": published(shop)["lists"]},
        "list-twice": {**good, "lists": [good["lists"][0]] * 2},
        "wrong-label": {**good, "lists": [good["catalogue"]]},
        "bad-request": {**good, "extra": 1},
    }
    for rule, body in wrong.items():
        with pytest.raises(Refusal) as caught:
            shop.purchasing.shelf.publish(wire.encode(body))
        assert caught.value.rule == rule
    with pytest.raises(Refusal, match="no-catalogue"):
        _ = shop.purchasing.shelf.stock


def test_only_the_catalogue_component_publishes(shop):
    good = published(shop)
    with pytest.raises(Refusal, match="link-wrong-peer"):
        shop.link("outside", "purchasing").ask("/publish", wire.encode(good))


def test_a_managers_tool_loads_by_the_link_door(shop):
    door = serves_files(shop.publisher)
    body = {
        "csv": b64u(zlib.compress(CSV)),
        "contracts": b64u(CONTRACTS),
        "currency": "EUR",
        "source": "made up",
    }
    assert wire.decode(door("cli", wire.encode(body))) == {"version": 1}
    with pytest.raises(Refusal, match="bad-currency"):
        door("cli", wire.encode({**body, "currency": "euro"}))
    with pytest.raises(Refusal, match="bad-request"):
        door("cli", wire.encode({**body, "csv": b64u(CSV)}))


@pytest.mark.parametrize(
    "toml",
    [
        b"\xff",
        b"[contract]",
        b"[[contract]]\norganisation = 'x'",
        b"[[contract]]\norganisation = 1\nid = 'a'\ntext = 'b'",
        b"[[contract]]\norganisation = 'x'\nid = 'a'\ntext = 'b'\nrule = 3",
        b"[[contract]]\norganisation = 'x'\nid = 'a'\ntext = 'b'\n[[contract.rule]]\nkind = 'gift'\nvalue = '1'",
        b"[[contract]]\norganisation = 'x'\nid = 'a'\ntext = 'b'\n[[contract.rule]]\nkind = 'discount'\nvalue = '200'",
        b"[other]",
        b"contract = [[]]",
    ],
)
def test_contracts_that_are_none(toml):
    with pytest.raises(Refusal, match="bad-contracts"):
        read_contracts(toml)


@given(st.binary(max_size=200))
def test_garbage_is_no_contracts_file(octets):
    try:
        read_contracts(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-contracts"
