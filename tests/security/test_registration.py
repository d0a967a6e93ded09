"""Nobody is certified but for officers' signatures over what was seen; a name is given once, for ever."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace

import pytest

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.keys.generation import generate
from e2s.security.pki.approvals import MAX_ORDERS
from e2s.security.registration import acts, approving, cases, store, withdrawing
from e2s.security.registration.documents import approval_document, sign_document, write_orders
from e2s.security.registration.tables import EVIDENCE
from tests.worlds.pki import make_pki
from tests.worlds.registration import OLGA, OSKAR, World, csr


@pytest.fixture(scope="module")
def pki():
    return make_pki()


@pytest.fixture
def world(tmp_path, pki):
    made = World(tmp_path, pki)
    yield made
    made.office.database.close()


def registered(connection, case):
    row = store.case(connection, case)
    assert row is not None
    return row


def approved(connection, number):
    row = store.approval_numbered(connection, number)
    assert row is not None
    return row


def refused(rule, do, *arguments, **given):
    with pytest.raises(Refusal) as caught:
        do(*arguments, **given)
    assert caught.value.rule == rule
    return caught.value


# ---------------------------------------------------------------- the way of a case
def test_a_person_is_identified_named_approved_certified_and_given_her_certificate(world):
    key = generate("p256-sha256", secrets.token_bytes)
    case = world.open(der=csr(key), further=("anna@alpha.example", "urn:e2s:market:alpha"))
    assert world.state(case) == "opened"
    assert world.evidence(case)["state"] == "recorded"
    said = world.name(case)
    assert (said["state"], said["name"]) == ("named", "urn:e2s:market:alpha:anna-berg")
    assert said["confidence"] == "substantial"  # a passport, but a key in software
    assert world.first([case])["state"] == "ready"
    assert world.submit().certified == 1
    certificate = Certificate.read(world.row(case).certificate)
    assert certificate.name == "urn:e2s:market:alpha:anna-berg"
    document = acts.deliver_document(world.office, OLGA, case, certificate.id, "on a stick, at the desk")
    assert acts.take(world.office, acts.signed(document, world.olga))["state"] == "delivered"
    assert world.kinds() == [
        "case.opened",
        "case.evidence",
        "case.named",
        "approval.signed",
        "approval.ordered",
        "case.certified",
        "case.delivered",
    ]


@pytest.mark.parametrize("state", sorted(cases.STATES))
@pytest.mark.parametrize("event", sorted(cases.EVENTS))
def test_each_pair_of_state_and_event_has_a_place_or_is_refused(state, event):
    if (state, event) in cases.NEXT:
        assert cases.follow(state, event) in cases.STATES
    else:
        refused("out-of-order", cases.follow, state, event)
    if state in cases.ENDED:
        assert (state, event) not in cases.NEXT


def test_a_repeated_word_changes_nothing_and_gets_the_same_answer(world):
    document = acts.open_document(
        world.office,
        OLGA,
        profile="person",
        party="alpha",
        title="Anna Berg",
        request=csr(),
        protection="card",
    )
    octets = acts.signed(document, world.olga)
    assert acts.take(world.office, octets) == acts.take(world.office, octets)
    assert world.kinds() == ["case.opened"]


def test_no_number_of_a_document_is_kept(world):
    case = world.named(number="SECRET4711")
    world.office.database.close()
    for file in world.folder.iterdir():
        assert b"SECRET4711" not in file.read_bytes()
    world.office = world.opened()
    assert world.state(case) == "named"


# ---------------------------------------------------------------- officers and their rights
def test_an_officer_without_the_right_does_nothing_and_that_is_an_event(world):
    refused("not-authorised", world.open, world.otto)
    case = world.named()
    refused("not-authorised", world.first, [case], world.otto)
    assert world.state(case) == "named"
    assert [event["kind"] for event in world.events()].count("refused") == 2


def test_who_is_no_officer_does_nothing_even_under_an_officers_name(world):
    refused("wrong-purpose", world.open, world.pki.signer("person", OLGA))
    stranger = make_pki(at=world.pki.at).signer("officer", OLGA)
    assert refused("unknown-root", world.open, stranger)
    named_so = acts.open_document(
        world.office, OLGA, profile="person", party="alpha", title="A B", request=csr(), protection="card"
    )
    refused("wrong-name", acts.take, world.office, acts.signed(named_so, world.oskar))


def test_a_revoked_officer_is_refused(world):
    pki = make_pki(at=world.pki.at)
    fresh = World(world.folder / "other", pki)
    pki.revoke(fresh.olga.certificate)
    refused("revoked", fresh.open)
    fresh.office.database.close()


def test_a_word_for_another_place_or_time_is_refused(world):
    def altered(**changes):
        document = acts.open_document(
            world.office, OLGA, profile="person", party="alpha", title="A B", request=csr(), protection="card"
        )
        octets = acts.signed({**document, **changes}, world.olga)
        return lambda: acts.take(world.office, octets)

    refused("other-ca", altered(ca="another-ca"))
    refused("other-community", altered(community="bazaar"))
    late = altered()
    world.clock.forward(days=2)
    refused("stale-word", late)


def test_words_of_one_case_stand_in_their_order(world):
    one, two = world.open(), world.open()
    document = acts.evidence_document(world.office, OLGA, one, world.seen())
    refused("other-word", acts.take, world.office, acts.signed({**document, "case": two}, world.olga))
    refused("out-of-order", world.name, one)
    old = acts.signed(acts.name_document(world.office, OLGA, one), world.olga)
    world.evidence(one)
    refused("other-word", acts.take, world.office, old)


def test_an_officer_vouches_only_for_what_she_saw_herself(world):
    case = world.open()
    refused("evidence-officer", world.evidence, case, seen=world.seen(world.oskar))


# ---------------------------------------------------------------- evidence
@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("evidence-expired", {"expires": "2026-03-01"}),
        ("evidence-old", {"at": "2025-10-01T00:00:00Z"}),
        ("evidence-old", {"at": "2026-05-01T00:00:00Z"}),
        ("evidence-kind", {"kind": "library-card"}),
        ("evidence-seen", {"seen": "heard-of"}),
        ("bad-date", {"expires": ""}),
        ("bad-date", {"expires": "1.1.2030"}),
        ("bad-instant", {"at": "yesterday"}),
        ("bad-document", {"document": "C01X00T47"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(next(iter(value.items()))),
)
def test_evidence_that_the_policy_does_not_take_is_refused(world, rule, changes):
    case = world.open()
    refused(rule, world.evidence, case, seen=replace(world.seen(), **changes))
    assert world.state(case) == "opened"


def test_confidence_follows_from_evidence_and_key_and_no_more_is_given(world):
    case = world.open(protection="card", confidence="high")
    world.evidence(case, seen=replace(world.seen(), seen="copy"))
    refused("confidence", world.name, case)
    world.evidence(case)
    assert world.name(case)["confidence"] == "high"
    soft = world.open(confidence="high")
    world.evidence(soft, number="X2345678")
    refused("confidence", world.name, soft)


def test_evidence_altered_between_recording_and_approval_is_refused(world):
    case = world.named()
    alter(world, case, b"Utopia", b"Erewhon")
    refused("evidence-altered", world.first, [case])


def test_evidence_altered_after_approval_is_never_ordered(world):
    case = world.named()
    world.first([case])
    alter(world, case, b"Utopia", b"Erewhon")
    assert world.submit().certified == 0
    assert (world.state(case), world.row(case).rule) == ("approved", "evidence-altered")
    assert world.ca.asked == []
    digests_too(world, case)
    assert world.submit().certified == 0


def test_evidence_altered_between_two_officers_is_refused(world):
    case = world.named(profile="organisation")
    approval = world.first([case])["approval"]
    alter(world, case, b"Utopia", b"Erewhon")
    digests_too(world, case)
    refused("evidence-altered", world.second, approval)


def alter(world, case, old, new):
    with world.office.database.transaction() as connection:
        row = registered(connection, case)
        (seen,) = store.evidence(connection, row.n)
        changed = EVIDENCE.update().where(EVIDENCE.c.case == row.n)
        connection.execute(changed.values(record=seen.record.replace(old, new)))


def digests_too(world, case):
    with world.office.database.transaction() as connection:
        row = registered(connection, case)
        (seen,) = store.evidence(connection, row.n)
        changed = EVIDENCE.update().where(EVIDENCE.c.case == row.n)
        connection.execute(changed.values(digest=hashlib.sha256(seen.record).digest()))


# ---------------------------------------------------------------- requests
@pytest.mark.parametrize(
    ("rule", "der"),
    [("bad-request", b""), ("bad-request", b"0\x03\x02\x01\x01"), ("bad-document", bytes(20_000))],
    ids=["empty", "no-request", "huge"],
)
def test_a_hostile_request_is_refused(world, rule, der):
    refused(rule, world.open, der=der)


def test_a_request_without_the_key_is_refused(world):
    good = csr()
    refused("no-possession", world.open, der=good[:-1] + bytes([good[-1] ^ 1]))


def test_one_key_is_registered_once(world):
    der = csr()
    case = world.open(der=der)
    assert refused("key-known", world.open, der=der).facts["case"] == case
    document = acts.refuse_document(world.office, OLGA, case, "she went away")
    acts.take(world.office, acts.signed(document, world.olga))
    world.open(der=der)


def test_how_a_key_is_kept_is_one_of_what_the_policy_knows(world):
    refused("protection", world.open, protection="under the carpet")


def test_a_key_that_the_profile_does_not_take_is_refused_before_it_is_ordered(world):
    der = csr(generate("ed448", secrets.token_bytes))
    case = world.open(profile="tls-server", further=("shop.alpha.example",), der=der)
    world.evidence(case)
    refused("key-not-permitted", world.name, case, "web")


@pytest.mark.parametrize("profile", ["operating-ca", "root", "card-holder", "nothing-of-the-kind"])
def test_cas_and_cards_are_certified_elsewhere(world, profile):
    with pytest.raises(Refusal, match=r"wrong-profile|no-such-profile"):
        world.open(profile=profile)


# ---------------------------------------------------------------- approval
def test_four_eyes_are_two_persons(world):
    case = world.named(profile="organisation")
    approval = world.first([case])["approval"]
    assert world.state(case) == "countersign"
    assert world.submit().certified == 0
    refused("same-officer", world.second, approval, world.olga)
    # she signs what the second officer's tool would
    with world.office.database.reading() as connection:
        first = approved(connection, approval).first
    document = approval_document(first, OLGA, world.clock.now())
    refused("same-officer", approving.take_second, world.office, acts.signed(document, world.olga))
    # and with a second certificate of her own key under the other's name nothing is won either
    refused("not-authorised", world.second, approval, world.otto)
    assert world.second(approval)["state"] == "ready"
    assert world.submit().certified == 1


def test_one_officer_is_not_enough_where_the_profile_asks_for_two(world):
    case = world.named(profile="code-signing")
    assert world.first([case])["state"] == "once"
    others = [
        world.named("Y7654321", label="bea"),
        world.named("Z7654321", label="cleo", profile="code-signing"),
    ]
    refused("mixed-eyes", world.first, others)


def test_nobody_approves_her_own_registration(world):
    case = world.open(party="authority", title="Olga")
    world.evidence(case)
    world.name(case, "olga")
    refused("own-case", world.first, [case])
    world.first([case], world.oskar)


def test_an_approval_is_taken_only_as_it_was_drafted(world):
    case = world.named()
    document = approving.draft(world.office, [case], OLGA)
    spki = wire.b64u(hashlib.sha256(b"another key").digest())
    other = {**document, "orders": [{**document["orders"][0], "spki": spki}]}
    refused("not-drafted", approving.take_first, world.office, acts.signed(other, world.olga))
    others = acts.signed({**document, "officer": OSKAR}, world.oskar)
    refused("not-drafted", approving.take_first, world.office, others)
    assert world.state(case) == "named"


def test_a_draft_is_void_once_the_register_says_otherwise(world):
    case = world.named()
    octets = acts.signed(approving.draft(world.office, [case], OLGA), world.olga)
    word = acts.withdraw_document(world.office, OLGA, case, "changed her mind")
    acts.take(world.office, acts.signed(word, world.olga))
    refused("out-of-order", approving.take_first, world.office, octets)


def test_an_approval_that_is_not_used_lapses_and_may_be_given_anew(world):
    case = world.named()
    world.first([case])
    world.ca.away = True
    world.clock.forward(days=14)
    assert approving.lapse(world.office) == 1
    assert world.state(case) == "named"
    world.ca.away = False
    world.first([case])
    assert world.submit().certified == 1


def test_an_approval_has_at_most_a_thousand_orders(world):
    refused("too-many", approving.draft, world.office, [], OLGA)
    refused("too-many", lambda: _draft_many(world))


def _draft_many(world):
    row = world.row(world.named())
    with world.office.database.transaction() as connection:
        approving.draft_of(world.office, connection, [row] * (MAX_ORDERS + 1), OLGA, world.clock.now())


# ---------------------------------------------------------------- names
def test_a_name_is_never_given_to_another(world):
    first = world.named("P1111111")
    document = acts.refuse_document(world.office, OLGA, first, "gone")
    acts.take(world.office, acts.signed(document, world.olga))
    second = world.open()
    world.evidence(second, number="P2222222")
    found = refused("name-given", world.name, second, "anna-berg")
    assert found.facts["free"] == "urn:e2s:market:alpha:anna-berg-2"
    assert world.name(second)["name"] == "urn:e2s:market:alpha:anna-berg-2"


@pytest.mark.parametrize(
    "label", ["annaberg", "anna-be-rg", "amma", "arnma", "w1lly", "vvilly"], ids=lambda label: label
)
def test_a_name_that_looks_like_one_that_is_given_is_refused(world, label):
    for number, taken in enumerate(("anna-berg", "arnrna", "willy")):
        world.named(f"P333333{number}", label=taken)
    case = world.open()
    world.evidence(case, number="P4444444")
    refused("name-confusable", world.name, case, label)


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ("Anna-Berg", "bad-name"),
        ("anna_berg", "bad-name"),
        ("аnna", "bad-name"),
        ("anna--berg", "bad-name"),
        ("a" * 64 + "b", "bad-document"),
        ("anna:admin", "bad-name"),
        ("-anna", "bad-name"),
    ],
    ids=["upper", "underscore", "homograph", "hyphens", "long", "colon", "begins"],
)
def test_a_name_of_another_form_is_refused(world, label, rule):
    case = world.open()
    world.evidence(case)
    refused(rule, world.name, case, label)


@pytest.mark.parametrize(
    ("title", "rule"),
    [
        ("Anna Bеrg", "mixed-scripts"),
        ("=cmd|' /C calc'!A0", "formula"),
        ("Anna\u202eBerg", "bad-document"),
        ("Anna\u200bBerg", "bad-title"),
        (" Anna", "bad-title"),
    ],
    ids=["homograph", "formula", "bidi", "unseen", "space"],
)
def test_how_a_person_is_called_misleads_nobody(world, title, rule):
    refused(rule, world.open, title=title)


def test_a_person_who_is_known_is_found(world):
    world.named("P5555555", label="anna")
    again = world.open()
    world.evidence(again, number="p 555-5555")  # as typed by another
    assert (
        refused("known-person", world.name, again, "annabella").facts["name"] == "urn:e2s:market:alpha:anna"
    )
    assert world.name(again)["name"] == "urn:e2s:market:alpha:anna"


def test_the_documents_of_two_persons_name_nobody(world):
    world.named("P6666666", label="anna")
    world.named("P7777777", label="bea")
    case = world.open()
    world.evidence(case, number="P6666666")
    world.evidence(case, number="P7777777")
    refused("two-persons", world.name, case)


def test_that_a_person_is_the_same_on_an_officers_word_alone_needs_a_second_officer(world):
    world.named("P8888888", label="anna")
    case = world.open()
    world.evidence(case, number="Q8888888")  # a new passport
    assert world.name(case, "anna", same=True)["name"] == "urn:e2s:market:alpha:anna"
    assert world.first([case])["state"] == "once"


def test_further_names_are_the_partys_or_the_persons_own(world):
    world.named("P9999999", label="anna", further=("anna@alpha.example",))
    case = world.open(further=("anna@alpha.example",))
    world.evidence(case, number="Q9999999")
    refused("name-given", world.name, case, "bea")
    world.named("R9999999", label="web", profile="tls-server", further=("shop.alpha.example",))
    other = world.open(party="beta", profile="tls-server", further=("shop.alpha.example",))
    world.evidence(other, number="S9999999")
    refused("name-given", world.name, other, "web")
    refused("foreign-name", world.open, further=("urn:e2s:market:beta",))
    refused("bad-name", world.open, further=("Shop.Alpha.example",))


# ---------------------------------------------------------------- orders
def test_an_order_without_an_answer_is_sent_again_and_certifies_once(world):
    case = world.named()
    world.first([case])
    world.ca.away = True
    assert world.submit().waiting == 1
    world.ca.away, world.ca.lose_answers = False, 1
    assert world.submit().waiting == 1
    assert world.state(case) == "ordered"
    world.reopen()
    assert world.submit().certified == 1
    assert world.submit().certified == 0
    assert world.ca.issued() == [world.row(case).certificate]
    assert world.kinds().count("case.certified") == 1


def test_the_ra_alone_orders_nothing(world):
    """Its process has the register and the link, and no officer's signature."""
    case = world.named()
    with world.office.database.transaction() as connection:
        row = registered(connection, case)
        document = approving.draft_of(world.office, connection, [row], OLGA, world.clock.now())
        forged = sign_document(document, world.pki.signer("component", OLGA), world.clock.now())
        drafted = store.approval(connection, hashlib.sha256(wire.encode(document)).digest())
        assert drafted is not None
        store.change_approval(connection, drafted.n, state="ready", first=forged)
        store.change_case(connection, row.n, state="approved", approval=drafted.n)
    assert world.submit().certified == 0
    assert world.row(case).certificate is None


