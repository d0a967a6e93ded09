"""Others' roots are trusted for what officers signed, and no further; their users have one name here each."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.database import Database
from e2s.base.errors import Misuse, Refusal
from e2s.base.rights import TableAuthoriser
from e2s.crypto import oids
from e2s.crypto.certificates import serial_number
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.profiles import profile
from e2s.security.external import office as acts
from e2s.security.external import records, store
from e2s.security.external.mapping import Rule, mapped
from e2s.security.external.office import Office, judge, take, user_of
from e2s.security.external.providers import Provider
from e2s.security.keys.generation import generate
from e2s.security.pki.rights import RIGHTS
from tests.worlds.pki import START, SetClock, make_pki

PETRA, OLGA = (f"urn:e2s:market:authority:{name}" for name in ("petra", "olga"))
PKI = make_pki()
THEIRS = make_pki("partner")
LIMITS = {"purposes": ("email", "tls-client"), "permitted": ("mail:partner.example", "dir:O=partner")}


def provider(**more):
    return Provider(**{"name": "partner", "roots": (THEIRS.root,), **LIMITS, **more})


def theirs(*names, subject=None, kind="person"):
    """A certificate of a provider's user."""
    key = generate("p256-sha256", secrets.token_bytes)
    wish = Wish(profile=profile(kind), names=names, public_key=key.public_key(), subject=subject)
    signer = THEIRS.operating_ca.signer
    return certify(wish, signer, serial=serial_number(secrets.token_bytes), at=START)


def someone(mail, common="x"):
    name = x509.Name.from_rfc4514_string(f"CN={common},O=partner")
    return theirs(mail, subject=name)


@pytest.fixture
def office(tmp_path):
    clock = SetClock()
    made = Office(
        component="ca-external",
        community="market",
        domain="ca",
        database=Database.open(tmp_path / "external.sqlite", store.TABLES),
        root=PKI.root,
        trust=PKI.trust(clock),
        authoriser=TableAuthoriser(frozenset({(PETRA, RIGHTS.policy, "ca")})),
        clock=clock,
    )
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def petra():
    return PKI.signer("officer", PETRA)


def refused(act, *arguments, **named):
    with pytest.raises(Refusal) as refusal:
        act(*arguments, **named)
    return refusal.value.rule


def verdict(state, certificate, purpose=oids.EKU_EMAIL, **more):
    return judge(state, certificate, (THEIRS.operating,), THEIRS.crls(), at=START, purpose=purpose, **more)


# ---------------------------------------------------------------- trust


def test_a_provider_is_trusted_within_limits(office, petra):
    state = acts.trust(office, petra, provider(), why="contract 7")
    anna = someone("anna@partner.example")
    assert verdict(state, anna)[0].name == "partner"
    assert refused(verdict, state, anna, oids.EKU_SERVER) == "wrong-purpose"
    narrow = records.State({"partner": provider(purposes=("tls-client",))})
    assert refused(verdict, narrow, anna) == "beyond-trust"
    assert refused(verdict, state, someone("anna@other.example")) == "beyond-trust"
    assert refused(verdict, office.state(), anna, oids.SIGNING["officer"]) in {
        "wrong-purpose",
        "beyond-trust",
    }


def test_a_provider_speaks_for_no_name_of_ours(office, petra):
    """Its limits say nothing of URIs; by RFC 5280 alone such names would not be limited."""
    state = acts.trust(office, petra, provider())
    mallory = theirs(OLGA, subject=x509.Name.from_rfc4514_string("CN=x,O=partner"))
    assert refused(verdict, state, mallory, name=OLGA) == "beyond-trust"


def test_a_revoked_certificate_is_refused(office, petra):
    state = acts.trust(office, petra, provider())
    anna = someone("anna@partner.example")
    THEIRS.revoke(anna, START)
    assert refused(verdict, state, anna) == "revoked"
    assert refused(judge, state, anna, (THEIRS.operating,), (), at=START, purpose=oids.EKU_EMAIL) == (
        "revocation-unknown"
    )


def test_a_dry_run_changes_nothing(office, petra):
    assert acts.trust(office, petra, provider(), dry=True).providers
    assert office.records() == ()


def test_what_was_said_is_taken_back(office, petra):
    acts.trust(office, petra, provider())
    acts.map_users(office, petra, RULE)
    assert acts.forget(office, petra, "partner").providers == {}
    assert acts.undo(office, petra, 3).rules == (RULE,)
    assert acts.undo(office, petra, 4).providers == {}
    assert [one.act for one in office.records()] == ["trust", "map", "forget", "undo", "undo"]
    assert refused(acts.undo, office, petra, 9) == "no-such-record"


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"purposes": ()}, "unconfined"),
        ({"permitted": ()}, "unconfined"),
        ({"roots": ()}, "bad-provider"),
        ({"roots": (someone("a@partner.example"),)}, "bad-provider"),
        ({"purposes": ("officer",)}, "own-purpose"),
        ({"purposes": (oids.COMPONENT,)}, "own-purpose"),
        ({"purposes": ("nonsense",)}, "bad-provider"),
        ({"permitted": ("mail:",)}, "bad-subtree"),
    ],
    ids=["purposes", "names", "roots", "end-entity", "officer", "component", "nonsense", "subtree"],
)
def test_trust_without_limits_is_misuse(more, rule):
    with pytest.raises(Misuse) as misused:
        provider(**more)
    assert misused.value.rule == rule


