"""The community file is read strictly: each refusal names the rule and the place."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.community.description import Community
from e2s.community.file import MAX_FILE_BYTES, load_community, read_community
from tests.community.samples import EXAMPLE, least

LEAST = least(range(20_000, 20_004))


def refusal_of(text: str | bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_community(text if isinstance(text, bytes) else text.encode())
    return caught.value


def replaced(old: str, new: str) -> str:
    assert old in LEAST
    return LEAST.replace(old, new, 1)


def test_the_example_is_read_as_it_is_written():
    community = read_community(EXAMPLE.encode())
    assert list(community.parties) == ["alpha", "beta", "volt", "acquirer", "issuer", "authority"]
    shop = community.component("volt-shop")
    assert (shop.party, shop.kind, shop.tls, shop.listen.loopback) == (
        "volt",
        "merchant-outside",
        True,
        True,
    )
    assert shop.origin == f"https://127.0.0.1:{shop.listen.port}"
    assert [peer.name for peer in community.peers(shop)][:2] == ["volt-purchasing", "authority-enrolment"]
    assert community.urn("alpha", "anna") == "urn:e2s:components-market:alpha:anna"
    assert community.component("alpha-wallet").settings["limit"] == "5000.00"
    assert {c.organisation: c.discount for c in community.contracts} == {"alpha": "12.5", "beta": "3"}


@pytest.mark.parametrize(
    ("old", "new", "rule", "at", "line"),
    [
        ('kind = "audit"', 'kind = "audits"', "bad-community-file", "component.log.kind", 12),
        ('kind = "audit"', 'kind = "audit"\ncolour = "red"', "unknown-key", "component.log.colour", 13),
        ('location = "DE"\n', "", "missing-key", "component.log.location", 10),
        ('location = "DE"', 'location = "Germany"', "bad-community-file", "component.log.location", 15),
        ('location = "DE"', "location = 49", "bad-community-file", "component.log.location", 15),
        ('party = "authority"', 'party = "nobody"', "unknown-name", "component.log.party", 11),
        ('talks_to = ["log"]', 'talks_to = ["lag"]', "unknown-name", "component.ca.talks_to", 24),
        ('talks_to = ["log"]', 'talks_to = "log"', "bad-community-file", "component.ca.talks_to", 24),
        (
            'talks_to = ["log"]',
            'talks_to = ["log", "log"]',
            "bad-community-file",
            "component.ca.talks_to",
            24,
        ),
        (
            'talks_to = ["log"]',
            'talks_to = ["ca"]',
            "unknown-name",
            "component.ca.talks_to",
            24,
        ),
        ('plain_because = "one machine"', "tls = 1", "bad-community-file", "component.log.tls", 16),
        ('"127.0.0.1:20000"', '"127.0.0.1"', "bad-community-file", "component.log.listen", 13),
        ('"127.0.0.1:20000"', '"127.0.0.1:0"', "bad-community-file", "component.log.listen", 13),
        ('"127.0.0.1:20000"', '"127.0.0.1:65536"', "bad-community-file", "component.log.listen", 13),
        ('"127.0.0.1:20000"', '"1270.0.0.1:80"', "bad-community-file", "component.log.listen", 13),
        ('name = "least"', 'name = "Least"', "bad-community-file", "community.name", 2),
        ('name = "least"', "name = 1979-05-27", "bad-community-file", "community.name", 2),
        ('authority = "authority"', 'authority = "bank"', "unknown-name", "trust.authority", 5),
        ("[party.authority]", '[party."a:b"]', "bad-community-file", "party.a:b", None),
        (
            'kind = "audit"',
            'kind = "audit"\nperson = "anna"',
            "bad-community-file",
            "component.log.person",
            13,
        ),
        (
            'kind = "audit"',
            'kind = "audit"\nsettings = {a = "b"}',
            "unknown-key",
            "component.log.settings.a",
            10,
        ),
        ("[trust]", "[weather]\nsun = true\n[trust]", "unknown-key", "weather", None),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(old, new, rule, at, line):
    refusal = refusal_of(replaced(old, new))
    assert refusal.rule == rule
    assert refusal.facts["at"] == at
    assert refusal.facts["line"] == line
    assert refusal.message.startswith(at)


@pytest.mark.parametrize("table", ["community", "trust", "party.authority", "component.log"])
def test_a_table_that_is_no_table_is_refused(table):
    name = table.split(".")[0]
    text = "\n".join(part for part in LEAST.split("\n\n") if not part.startswith((f"[{name}]", f"[{name}.")))
    assert refusal_of(f"{name} = 3\n{text}").rule == "bad-community-file"
    assert refusal_of(text).rule == "missing-key"


def test_terms_name_known_parties_and_a_percentage():
    terms = '\n[contract.authority.{0}]\ntext = "x"\ndiscount = {1}\n'
    assert refusal_of(LEAST + terms.format("nobody", '"3"')).rule == "unknown-name"
    for bad in ('"101"', '"-1"', "3", '"1e1"', '""'):
        assert (
            refusal_of(LEAST + terms.format("authority", bad)).facts["at"]
            == "contract.authority.authority.discount"
        )
    assert refusal_of(LEAST + "\n[contract]\nauthority = 3\n").rule == "bad-community-file"
    assert refusal_of(LEAST + '\n[contract.authority.authority]\ntext = "x"\ncurrency = "eur"\n').rule == (
        "bad-community-file"
    )


def test_a_file_that_is_too_large_or_not_text_is_refused():
    assert refusal_of(b"#" * (MAX_FILE_BYTES + 1)).rule == "too-large"
    assert refusal_of(b"#" * 501).rule == "too-large"
    assert refusal_of(b"\xff").rule == "not-toml"
    assert refusal_of(b"a = ").rule == "not-toml"
    assert refusal_of(b"[" * 400 + b"\n" + b"a = " + b"[" * 400).rule == "not-toml"


def test_a_deep_file_costs_little():
    deep = b"a = " + b"\n".join([b"[" * 490] * 130)
    keys = b"[" + b"a." * 240 + b"a]\n" + b"\n".join(b"k%d=1" % n for n in range(6_000))
    tracemalloc.start()
    try:
        for octets in (deep, keys):
            with pytest.raises(Refusal):
                read_community(octets)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_missing_file_is_misuse(tmp_path):
    with pytest.raises(Misuse) as caught:
        load_community(tmp_path / "community.toml")
    assert caught.value.rule == "no-community-file"


def judged(octets: bytes) -> None:
    try:
        community = read_community(octets)
    except Refusal as refusal:
        assert refusal.rule
        assert len(refusal.message) < 1000
    else:
        assert isinstance(community, Community)


@given(st.binary(max_size=300))
def test_garbage_is_refused(octets):
    judged(octets)


@given(st.data())
def test_a_mutated_file_is_read_or_refused(data):
    octets = bytearray(LEAST.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(octets) - 1))
        octets[place : place + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))
    judged(bytes(octets))


VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.text(
            st.characters(codec="ascii", exclude_characters='"\\', min_codepoint=32, max_codepoint=126),
            max_size=20,
        ),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@given(st.data())
def test_any_value_at_any_key_is_read_or_refused(data):
    lines = LEAST.splitlines()
    keys = [n for n, line in enumerate(lines) if "=" in line]
    for number in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        lines[number] = lines[number].partition("=")[0] + "= " + toml(data.draw(VALUES))
    judged("\n".join(lines).encode())