def test_an_approval_is_of_no_use_for_another_key(world):
    case = world.named()
    world.first([case])
    with world.office.database.reading() as connection:
        approval = store.approvals(connection, "ready")[0].first
    with pytest.raises(Refusal) as caught:
        world.ca.ask("/issue", write_orders(approval, [csr()]))
    assert caught.value.rule == "foreign-key"


def test_what_the_ca_finally_refuses_waits_for_another_approval_and_what_it_gave_before_is_kept(world):
    one, two = world.named("P0000001", label="anna"), world.named("P0000002", label="bea")
    approval = world.first([one, two])["approval"]
    with world.office.database.reading() as connection:
        signed = approved(connection, approval).first
        request = registered(connection, one).request
    world.ca.ask("/issue", write_orders(signed, [request]))  # and the answer is lost
    world.pki.revoke(world.olga.certificate)
    try:
        world.submit()
        assert {world.state(one), world.state(two)} == {"ordered"}
        sent = world.submit()
        assert (sent.certified, sent.declined) == (1, 1)
        assert (world.state(one), world.state(two)) == ("certified", "named")
        assert world.row(two).rule == "revoked"
        world.first([two], world.oskar)
        assert world.submit().certified == 1
    finally:
        world.pki.operating_ca.revoked.clear()


