"""A catalogue is loaded whole or not at all, searched by what people type, and priced by contract."""

from __future__ import annotations

import gzip
import zlib
from decimal import Decimal
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.commerce.purchasing.catalogue import Catalogue, quoted
from e2s.commerce.purchasing.items import MAX_TEXT, Item, plain
from e2s.commerce.purchasing.load import read_csv, read_items, write_items
from e2s.commerce.purchasing.pricing import check_rules, unit_price
from e2s.crypto.forms import text, token

HEADER = "sku,text,class,price,vatRate\n"
TOKENS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,20}", fullmatch=True)
WORDS = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), min_size=1, max_size=40
).filter(lambda words: words.strip() and len(words) <= MAX_TEXT)
PRICES = st.decimals("0.000001", "999999", places=6).map(plain)
RATES = st.sampled_from(["0", "7", "19", "5.5", "100"])
ITEMS = st.builds(lambda *row: Item.read(row), TOKENS, WORDS, TOKENS, PRICES, RATES, st.just(""), st.just(""))


@pytest.fixture(scope="module")
def components():
    packed = resources.files("e2s.commerce.purchasing").joinpath("data/components.csv.gz").read_bytes()
    return read_csv(gzip.decompress(packed))


@pytest.fixture(scope="module")
def catalogue(components, tmp_path_factory):
    made = Catalogue.build(tmp_path_factory.mktemp("catalogue") / "one.db", components)
    yield made
    made.close()


# ------------------------------------------------------------------ the data that comes with the product
def test_the_components_are_all_there_with_their_licence(components):
    assert len(components) == 17_420
    assert len({item.kind for item in components}) == 205
    assert {item.vat_rate for item in components} == {"0", "7", "19"}
    folder = resources.files("e2s.commerce.purchasing").joinpath("data")
    assert "Attribution-ShareAlike 4.0" in folder.joinpath("LICENSE.txt").read_text()
    assert "synthesises" in folder.joinpath("ATTRIBUTION.txt").read_text()
    assert len(folder.joinpath("components.csv.gz").read_bytes()) < 400_000


def test_every_item_fits_a_document(components):
    words, check = text(MAX_TEXT), token
    for item in components:
        check(item.sku)
        check(item.kind)
        words(item.text, "")
        assert Decimal(item.price) > 0


# ------------------------------------------------------------------ CSV
def test_columns_may_stand_in_any_order_and_the_file_may_have_a_mark():
    csv = b'\xef\xbb\xbfprice,class,sku,vatRate,text,unit\r\n1.50,Wire,W1,19.0,"Wire, ""red""",metre\r\n\r\n'
    assert read_csv(csv) == [Item("W1", 'Wire, "red"', "Wire", "1.5", "19", "metre", "")]


@pytest.mark.parametrize(
    ("csv", "rule", "line"),
    [
        (b"", "bad-header", 1),
        (b"sku,text,class,price\n", "bad-header", 1),
        (b"sku,sku,text,class,price,vatRate\n", "bad-header", 1),
        (b"sku,text,class,price,vatRate,colour\n", "bad-header", 1),
        (HEADER.encode(), "empty-catalogue", 1),
        (HEADER.encode() + b"A,x,K,1,19\nB,x,K,1\n", "bad-row", 3),
        (HEADER.encode() + b"A,x,K,1,19\nA,x,K,1,19\n", "sku-twice", 3),
        (HEADER.encode() + b"A b,x,K,1,19\n", "bad-sku", 2),
        (HEADER.encode() + b"A,,K,1,19\n", "bad-text", 2),
        (HEADER.encode() + b"A," + b"x" * 201 + b",K,1,19\n", "bad-text", 2),
        (HEADER.encode() + b"A,x\x07,K,1,19\n", "bad-text", 2),
        (HEADER.encode() + b"A,x\xe2\x80\xaey,K,1,19\n", "bad-text", 2),
        (HEADER.encode() + b"A,x,,1,19\n", "bad-class", 2),
        (HEADER.encode() + b"A,x,K,0,19\n", "bad-price", 2),
        (HEADER.encode() + b"A,x,K,1e3,19\n", "bad-price", 2),
        (HEADER.encode() + b'A,x,K,"1,50",19\n', "bad-price", 2),
        (HEADER.encode() + b"A,x,K,-1,19\n", "bad-price", 2),
        (HEADER.encode() + b"A,x,K,1,101\n", "bad-vat-rate", 2),
        (HEADER.encode() + b"A,x,K,1,19%\n", "bad-vat-rate", 2),
        (HEADER.encode() + b"A,x,K,1,19\nB,\xff,K,1,19\n", "bad-encoding", 3),
        (HEADER.encode() + b'A,"x,K,1,19\n', "bad-csv", 2),
        (HEADER.encode() + b"A," + b"x" * 200_000 + b",K,1,19\n", "bad-csv", 2),
    ],
)
def test_what_is_wrong_is_told_by_line_and_rule(csv, rule, line):
    with pytest.raises(Refusal) as caught:
        read_csv(csv)
    assert (caught.value.rule, caught.value.facts["line"]) == (rule, line)


@given(st.binary(max_size=400))
def test_garbage_is_refused(octets):
    for read in (read_csv, read_items):
        try:
            read(octets)
        except Refusal:
            continue


