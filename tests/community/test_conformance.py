"""Each rule of chapters 3 and 4 is broken once, and says so at the right place."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from e2s.base.errors import Refusal
from e2s.community.chapter4 import start_order
from e2s.community.conformance import RULES, findings, require_conforming
from e2s.community.file import read_community
from tests.community.samples import EXAMPLE, least

AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def component_text(name: str) -> str:
    match = re.search(rf"\[component\.{name}\]\n.*?\n\n", EXAMPLE, re.DOTALL)
    assert match
    return match[0]


def changed(name: str, old: str, new: str) -> str:
    """The example with ``old`` replaced in one component."""
    text = component_text(name)
    assert old in text
    return EXAMPLE.replace(text, text.replace(old, new, 1), 1)


def broken(text: str) -> list[tuple[str, str]]:
    return [(f.rule.name, f.where) for f in findings(read_community(text.encode()), at=AT)]


def test_the_example_conforms():
    require_conforming(read_community(EXAMPLE.encode()), at=AT)
    require_conforming(read_community(least().encode()), at=AT)


def test_rules_have_numbers_of_their_chapter_and_names_of_their_own():
    assert len({rule.number for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
    assert [rule.number for rule in RULES] == sorted(rule.number for rule in RULES)
    assert {rule.number[0] for rule in RULES} == {"3", "4"}


WITHOUT_KEYS = (
    EXAMPLE.replace(component_text("volt-keys"), "").replace('"volt-keys", ', "").replace('"volt-keys"', "")
)

CASES = [
    (
        "identity-certified",
        EXAMPLE.replace('authority = "authority"', 'authority = "volt"'),
        "trust.authority volt",
    ),
    (
        "certificates-available",
        changed("issuer-desk", '"authority-repository", ', ""),
        "component issuer-desk",
    ),
    ("root-off-line", EXAMPLE.replace('"off-line"', '"on-line"'), "trust.root_key"),
    ("merchant-server-whole", WITHOUT_KEYS, "party volt"),
    ("process-of-its-own", changed("beta-audit", ":20001", ":20000"), "component beta-audit"),
    (
        "key-handler-enclosed",
        changed("volt-shop", '["volt-purchasing"', '["volt-keys", "volt-purchasing"'),
        "component volt-shop",
    ),
    (
        "only-doors-open",
        changed("alpha-wallet", '["volt-shop"', '["volt-purchasing", "volt-shop"'),
        "component alpha-wallet",
    ),
    (
        "compartments-apart",
        changed("volt-payment", 'compartment = "payment"', 'compartment = "outside"'),
        "component volt-payment",
    ),
    ("plain-link-justified", changed("volt-keys", "plain_because", "# plain_because"), "component volt-keys"),
    ("plain-link-justified", changed("volt-keys", "127.0.0.1", "192.0.2.7"), "component volt-keys"),
    ("audit-sequencer", changed("volt-shop", ', "volt-audit"', ""), "component volt-shop"),
    (
        "certificates-available",
        changed("authority-repository", '"authority-ca", ', ""),
        "component authority-ca",
    ),
    (
        "authority-apart",
        changed("authority-repository", 'compartment = "public"', 'compartment = "ca"'),
        "component authority-repository",
    ),
    (
        "renewal-reachable",
        changed("authority-stamps-1", '"authority-enrolment", ', ""),
        "component authority-stamps-1",
    ),
    ("renewal-reachable", changed("volt-shop", '"authority-enrolment", ', ""), "component volt-shop"),
    (
        "authority-apart",
        changed("authority-enrolment", 'compartment = "enrolment"', 'compartment = "ca"'),
        "component authority-enrolment",
    ),
    ("one-role-a-person", changed("alpha-manager", '"albert"', '"anna"'), "component alpha-manager"),
    (
        "component-fits-party",
        changed("issuer-desk", 'party = "issuer"', 'party = "beta"'),
        "component issuer-desk",
    ),
    ("feature-fits-component", changed("volt-shop", '"web-session"', '"payment"'), "component volt-shop"),
    ("features-consistent", changed("issuer-desk", '["payment"]', "[]"), "component alpha-wallet"),
    (
        "payment-needs-banks",
        EXAMPLE.replace('[party.issuer]\nkind = "issuer"', '[party.issuer]\nkind = "acquirer"'),
        "community",
    ),
    ("payment-needs-banks", changed("volt-payment", '"acquirer-gateway", ', ""), "component volt-payment"),
    (
        "time-stamps-spare",
        changed("volt-purchasing", '"authority-stamps-2", ', ""),
        "component volt-purchasing",
    ),
    (
        "contract-parties",
        EXAMPLE.replace("[contract.volt.beta]", "[contract.beta.volt]"),
        "contract beta.volt",
    ),
    (
        "no-cyclic-dependency",
        changed("issuer-desk", '["auth', '["acquirer-gateway", "auth'),
        "component issuer-desk",
    ),
]


@pytest.mark.parametrize(
    ("rule", "text", "where"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_a_broken_rule_is_found(rule, text, where):
    assert (rule, where) in broken(text)


def test_every_rule_is_broken_once_here():
    # The places of the example agree at present, so the rule about suites has a test of its own.
    assert {case[0] for case in CASES} | {"common-suite"} == {rule.name for rule in RULES}


def test_places_without_a_common_suite_are_found():
    """What two places permit ends on different days: CNSA 1.0 with 2031, ECDSA in Germany with 2035."""
    community = read_community(changed("issuer-desk", 'location = "DE"', 'location = "US-NSS"').encode())
    assert findings(community, at=AT) == ()
    found = findings(community, at=datetime(2032, 1, 1, tzinfo=UTC))
    assert {f.rule.name for f in found} == {"common-suite"}
    assert {f.where for f in found} >= {"component acquirer-gateway", "component alpha-wallet"}
    assert "no signature suite is permitted at DE and US-NSS: " in " ".join(f.what for f in found)
    assert any("not after 2031-12-31 (CNSSP 15 (CNSA 1.0), October 2016" in f.what for f in found)


def test_a_finding_says_number_clause_place_and_reason():
    community = read_community(EXAMPLE.replace('"off-line"', '"on-line"').encode())
    with pytest.raises(Refusal) as caught:
        require_conforming(community, at=AT)
    assert caught.value.rule == "not-conforming"
    assert caught.value.message == (
        "3.03 root-off-line (3.3.2): trust.root_key: is on-line; "
        "the root's private key is used only in a physically secure place"
    )


def test_whom_a_component_needs_is_started_before_it():
    community = read_community(EXAMPLE.encode())
    order = [component.name for component in start_order(community)]
    assert sorted(order) == sorted(community.components)
    for component in community.components.values():
        assert all(order.index(peer) < order.index(component.name) for peer in component.talks_to)