def test_who_may_not_say_it_is_refused(office, petra):
    assert refused(acts.trust, office, PKI.signer("officer", OLGA), provider()) == "not-authorised"
    assert refused(acts.trust, office, PKI.signer("person", PETRA), provider()) == "wrong-purpose"
    assert refused(acts.trust, office, petra, provider(roots=(PKI.root,))) == "own-root"
    acts.trust(office, petra, provider())
    assert refused(acts.trust, office, petra, provider()) == "provider-known"
    assert refused(acts.trust, office, petra, provider(name="other")) == "provider-known"
    assert refused(acts.forget, office, petra, "nobody") == "no-such-provider"


def test_records_are_a_chain(office, petra):
    acts.trust(office, petra, provider())
    acts.forget(office, petra, "partner")
    first, second = (one.octets for one in office.records())
    read: dict[str, Any] = {"root": PKI.root, "to": "ca"}
    assert refused(records.read_chain, (second,), **read) == "broken-chain"
    assert refused(records.read_chain, (second, first), **read) == "broken-chain"
    assert refused(records.read_chain, (first, first), **read) == "broken-chain"
    assert refused(records.read_chain, (first, second), root=PKI.root, to="other") == "wrong-audience"
    assert refused(records.read_chain, (first,), root=THEIRS.root, to="ca") == "unknown-root"
    altered = first.replace(b"partner.example", b"partnez.example")
    assert refused(records.read_chain, (altered,), **read) == "altered-content"
    assert refused(take, office, first) == "broken-chain"
    file = records.written(office.records())
    assert records.read_chain(records.read_file(file), **read) == office.records()


@given(octets=st.binary(max_size=200))
def test_garbage_is_no_file_of_records(octets):
    try:
        read = records.read_file(octets)
    except Refusal as refusal:
        assert refusal.rule == "bad-records"
    else:
        assert isinstance(read, list)


def test_each_act_is_an_event(office, petra):
    acts.trust(office, petra, provider())
    with office.database.reading() as connection:
        (waiting,) = store.OUTBOX.waiting(connection, "audit", 10)
    assert b'"external.trust"' in waiting[1]


# ---------------------------------------------------------------- users

RULE = Rule(provider="partner", pattern="mail:*@partner.example", party="partner", label="*")


def named(office, certificate):
    return user_of(office, provider(), certificate)[1]


def test_a_user_has_one_name_for_ever(office, petra):
    acts.trust(office, petra, provider())
    acts.map_users(office, petra, RULE)
    anna = someone("anna.berg@partner.example", "anna")
    assert named(office, anna) == "urn:e2s:market:partner:anna-berg"
    assert named(office, someone("anna.berg@partner.example", "anna")) == "urn:e2s:market:partner:anna-berg"
    assert refused(named, office, someone("anna-berg@partner.example", "other")) == "name-given"


@pytest.mark.parametrize(
    ("mail", "rule"),
    [("annaberg@partner.example", "name-confusable"), ("anna-berg@partner.example", "name-given")],
)
def test_another_user_gets_no_name_that_is_taken_for_it(office, petra, mail, rule):
    acts.trust(office, petra, provider())
    acts.map_users(office, petra, RULE)
    named(office, someone("anna.berg@partner.example", "anna"))
    assert refused(named, office, someone(mail, "other")) == rule


def test_rules_that_disagree_name_nobody(office, petra):
    acts.trust(office, petra, provider())
    acts.map_users(office, petra, RULE)
    acts.map_users(office, petra, replace(RULE, pattern="dir:CN=*,O=partner"))
    assert refused(named, office, someone("anna@partner.example", "berta")) == "mapping-ambiguous"
    assert named(office, someone("carla@partner.example", "carla")) == "urn:e2s:market:partner:carla"


def test_a_certificate_with_two_names_that_fit_names_nobody():
    both = theirs("a@partner.example", "b@partner.example")
    assert refused(mapped, (RULE,), "partner", both) == "mapping-ambiguous"


def test_who_is_not_mapped_has_no_name():
    assert refused(mapped, (RULE,), "partner", someone("anna@other.example")) == "not-mapped"
    assert refused(mapped, (RULE,), "another", someone("anna@partner.example")) == "not-mapped"


def test_a_rule_that_changed_gives_no_second_name(office, petra):
    acts.trust(office, petra, provider())
    acts.map_users(office, petra, RULE)
    anna = someone("anna@partner.example", "anna")
    named(office, anna)
    acts.unmap_users(office, petra, RULE)
    acts.map_users(office, petra, replace(RULE, label="p-*"))
    assert refused(named, office, anna) == "mapping-changed"


@pytest.mark.parametrize(
    ("pattern", "label"),
    [
        ("mail:*@*.example", "*"),
        ("mail:*@partner.example", "anna"),
        ("mail:anna@partner.example", "*"),
        ("mail:*", "*"),
        ("phone:*1", "*"),
        ("mail:*@partner.example", "*_"),
    ],
)
def test_a_rule_that_is_not_one_to_one_is_misuse(pattern, label):
    with pytest.raises(Misuse) as misused:
        Rule(provider="partner", pattern=pattern, party="partner", label=label)
    assert misused.value.rule == "bad-rule"
