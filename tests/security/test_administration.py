"""Policies change by a signed proposal and another officer's signed approval; each attack by its rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.base.rights import TableAuthoriser
from e2s.crypto.keys import KeySigner
from e2s.security.administration import home, policies, store
from e2s.security.administration.effects import effect
from e2s.security.administration.officers import KNOWN, read_officers, written
from e2s.security.administration.subjects import digest_of
from e2s.security.ceremonies.ceremony_record import sign_record
from e2s.security.ceremonies.folder import CEREMONIES
from e2s.security.pki.rights import RIGHTS
from e2s.security.registration import acts
from tests.worlds.administration import GIVEN, PAULA, PETER, Administration
from tests.worlds.pki import make_pki
from tests.worlds.registration import CA, OLGA

LABORATORY = b"""[[profile]]
name = "laboratory"
use = "sign"
days = 365
ekus = ["email"]
confidence = "high"
issued_by = ["operating-ca"]
"""


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture
def world(tmp_path, pki):
    made = Administration(tmp_path, pki)
    yield made
    made.close()


def rule(act, *arguments, **given):
    with pytest.raises((Refusal, Misuse)) as caught:
        act(*arguments, **given)
    return caught.value.rule


def stricter(world):
    """The policy of registration in which a passport's copy proves nothing more than nothing."""
    octets = world.desk.subject("registration").octets()
    return octets.replace(b'video = "substantial"', b'video = "low"')


# ---------------------------------------------------------------- the way of a change
def test_a_policy_is_proposed_approved_applied_and_taken_back(world):
    policy = world.desk.subject("registration")
    before, after = policy.octets(), stricter(world)
    said = world.propose("registration", after)
    assert (said["state"], policy.octets() == before) == ("waiting", True)
    done = world.decide(said["proposal"])
    assert (done["state"], done["version"], policy.octets() == after) == ("approved", 2, True)
    assert world.desk.office.policy.level("passport", "video") == "low"
    back = policies.back_to(world.desk, "registration", 1)
    again = world.propose("registration", back, world.peter, why="back to the first")
    assert world.decide(again["proposal"], officer=world.paula)["version"] == 3
    assert policy.octets() == before
    with world.desk.database.reading() as connection:
        versions = store.versions(connection, "registration")
    assert [(row.number, row.why, row.officers) for row in versions] == [
        (3, "back to the first", f"{PETER} {PAULA}"),
        (2, "better", f"{PAULA} {PETER}"),
        (1, "as it was found", ""),
    ]
    kinds = [kind for kind in world.kinds() if kind.startswith("policy.")]
    assert kinds == ["policy.found", *["policy.proposed", "policy.approved", "policy.applied"] * 2]


def test_where_the_settings_say_so_one_officer_is_enough(world):
    home.found(world.folder, ca=world.folder, eyes=1)
    world.desk.close()
    world.__dict__["desk"] = world.new_desk()
    assert world.propose("registration", stricter(world))["state"] == "approved"
    assert world.desk.office.policy.level("passport", "video") == "low"


def test_what_a_change_would_do_is_shown_before(world):
    case = world.open()
    world.evidence(case, seen=world.seen(seen="video"))
    world.issue("person", "urn:e2s:market:alpha:anna")
    world.desk.book.follow()
    found = effect(world.desk, "registration", stricter(world))
    assert found.values == [
        ("evidence.passport.video", "substantial", "low"),
        ("evidence.identity-card.video", "substantial", "low"),
    ]
    assert '-video = "substantial"' in found.lines
    assert found.concerns == (f"case {case} (recorded): substantial -> low",)
    person = LABORATORY.replace(b"laboratory", b"person")
    assert effect(world.desk, "profiles", person).concerns == (
        "profile person: changed; 1 good certificates have it as it was",
    )


def test_profiles_go_to_registration_and_to_the_ca(world):
    world.decide(world.propose("profiles", LABORATORY)["proposal"])
    assert "laboratory" in world.desk.office.profiles
    assert (world.folder / "profiles.toml").read_bytes() == LABORATORY