@pytest.mark.parametrize("break_", ["key", "certificate", "result"])
def test_an_answer_that_is_not_for_the_order_is_not_taken(world, break_):
    case = world.named()
    world.first([case])
    other, _, _ = world.pki.issue("person", "urn:e2s:market:alpha:eve")
    plain = world.ca.doors["/issue"]

    def lying(peer, body):
        answer = wire.decode(plain(peer, body), 1 << 22)
        if break_ == "key":
            answer["results"][0]["spki"] = wire.b64u(bytes(32))
        elif break_ == "certificate":
            answer["results"][0]["certificate"] = wire.b64u(other.der)
        else:
            del answer["results"][0]["certificate"]
        return wire.encode(answer)

    world.ca.doors = {"/issue": lying}
    sent = world.submit()
    assert (sent.certified, sent.waiting) == (0, 1)
    assert world.state(case) == "ordered"
    world.ca.doors = {"/issue": plain}
    assert world.submit().certified == 1


# ---------------------------------------------------------------- withdrawal
def certified(world, **given):
    case = world.named(**given)
    world.first([case])
    world.submit()
    return case, Certificate.read(world.row(case).certificate)


def test_an_officer_has_a_certificate_held_released_and_revoked(world):
    case, certificate = certified(world)
    for act, reason in (("hold", ""), ("release", ""), ("revoke", "keyCompromise")):
        world.clock.forward(seconds=1)
        assert world.withdraw(certificate.serial, act, reason)["state"] == "waiting"
        assert withdrawing.send_withdrawals(world.office, world.ca.ask).done == 1
    assert world.state(case) == "withdrawn"
    assert world.kinds()[-1] == "withdrawal.done"


