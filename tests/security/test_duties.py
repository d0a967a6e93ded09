"""Nobody holds both duties of a pair in one domain: refused where rights are given, and where they are used."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.base.rights import Granted, TableAuthoriser
from e2s.security.ceremonies.buying import Buying, found_buying
from e2s.security.ceremonies.ceremony import Occasion, found_authority, found_root, officer_rights
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.rights import APART, DUTIES, RIGHTS, RULE, Rights, decide, mixed, require_apart
from tests.security.test_ceremony_records import EVE, OLGA, make_ca, make_root, new_setting
from tests.worlds.pki import make_pki
from tests.worlds.registration import CA, RIGHTS_GIVEN, World, csr
from tests.worlds.registration import OLGA as REGISTRAR

EVERY = tuple(getattr(RIGHTS, one.name) for one in fields(Rights))
FORBIDDEN = {
    frozenset((one, other)) for first, second in APART for one in DUTIES[first] for other in DUTIES[second]
}
PAIRS = [pytest.param(a, b, id=f"{a}+{b}") for a, b in itertools.combinations(EVERY, 2)]
RIGHT = st.tuples(st.sampled_from((OLGA, EVE)), st.sampled_from(EVERY), st.sampled_from(("ca", "cards")))


def rule(act):
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.rule


@pytest.fixture
def root(tmp_path):
    made = make_root(tmp_path / "root")
    make_ca(made, tmp_path / "ca").close()
    yield made
    made.close()


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_each_pair_of_rights_may_be_held_together_or_not(one, other):
    both = TableAuthoriser(frozenset({(OLGA, one, "ca"), (OLGA, other, "ca")}))
    apart = TableAuthoriser(frozenset({(OLGA, one, "ca"), (OLGA, other, "cards"), (EVE, other, "ca")}))
    forbidden = frozenset((one, other)) in FORBIDDEN
    assert isinstance(decide(both, OLGA, one, "ca"), Granted) is not forbidden
    assert getattr(decide(both, OLGA, one, "ca"), "rule", RULE) == RULE
    assert bool(list(mixed(both.table))) is forbidden
    assert isinstance(decide(apart, OLGA, one, "ca"), Granted)
    assert not list(mixed(apart.table))
    assert isinstance(decide(both, OLGA, one, "ca", alone=True), Granted)


@given(rights=st.frozensets(RIGHT, max_size=12))
def test_what_may_be_given_may_be_used_and_nothing_else(rights):
    table = TableAuthoriser(rights)
    good = all(isinstance(decide(table, *right), Granted) for right in rights)
    try:
        require_apart(rights)
    except Refusal as refusal:
        assert (refusal.rule, good) == (RULE, False)
    else:
        assert good


@given(rights=st.frozensets(RIGHT, max_size=12), more=st.frozensets(RIGHT, max_size=3))
def test_what_was_mixed_before_stops_no_ceremony_that_mixes_nothing_more(rights, more):
    require_apart(rights, before=rights)
    require_apart(rights - more, before=rights)
    if set(mixed(rights | more)) == set(mixed(rights)):
        require_apart(rights | more, before=rights)
    else:
        assert rule(lambda: require_apart(rights | more, before=rights)) == RULE


# ---------------------------------------------------------------- where rights are given
def test_a_ceremony_does_not_give_a_certifier_the_registrars_right(root):
    before = root.chain.head
    assert rule(lambda: root.give([(OLGA, RIGHTS.register, "ca")], officer=OLGA)) == RULE
    assert rule(lambda: root.give([(OLGA, RIGHTS.policy, "ca")], officer=OLGA)) == RULE
    assert (
        rule(lambda: root.give([(EVE, r, "ca") for r in (RIGHTS.certify, RIGHTS.approve)], officer=OLGA))
        == RULE
    )
    assert root.chain.head == before
    root.give([(EVE, RIGHTS.approve, "ca"), (EVE, RIGHTS.policy, "ca")], officer=OLGA)


def test_a_ceremony_that_mixes_duties_within_leaves_rights_as_they_were(root):
    def held():
        with root.ceremony("officers", officer=OLGA) as ceremony:
            ceremony.rights |= {(OLGA, RIGHTS.approve, "ca")}

    assert rule(held) == RULE
    assert (OLGA, RIGHTS.approve, "ca") not in root.rights


def test_a_new_ca_is_not_certified_with_rights_that_mix_duties(root, tmp_path):
    mixes = frozenset({(OLGA, RIGHTS.certify, "cards"), (OLGA, RIGHTS.register, "cards")})

    def certified():
        found_authority(
            root, tmp_path / "cards", Phrase("words"), kind="card-ca", name="urn:e2s:market:bank", component="cards",
            officer=OLGA, authoriser=None, setting=root.setting, occasion=Occasion(rights=mixes),
        )  # fmt: skip

    count = len(root.chain.items("certificate"))
    assert rule(certified) == RULE
    assert len(root.chain.items("certificate")) == count


def test_a_root_is_not_founded_with_rights_that_mix_duties(tmp_path):
    mixes = frozenset(
        {(OLGA, RIGHTS.name, "root"), (EVE, RIGHTS.certify, "ca"), (EVE, RIGHTS.officers, "ca")}
    )

    def founded():
        return found_root(
            tmp_path / "root", Phrase("words"), community="market", rights=mixes, setting=new_setting()
        )

    assert rule(founded) == RULE
    assert not (tmp_path / "root").exists()


def test_a_manager_of_a_buying_organisations_own_ca_is_a_domain_of_her_own(root, tmp_path):
    manager, party = "urn:e2s:market:alpha:albert", "urn:e2s:market:alpha"
    wanted = Buying(party=party, component="alpha-ca", manager=manager)
    own = found_buying(
        root,
        tmp_path / "alpha",
        Phrase("words"),
        wanted,
        root=root.certificate,
        officer=OLGA,
        setting=root.setting,
    )
    own_rights = officer_rights(manager, ("alpha-ca",))
    try:
        own.authoriser = TableAuthoriser(own_rights | {(manager, RIGHTS.register, "alpha-ca")})
        key = generate("p256-sha256", root.setting.random)
        own.issue("buyer", key.public_key(), (f"{party}:anna",), officer=manager)
    finally:
        own.close()


# ---------------------------------------------------------------- where they are used
def test_a_ca_lets_nobody_certify_who_registers_and_records_the_refusal(root, tmp_path):
    ca = make_ca(root, tmp_path / "other", "other")
    key = generate("p256-sha256", root.setting.random)
    for beside in (RIGHTS.register, RIGHTS.approve, RIGHTS.policy, RIGHTS.officers):
        ca.authoriser = TableAuthoriser(frozenset({(OLGA, RIGHTS.certify, "other"), (OLGA, beside, "other")}))
        names = ("urn:e2s:market:volt",)
        assert rule(lambda: ca.issue("merchant", key.public_key(), names, officer=OLGA)) == RULE  # noqa: B023
    with ca.database.reading() as connection:
        events = [body for _, body in ca.outbox.waiting(connection, "audit")]
    assert sum(b'"outcome":"duties-not-separate"' in one for one in events) == 4
    ca.close()


def test_a_registrar_who_certifies_is_refused_at_registration_and_by_the_ca(tmp_path):
    world = World(tmp_path, make_pki())
    case = world.named()
    world.first([case])
    mixed_rights = TableAuthoriser(RIGHTS_GIVEN | {(REGISTRAR, RIGHTS.certify, CA)})
    world.office = replace(world.office, authoriser=mixed_rights)
    assert rule(lambda: world.open(der=csr())) == RULE
    assert any(event["facts"].get("rule") == RULE for event in world.events())
    # who brings her earlier word to the CA gets nothing for it either
    world.ca.authority.authoriser = mixed_rights
    world.ca.doors = world.ca.doors_of(mixed_rights)
    sent = world.submit()
    assert world.ca.issued() == []
    assert (sent.certified, RULE in sent.why) == (0, True)


def test_withdrawing_is_for_whoever_learns_of_the_loss(tmp_path):
    world = World(tmp_path, make_pki())
    rights = TableAuthoriser(
        RIGHTS_GIVEN | {(world.otto.certificate.name, r, CA) for r in (RIGHTS.certify, RIGHTS.revoke)}
    )
    world.office = replace(world.office, authoriser=rights)
    world.withdraw(1 << 100, "hold", officer=world.otto)
    world.withdraw(1 << 100, "hold", officer=world.olga)