def test_a_kill_before_the_file_is_written_loses_nothing(world, monkeypatch):
    said = world.propose("registration", stricter(world))

    def killed(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(policies, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        world.decide(said["proposal"])
    monkeypatch.undo()
    world.desk.close()
    world.__dict__["desk"] = world.new_desk()
    assert world.desk.office.policy.level("passport", "video") == "low"
    assert policies.apply(world.desk) == 0
    assert world.kinds().count("policy.applied") == 1


def test_a_file_that_was_changed_by_hand_is_a_version_and_an_event(world):
    said = world.propose("registration", stricter(world))
    (world.folder / "policy.toml").write_bytes(stricter(world).replace(b"90", b"30"))
    assert rule(world.decide, said["proposal"]) == "policy-changed"
    with world.desk.database.reading() as connection:
        newest = store.newest(connection, "registration")
    assert newest is not None
    assert (newest.number, newest.officers) == (2, "")
    assert [one["outcome"] for one in world.events() if one["kind"] == "policy.found"] == [
        "done",
        "unproposed",
    ]


# ---------------------------------------------------------------- attacks
def test_nobody_approves_her_own_proposal_not_even_by_another_name(world, pki):
    said = world.propose("registration", stricter(world))
    assert rule(world.decide, said["proposal"], officer=world.paula) == "same-officer"
    # the same key certified for another officer
    twin = KeySigner(*pki.issue("officer", PETER, private_key=world.paula._key))
    assert rule(world.decide, said["proposal"], officer=twin) == "same-officer"
    assert world.decide(said["proposal"], "decline", officer=world.paula)["state"] == "declined"


def test_who_holds_no_right_or_a_wrong_one_changes_nothing(world):
    for officer in (world.olga, world.audrey, world.otto):
        assert rule(world.propose, "registration", stricter(world), officer) == "not-authorised"
    said = world.propose("registration", stricter(world))
    assert rule(world.decide, said["proposal"], officer=world.olga) == "not-authorised"
    mixed = TableAuthoriser(GIVEN | {(PETER, RIGHTS.certify, CA)})
    world.desk.home = replace(world.desk.home, office=replace(world.desk.office, authoriser=mixed))
    assert rule(world.decide, said["proposal"]) == "duties-not-separate"
    refused = [one["facts"]["rule"] for one in world.events() if one["kind"] == "refused"]
    assert refused == ["not-authorised"] * 4 + ["duties-not-separate"]


def test_the_proposer_must_still_be_good_when_it_is_approved(world):
    said = world.propose("registration", stricter(world))
    left = TableAuthoriser(GIVEN - {(PAULA, RIGHTS.policy, CA)})
    world.desk.home = replace(world.desk.home, office=replace(world.desk.office, authoriser=left))
    assert rule(world.decide, said["proposal"]) == "not-authorised"


def test_a_word_is_taken_once_and_a_repeat_changes_nothing(world):
    document = policies.propose(world.desk, PAULA, "registration", stricter(world), "better")
    word = acts.signed(document, world.paula)
    said = policies.take(world.desk, word)
    assert policies.take(world.desk, word) == said
    decision = acts.signed(policies.decide(world.desk, PETER, said["proposal"], "approve"), world.peter)
    done = policies.take(world.desk, decision)
    back = world.propose("registration", policies.back_to(world.desk, "registration", 1))
    world.decide(back["proposal"])
    # the first approval, replayed after the policy went back, brings nothing back
    assert policies.take(world.desk, decision)["version"] == 0
    assert done["version"] == 2
    assert world.desk.office.policy.level("passport", "video") == "substantial"
    assert rule(world.decide, said["proposal"]) == "decided"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"community": "fair"}, "other-community"),
        ({"ca": "other-ca"}, "other-ca"),
        ({"officer": OLGA}, "wrong-name"),
        ({"policy": "everything"}, "no-such-policy"),
        ({"base": digest_of(b"other")}, "policy-changed"),
        ({"content": ""}, "bad-policy"),
        ({"more": "?"}, "bad-document"),
        ({"type": "e2s/1/case-open"}, "wrong-label"),
    ],
)
def test_a_foreign_or_altered_proposal_is_refused(world, change, found):
    document = policies.propose(world.desk, PAULA, "registration", stricter(world), "better")
    said = rule(policies.take, world.desk, acts.signed({**document, **change}, world.paula))
    assert said == found or (found == "wrong-name" and "name" in said)
    assert world.desk.subject("registration").octets() != stricter(world)