def test_an_officer_without_the_right_withdraws_nothing(world):
    _, certificate = certified(world)
    refused("not-authorised", world.withdraw, certificate.serial, "revoke", "keyCompromise", world.oskar)


def test_a_holder_revokes_with_her_own_key_and_releases_nothing(world):
    from e2s.crypto.keys import KeySigner

    key = generate("p256-sha256", secrets.token_bytes)
    case, certificate = certified(world, der=csr(key))
    holder = KeySigner(certificate, (world.pki.operating,), key)
    refused("holder-cannot-release", world.withdraw, certificate.serial, "release", "", holder)
    _, others = certified(world, number="T1234567", label="bea")
    refused("wrong-purpose", world.withdraw, others.serial, "revoke", "keyCompromise", holder)
    world.withdraw(certificate.serial, "revoke", "keyCompromise", holder)
    world.ca.away = True
    assert withdrawing.send_withdrawals(world.office, world.ca.ask).waiting == 1
    world.ca.away = False
    assert withdrawing.send_withdrawals(world.office, world.ca.ask).done == 1
    assert world.state(case) == "withdrawn"


def test_a_withdrawal_says_why(world):
    _, certificate = certified(world)
    refused("bad-reason", world.withdraw, certificate.serial, "revoke", "")
    refused("bad-reason", world.withdraw, certificate.serial, "hold", "keyCompromise")
    refused("bad-reason", world.withdraw, certificate.serial, "revoke", "certificateHold")