@given(st.data())
def test_a_damaged_file_is_refused_or_read_and_never_anything_else(data):
    good = HEADER.encode() + b'A1,"Resistor, 10k",Resistor,0.012,19\nB2,Book,Book,18.69,7\n'
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    try:
        items = read_csv(damaged)
    except Refusal as refusal:
        assert "line" in refusal.facts
    else:
        assert all(Item.read(item.row()) == item for item in items)


@given(st.lists(ITEMS, min_size=1, max_size=20, unique_by=lambda item: item.sku))
def test_an_item_file_round_trips_and_has_one_encoding(items):
    octets = write_items(items)
    assert sorted(read_items(octets), key=lambda item: item.sku) == sorted(items, key=lambda item: item.sku)
    assert write_items(reversed(items)) == octets


@given(st.binary(min_size=1, max_size=8), st.integers(0, 200))
def test_a_damaged_item_file_is_refused(octets, at):
    item = Item("A", "a thing", "K", "1", "19")
    good = write_items([item])
    damaged = good[: at % len(good)] + octets + good[at % len(good) + len(octets) :]
    try:
        read = read_items(damaged)
    except Refusal:
        return
    assert read == [item]  # deflate has bits of no meaning; the digest of the file has none


def test_an_item_file_that_swells_is_refused():
    with pytest.raises(Refusal, match="bad-item-file"):
        read_items(zlib.compress(b"0" * 80_000_000, 9))


# ------------------------------------------------------------------ search
@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("lm358", "Amplifier_Operational:LM358"),
        ("LM35", "Amplifier_Operational:LM358"),
        ("bc547", "Transistor_BJT:BC547"),
        ("triple gate nand", ""),
        ("1N4148", "Diode:1N4148"),
    ],
)
def test_search_finds_by_beginnings_in_any_case_and_order(catalogue, words, first):
    found = catalogue.search(words, limit=50)
    assert found.total > 0
    assert not first or any(item.sku == first for item in found.items)
    backwards = catalogue.search(" ".join(reversed(words.split())), limit=50)
    assert backwards.total == found.total


def test_search_keeps_to_a_class_and_turns_pages(catalogue):
    seen: list[str] = []
    offset = 0
    while True:
        page = catalogue.search("", kind="Relay", offset=offset, limit=30)
        seen += [item.sku for item in page.items]
        if not page.next:
            break
        offset = page.next
    assert len(seen) == len(set(seen)) == page.total == 200
    assert all(sku.startswith("Relay:") for sku in seen)


@given(st.text(max_size=60))
def test_nothing_typed_is_read_as_a_query_language(catalogue, words):
    found = catalogue.search(words)
    assert 0 <= len(found.items) <= 20
    assert found.total <= len(catalogue)


@pytest.mark.parametrize(
    "words",
    [
        '"',
        "lm358 OR bc547",
        "sku:LM358",
        "NEAR(a b)",
        "a*b",
        "lm358' OR 1=1--",
        "-lm358",
        "^lm358",
        "{sku}: a",
    ],
)
def test_operators_are_words(catalogue, words):
    assert catalogue.search(words).total < len(catalogue) or not quoted(words)


def test_one_item(catalogue):
    assert catalogue.item("Diode:1N4148").kind == "Diode"
    assert catalogue.item("diode:1n4148") is None
    assert dict(catalogue.kinds())["Relay"] == 200


def test_an_index_that_was_not_built_is_missed(tmp_path):
    with pytest.raises(Misuse, match="no-catalogue"):
        Catalogue(tmp_path / "none.db")


# ------------------------------------------------------------------ prices
ITEM = Item("R:10K", "Resistor", "Resistor", "0.012", "19")


@pytest.mark.parametrize(
    ("rules", "price"),
    [
        ([], "0.012"),
        ([{"kind": "discount", "value": "10"}], "0.0108"),
        ([{"kind": "discount", "value": "33.3"}], "0.0080"),
        ([{"kind": "discount", "value": "100"}], "0.00"),
        ([{"kind": "price", "sku": "R:10K", "value": "0.005"}], "0.005"),
        ([{"kind": "price", "sku": "R:4K7", "value": "0.005"}], "0.012"),
        (
            [
                {"kind": "discount", "class": "Resistor", "value": "50"},
                {"kind": "price", "sku": "R:10K", "value": "1"},
            ],
            "0.006",
        ),
        ([{"kind": "discount", "class": "Resistor", "sku": "R:4K7", "value": "50"}], "0.012"),
    ],
)
def test_the_first_rule_that_fits_counts(rules, price):
    assert Decimal(unit_price(ITEM, rules, "EUR")) == Decimal(price)


def test_prices_follow_the_currency():
    item = Item("A", "a thing", "K", "150", "10")
    assert unit_price(item, [], "JPY") == "150"
    assert unit_price(item, [{"kind": "discount", "value": "33"}], "JPY") == "100.5"
    assert unit_price(item, [], "KWD") == "150.000"


@pytest.mark.parametrize(
    "rule", [{"kind": "discount", "value": "100.1"}, {"kind": "price", "class": "Resistor", "value": "1"}]
)
def test_rules_that_give_goods_away_by_mistake(rule):
    with pytest.raises(Refusal, match="bad-rule"):
        check_rules([rule])