def test_a_stale_proposal_is_refused(world):
    document = policies.propose(world.desk, PAULA, "registration", stricter(world), "better")
    word = acts.signed(document, world.paula)
    world.clock.forward(days=2)
    assert rule(policies.take, world.desk, word) == "stale-word"


def test_octets_that_changed_under_way_are_refused(world):
    document = policies.propose(world.desk, PAULA, "registration", stricter(world), "better")
    word = bytearray(acts.signed(document, world.paula))
    place = word.index(b"policy-proposal")
    word[place] ^= 1
    with pytest.raises(Refusal):
        policies.take(world.desk, bytes(word))


def test_too_large_or_unreadable_policies_are_not_even_proposed(world):
    assert rule(world.propose, "registration", b"#" * (64 * 1024 + 1)) == "bad-policy"
    assert rule(world.propose, "registration", b"\xff") == "bad-policy"
    assert rule(world.propose, "profiles", LABORATORY.replace(b"sign", b"sing")) == "bad-profile"
    assert (
        rule(world.propose, "registration", world.desk.subject("registration").octets()) == "nothing-changes"
    )


# ---------------------------------------------------------------- officers
def test_officers_are_proposed_and_a_ceremony_carries_it_out(world, pki):
    policy = world.desk.subject("officers")
    now = policy.octets()
    assert read_officers(now, CA) == {right for right in GIVEN if right[2] == CA}
    wanted = written({*GIVEN, (OLGA, RIGHTS.audit, CA)}, CA)
    said = world.propose("officers", wanted)
    assert world.decide(said["proposal"])["state"] == "approved"
    assert policy.octets() == now
    rights = frozenset({*GIVEN, (OLGA, RIGHTS.audit, CA)})
    first = world.desk.chain().newest
    record = replace(
        first, number=2, previous=first.digest, act="officers", at=world.clock.now(), rights=rights
    )
    (world.folder / CEREMONIES / "0002.cms").write_bytes(sign_record(record, pki.root_ca.signer))
    assert policy.octets() == wanted
    assert policies.standing(world.desk, policy) == digest_of(wanted)


def test_officers_that_mix_duties_are_not_proposed(world):
    wanted = written({*GIVEN, (OLGA, RIGHTS.certify, CA)}, CA)
    assert rule(world.propose, "officers", wanted) == "duties-not-separate"
    wrong = written(GIVEN, CA).replace(b"ra.register", b"ra.everything")
    assert rule(world.propose, "officers", wrong) == "bad-officers"


def test_the_right_to_set_policy_is_not_that_to_name_officers(world):
    rights = TableAuthoriser(GIVEN - {(PAULA, RIGHTS.officers, CA)})
    world.desk.home = replace(world.desk.home, office=replace(world.desk.office, authoriser=rights))
    wanted = written({*GIVEN, (OLGA, RIGHTS.audit, CA)}, CA)
    assert rule(world.propose, "officers", wanted) == "not-authorised"


def test_the_file_of_officers_says_all_rights_there_are():
    every = [(f"urn:e2s:market:authority:o{number}", right, CA) for number, right in enumerate(KNOWN)]
    assert read_officers(written(every, CA), CA) == set(every)
    assert written(every, "other") == b""
