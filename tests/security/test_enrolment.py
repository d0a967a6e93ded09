"""What the desk gives, to whom, at which door, and how often."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509

from e2s.base.errors import E2SError, Refusal, Unreachable
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.security.certificates.possession import Proven
from e2s.security.enrolment import deciding, inviting, store
from e2s.security.enrolment.asking import Asked, Controls, Holder, Invited, Issued, Pending
from e2s.security.enrolment.invitations import AGREEMENT, code_of, read_code, read_secret
from e2s.security.enrolment.policy import read_policy, shipped
from e2s.security.verification.trust import HeldCrls
from tests.worlds.enrolment import ANNA, OLGA, OPERATOR, OSKAR, OTTO, World, csr, key

BERT = "urn:e2s:market:alpha:bert"
SHOP = "shop.alpha.example"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def asked(shown, request=None, transaction: bytes = b"1", door: str = "enrol", **more) -> Asked:
    return Asked(
        door=door, transaction=transaction, request=csr() if request is None else request, shown=shown, **more
    )


def rule(act, *given, **named) -> str:
    with pytest.raises(E2SError) as caught:
        act(*given, **named)
    return caught.value.rule


def certified(made) -> Certificate:
    assert isinstance(made, Issued)
    return Certificate.read(made.certificate)


def ruled(world: World, profile: str, **changes) -> None:
    """Another rule for one profile."""
    policy = world.office.policy
    rules = {**policy.rules, profile: replace(policy.rules[profile], **changes)}
    world.policy = replace(policy, rules=rules)
    world.reopen()


def with_acme(world: World, **changes) -> None:
    world.policy = replace(world.office.policy, acme=replace(world.office.policy.acme, **changes))
    world.reopen()


# ------------------------------------------------------------------ invitations
def test_an_invitation_gives_what_its_officer_said(world):
    request = csr()
    names = (ANNA, "anna@alpha.example")
    made = world.desk.ask(asked(world.invited(names=names), request))
    certificate = certified(made)
    assert certificate.names == (ANNA,)
    assert "anna@alpha.example" in certificate.x509.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.RFC822Name)
    assert made.chain == (world.pki.operating.der,)
    world.trust.check_certificate(
        certificate, (world.pki.operating,), purpose=oids.EKU_EMAIL, name=ANNA, at=world.clock.now()
    )
    assert world.kinds() == ["invitation.made", "enrolment.asked", "enrolment.issued"]


def test_a_repeat_is_answered_as_the_first_was_and_a_use_is_taken_once(world):
    shown, request = world.invited(), csr()
    first = world.desk.ask(asked(shown, request))
    assert world.desk.ask(asked(shown, request)) == first
    world.clock.forward(days=400)
    world.reopen()
    assert world.desk.ask(asked(shown, request)) == first
    assert world.desk.poll("enrol", b"1", shown) == first
    assert rule(world.desk.ask, asked(shown)) == "other-request"
    assert rule(world.desk.ask, asked(shown, transaction=b"2")) == "invitation-over"


def test_two_at_the_same_time_take_one_use(world):
    shown, started = world.invited(uses=3), threading.Barrier(8)

    def try_it(number: int) -> str:
        request = csr()
        started.wait()
        try:
            return type(world.desk.ask(asked(shown, request, b"%d" % number))).__name__
        except Refusal as refusal:
            return refusal.rule

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(try_it, range(8)))
    assert outcomes == ["Issued"] * 3 + ["invitation-used"] * 5


def test_the_same_request_twice_at_the_same_time_is_certified_once(world):
    shown, request, started = world.invited(), csr(), threading.Barrier(6)

    def try_it(_number: int) -> Issued | Pending:
        started.wait()
        return world.desk.ask(asked(shown, request))

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(try_it, range(6)))) == 1
    assert world.kinds().count("enrolment.issued") == 1


def test_nobody_elses_transaction_stands_in_the_way(world):
    first, second = world.invited(), world.invited(names=(BERT,))
    request = csr(BERT)
    one = certified(world.desk.ask(asked(first, csr(), b"same")))
    two = certified(world.desk.ask(asked(second, request, b"same")))
    assert (one.name, two.name) == (ANNA, BERT)


def test_an_invitation_is_taken_back(world):
    reference, secret = world.invite()
    shown = world.desk.show(reference, secret)
    assert rule(inviting.take_back, world.office, reference, officer=OTTO) == "not-authorised"
    inviting.take_back(world.office, reference, officer=OSKAR)
    inviting.take_back(world.office, reference, officer=OSKAR)
    assert rule(world.desk.ask, asked(shown)) == "invitation-withdrawn"
    assert world.kinds().count("invitation.withdrawn") == 1


def test_an_invitation_whose_officer_lost_the_right_gives_nothing_and_its_use_is_given_back(world):
    shown, request = world.invited(), csr()
    before = world.rights.table
    world.rights.__dict__["table"] = frozenset(one for one in before if one[0] != OLGA)
    assert rule(world.desk.ask, asked(shown, request)) == "not-authorised"
    world.rights.__dict__["table"] = before
    assert certified(world.desk.ask(asked(shown, csr(), b"2"))).name == ANNA


def test_a_refused_transaction_may_come_again_with_a_better_request(world):
    shown, worse = world.invited(), key()
    world.authority.issue("tls-server", worse.public_key(), (SHOP,), officer=OPERATOR)
    assert rule(world.desk.ask, asked(shown, csr(private=worse))) == "key-reused"
    assert rule(world.desk.ask, asked(shown, csr(private=worse))) == "key-reused"
    assert certified(world.desk.ask(asked(shown))).name == ANNA


def test_an_invitation_gives_the_agreement_key_beside_the_signing_key(world):
    shown = world.invited()
    signing = certified(world.desk.ask(asked(shown)))
    agreement = certified(world.desk.ask(asked(shown, transaction=b"2", profile="person" + AGREEMENT)))
    assert signing.subject == agreement.subject
    assert (
        rule(world.desk.ask, asked(shown, transaction=b"3", profile="person" + AGREEMENT))
        == "invitation-used"
    )
    assert rule(world.desk.ask, asked(shown, transaction=b"4", profile="component")) == "wrong-profile"


def test_a_key_that_signs_nothing_is_certified_once_a_door_proved_it(world):
    for suite in ("x25519-aes256gcm", "ml-kem-768-aes256gcm"):
        public = key(suite).public_key()
        shown = world.invited("person" + AGREEMENT)
        made = certified(world.desk.ask(asked(shown, Proven(public, spki_of(public)))))
        assert made.spki == spki_of(public)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"officer": OTTO}, "not-authorised"),
        ({"officer": OLGA, "names": (OLGA,), "profile": "officer"}, "own-case"),
        ({"profile": "root"}, "wrong-profile"),
        ({"profile": "card-holder"}, "wrong-profile"),
        ({"profile": "ocsp-responder"}, "not-enrolled"),
        ({"confidence": "high"}, "confidence"),
        ({"names": ()}, "bad-invitation"),
        ({"names": (ANNA, ANNA)}, "bad-invitation"),
        ({"names": ("two words",)}, "bad-name"),
        ({"uses": 0}, "bad-invitation"),
        ({"uses": 1001}, "bad-invitation"),
        ({"title": "two\nlines"}, "bad-invitation"),
    ],
    ids=[
        "no right",
        "herself",
        "root",
        "card",
        "no rule",
        "level",
        "no names",
        "twice",
        "bad name",
        "none",
        "many",
        "lines",
    ],
)
def test_what_nobody_is_invited_to(world, given, expected):
    assert rule(world.invite, **given) == expected


def test_a_level_is_the_weakest_of_invitation_policy_and_protection(world):
    cases = [("", "", "substantial"), ("low", "", "low"), ("", "token", "substantial")]
    for place, (confidence, protection, level) in enumerate(cases):
        shown = world.invited(confidence=confidence)
        made = certified(world.desk.ask(asked(shown, transaction=b"%d" % place, protection=protection)))
        policies = made.values[x509.CertificatePolicies]
        assert oids.CONFIDENCE[level] in {one.policy_identifier.dotted_string for one in policies}
    assert rule(world.desk.ask, asked(world.invited(), protection="buried")) == "protection"
    assert rule(world.desk.ask, asked(world.invited(), protection="attested")) == "not-attested"


# ------------------------------------------------------------------ codes and secrets
def test_a_code_is_read_however_it_is_typed(world):
    reference, secret = world.invite()
    code = code_of(reference, secret)
    for typed in (
        code,
        f"  {code}\n",
        code.upper(),
        code.replace("-", ""),
        code.replace("-", " ").replace("1", "l"),
    ):
        assert read_code(typed) == (reference, secret)
    assert world.desk.show(reference, secret.upper()) == Invited(reference=reference)
    assert world.desk.secret(reference) == secret


def test_what_is_no_code_is_refused():
    ones = "1" * 32
    for typed in (
        "",
        ".",
        "a.b",
        "x" * 200,
        "abcdefgh." + "u" * 32,
        "abcdefgh." + ones[1:],
        "é" * 8 + "." + ones,
    ):
        assert rule(read_code, typed) == "bad-code"


def test_wrong_secrets_are_counted_and_soon_refused(world):
    reference, secret = world.invite()
    _, wrong = world.invite()
    for _ in range(world.office.policy.tries):
        assert rule(world.desk.show, reference, wrong, client="192.0.2.7") == "wrong-code"
    assert rule(world.desk.show, reference, secret, client="192.0.2.7") == "too-many-tries"
    assert rule(world.desk.wrong, reference, client="192.0.2.7") == "too-many-tries"
    # somebody else's tries shut nobody out, and time opens again
    assert world.desk.show(reference, secret, client="192.0.2.8").reference == reference
    world.clock.forward(minutes=world.office.policy.tries_minutes)
    assert world.desk.show(reference, secret, client="192.0.2.7").reference == reference


def test_who_guesses_does_not_fill_the_disk(world):
    _, secret = world.invite()
    for number in range(100):
        assert rule(world.desk.show, f"{number:08d}", secret, client=f"192.0.2.{number}") == "wrong-code"
    assert world.kinds().count("refused") == 60
    world.clock.forward(minutes=1)
    assert rule(world.desk.show, "00000000", secret, client="192.0.2.200") == "wrong-code"
    assert world.events()[-1]["facts"]["untold"] == 40


def test_an_unknown_reference_is_told_as_a_wrong_secret_is(world):
    _, secret = world.invite()
    assert rule(world.desk.show, "00000000", secret) == "wrong-code"
    assert rule(world.desk.show, "no such", secret) == "bad-code"
    assert rule(world.desk.secret, "00000000") == "no-such-invitation"


def test_secrets_lie_sealed_and_each_for_its_own_reference(world):
    one, secret = world.invite()
    two, _ = world.invite()
    files = b"".join(path.read_bytes() for path in world.folder.glob("enrolment.sqlite*"))
    assert secret not in files
    assert secret.replace(b"-", b"") not in files
    with world.office.database.transaction() as connection:
        _, sealed = store.invitation(connection, one) or (None, b"")
        table = store.INVITATIONS
        connection.execute(table.update().where(table.c.reference == two).values(secret=sealed))
    assert rule(world.desk.secret, two) == "altered-storage"


def test_no_event_tells_a_secret(world):
    reference, secret = world.invite()
    shown = world.desk.show(reference, secret)
    world.desk.ask(asked(shown))
    assert rule(world.desk.show, reference, secret[:-1] + b"0" if secret[-1:] != b"0" else secret[:-1] + b"1")
    told = repr(world.events())
    assert secret.decode() not in told
    assert reference in told


# ------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        ((ANNA,), (BERT,), "names-differ"),
        ((ANNA,), (ANNA, "anna@alpha.example"), "names-differ"),
        ((ANNA, "anna@alpha.example"), (ANNA, "Anna@Alpha.example"), ""),
        ((ANNA, "anna@alpha.example"), ("anna@alpha.example",), ""),
        ((ANNA,), (ANNA.upper(),), "names-differ"),
    ],
    ids=["another", "more", "case of mail", "fewer", "case of a URN"],
)
def test_a_request_names_what_was_given_or_is_refused(world, names, wanted, expected):
    shown = world.invited(names=names)
    if expected:
        assert rule(world.desk.ask, asked(shown, csr(*wanted))) == expected
        assert world.events()[-1]["facts"]["rule"] == expected
    else:
        assert certified(world.desk.ask(asked(shown, csr(*wanted)))).name == ANNA


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ([("O", "market"), ("OU", "alpha"), ("CN", "anna")], ""),
        ([("C", "DE"), ("CN", ANNA)], ""),
        ([("O", "market"), ("OU", "beta"), ("CN", "anna")], "names-differ"),
        ([("CN", "bert")], "names-differ"),
        ([("E", "bert@alpha.example")], "names-differ"),
        ([], ""),
    ],
    ids=["whole", "name in CN", "other party", "other person", "other address", "empty"],
)
def test_a_subject_is_that_of_the_certificate_or_refused(world, subject, expected):
    kinds = {"C": "2.5.4.6", "O": "2.5.4.10", "OU": "2.5.4.11", "CN": "2.5.4.3", "E": "1.2.840.113549.1.9.1"}
    private: Any = key()
    name = x509.Name(
        [x509.NameAttribute(x509.ObjectIdentifier(kinds[kind]), value) for kind, value in subject]
    )
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    ask = asked(world.invited(), built.public_bytes(Encoding.DER))
    if expected:
        assert rule(world.desk.ask, ask) == expected
    else:
        assert certified(world.desk.ask(ask)).subject == "CN=anna,OU=alpha,O=market"


def test_an_address_is_the_same_however_it_is_written(world):
    hosts = ("192.0.2.7", "2001:db8::7", SHOP)
    shown = world.invited("tls-server", hosts, uses=2)
    same = csr(SHOP.upper(), "192.0.2.7", "2001:0DB8:0::7")
    assert certified(world.desk.ask(asked(shown, same))).ips == ("192.0.2.7", "2001:db8::7")
    assert rule(world.desk.ask, asked(shown, csr("192.0.2.8"), b"2")) == "names-differ"


def test_wishes_lie_within_what_was_shown(world):
    shown = world.invited("tls-server", (SHOP, "www.alpha.example"), uses=9)
    made = certified(world.desk.ask(asked(shown, csr(SHOP), names=(SHOP,))))
    assert made.dns == (SHOP,)
    assert rule(world.desk.ask, asked(shown, csr(SHOP), b"2", names=("else.example",))) == "names-differ"
    late = world.clock.now().replace(year=2036)
    assert rule(world.desk.ask, asked(shown, csr(SHOP), b"3", not_after=late)) == "bad-end"
    soon = world.clock.forward(days=1).replace(day=20)
    assert certified(world.desk.ask(asked(shown, csr(SHOP), b"4", not_after=soon))).not_after == soon


def test_what_is_no_request_is_refused(world):
    whole = csr()
    for octets in (b"", b"0", bytes((0x30, 0x80)), whole[:-1], whole + b"0", b"0" * 20_000):
        assert rule(world.desk.ask, asked(world.invited(), octets)) == "bad-request"


def test_a_request_that_another_key_signed_is_refused(world):
    first, second = csr(), csr()
    mixed = first[:-60] + second[-60:]
    assert rule(world.desk.ask, asked(world.invited(), mixed)) in {"bad-request", "no-possession"}
    assert rule(world.desk.ask, asked(world.invited(), first, b"")) == "bad-transaction"


# ------------------------------------------------------------------ renewal
def held(world: World, signer) -> Holder:
    return Holder(certificate=signer.certificate, certificates=(world.pki.operating,))


def test_a_holder_renews_what_she_has(world):
    mail = (ANNA, "anna@alpha.example")
    signer = world.enrolled(names=mail)
    assert rule(world.desk.ask, asked(held(world, signer))) == "too-early"
    world.clock.forward(days=650)
    made = certified(world.desk.ask(asked(held(world, signer), csr(*mail))))
    assert made.subject == signer.certificate.subject
    assert made.values[x509.SubjectAlternativeName] == signer.certificate.values[x509.SubjectAlternativeName]
    assert made.values[x509.CertificatePolicies] == signer.certificate.values[x509.CertificatePolicies]
    assert made.not_after > signer.certificate.not_after
    assert rule(world.desk.ask, asked(held(world, signer), csr(BERT), b"2")) == "names-differ"
    assert (
        rule(world.desk.ask, asked(held(world, signer), None, b"3", profile="component")) == "wrong-profile"
    )


def test_a_certificate_that_is_not_good_renews_nothing(world):
    signer = world.enrolled("component")
    world.desk.ask(asked(held(world, signer), csr(ANNA), b"0"))
    world.desk.withdraw(signer.certificate.serial, "superseded", held(world, signer), door="enrol")
    assert rule(world.desk.ask, asked(held(world, signer), csr(ANNA), b"1")) == "certificate-revoked"
    over = world.enrolled("component")
    world.clock.forward(days=366)
    assert rule(world.desk.ask, asked(held(world, over), csr(ANNA), b"2")) == "expired"


def test_a_certificate_may_be_renewed_a_little_late_where_the_policy_says_so(world):
    ruled(world, "component", grace_days=3)
    signer = world.enrolled("component")
    world.clock.forward(days=367)
    assert certified(world.desk.ask(asked(held(world, signer), csr(ANNA)))).names == (ANNA,)
    world.clock.forward(days=2)
    assert rule(world.desk.ask, asked(held(world, signer), csr(ANNA), b"2")) == "expired"


def test_others_certificates_renew_nothing(world, tmp_path):
    foreign = world.pki.signer("person", ANNA)  # signed by the same key, and in no register
    assert rule(world.desk.ask, asked(held(world, foreign))) == "other-ca"
    ca = Holder(certificate=world.pki.operating)
    assert rule(world.desk.ask, asked(ca)) == "other-ca"
    before = world.kinds().count("refused")
    for number in range(100):
        assert rule(world.desk.ask, asked(held(world, foreign), transaction=b"%d" % number)) == "other-ca"
    assert world.kinds().count("refused") <= 60 + before  # strangers do not fill the disk


def test_a_renewal_has_a_new_key_where_the_policy_says_so(world):
    ruled(world, "component", key="new")
    private = key()
    signer = world.enrolled("component", private=private)
    assert rule(world.desk.ask, asked(held(world, signer), csr(private=private))) == "same-key"
    assert certified(world.desk.ask(asked(held(world, signer), csr(), b"2"))).name == ANNA


# ------------------------------------------------------------------ hosts that were proven
def test_an_account_has_what_it_controls_within_its_invitation(world):
    reference, _ = world.invite("tls-server", (SHOP, "www.alpha.example"))
    shown = Controls(account="a", hosts=(SHOP,), reference=reference)
    assert certified(world.desk.ask(asked(shown, csr(SHOP), door="acme"))).dns == (SHOP,)
    # one use for an account, however often it asks, also after the invitation's end
    world.clock.forward(days=60)
    assert certified(world.desk.ask(asked(shown, csr(SHOP), b"2", "acme"))).dns == (SHOP,)
    other = Controls(account="b", hosts=(SHOP,), reference=reference)
    assert rule(world.desk.ask, asked(other, csr(SHOP), b"3", "acme")) == "invitation-over"
    more = Controls(account="a", hosts=("bank.example",), reference=reference)
    assert rule(world.desk.ask, asked(more, csr("bank.example"), b"4", "acme")) == "names-differ"
    inviting.take_back(world.office, reference, officer=OLGA)
    assert rule(world.desk.ask, asked(shown, csr(SHOP), b"5", "acme")) == "invitation-withdrawn"


def test_an_account_without_an_invitation_is_the_policys_matter(world):
    shown = Controls(account="a", hosts=(SHOP,))
    assert rule(world.desk.ask, asked(shown, csr(SHOP), door="acme")) == "account-not-bound"
    with_acme(world, external_account=False)
    assert certified(world.desk.ask(asked(shown, csr(SHOP), door="acme"))).dns == (SHOP,)
    assert rule(world.desk.ask, asked(replace(shown, hosts=()), csr(SHOP), b"2", "acme")) == "names-differ"
    person = asked(shown, csr(SHOP), b"3", "acme", profile="person")
    assert rule(world.desk.ask, person) == "not-by-this-means"


def test_an_invitation_without_names_is_for_hosts_that_are_proven(world):
    reference, secret = world.invite("tls-server", ())
    assert rule(world.desk.ask, asked(world.desk.show(reference, secret), csr(SHOP))) == "names-differ"
    shown = Controls(account="a", hosts=(SHOP,), reference=reference)
    assert certified(world.desk.ask(asked(shown, csr(SHOP), door="acme"))).dns == (SHOP,)


def test_a_profile_is_enrolled_at_its_doors_alone(world):
    ruled(world, "person", doors=frozenset({"est"}))
    assert rule(world.desk.ask, asked(world.invited())) == "not-at-this-door"
    assert certified(world.desk.ask(asked(world.invited(), door="est"))).name == ANNA
    ruled(world, "person", shown=frozenset({"holder"}))
    assert rule(world.invited) == "not-by-this-means"


# ------------------------------------------------------------------ officers
def waiting(world: World, transaction: bytes = b"1"):
    shown = world.invited("code-signing")
    made = world.desk.ask(asked(shown, None, transaction))
    assert made == Pending(transaction=transaction, retry_seconds=world.office.policy.retry_seconds)
    return shown, deciding.waiting(world.office)[-1].case


def test_four_eyes_wait_for_another_officer(world):
    shown, case = waiting(world)
    assert world.desk.poll("enrol", b"1", shown) == world.desk.poll("enrol", b"1", shown)
    assert rule(world.decide, case, officer=OLGA) == "same-officer"
    assert rule(world.decide, case, officer=OTTO) == "not-authorised"
    world.decide(case)
    assert certified(world.desk.poll("enrol", b"1", shown)).name == ANNA
    assert rule(world.decide, case, "decline") == "out-of-order"
    assert [one for one in world.kinds() if one.startswith("enrol")] == [
        "enrolment.waits", "enrolment.approved", "enrolment.issued",
    ]  # fmt: skip


def test_what_is_declined_is_told_and_the_use_given_back(world):
    shown, case = waiting(world)
    world.decide(case, "decline", why="nobody knows you")
    with pytest.raises(Refusal, match="nobody knows you") as caught:
        world.desk.poll("enrol", b"1", shown)
    assert caught.value.rule == "declined"
    assert isinstance(world.desk.ask(asked(shown, None, b"2")), Pending)


def test_what_nobody_decides_on_lapses(world):
    shown, _ = waiting(world)
    world.clock.forward(days=world.office.policy.waiting_days + 1)
    assert world.desk.tick() == 1
    assert rule(world.desk.poll, "enrol", b"1", shown) == "lapsed"


def test_a_decision_is_about_one_request_and_fresh(world):
    _, first = waiting(world)
    _, second = waiting(world, b"2")
    said = deciding.decision_document(world.office, first, OSKAR, "approve")
    moved = deciding.sign_decision({**said, "request": second}, world.officer(OSKAR))
    assert rule(deciding.decide, world.office, moved) == "other-request"
    more = deciding.sign_decision({**said, "names": [*said["names"], "bank.example"]}, world.officer(OSKAR))
    assert rule(deciding.decide, world.office, more) == "other-request"
    good = deciding.sign_decision(said, world.officer(OSKAR))
    assert rule(deciding.decide, world.office, good[:-1] + bytes((good[-1] ^ 1,))) != ""
    foreign = world.pki.signer("person", OSKAR)
    assert rule(deciding.decide, world.office, deciding.sign_decision(said, foreign)) == "wrong-purpose"
    world.clock.forward(days=2)
    assert rule(deciding.decide, world.office, good) == "stale-word"
    assert rule(deciding.decide, world.office, b"0" * 70_000) == "too-large"


def test_a_decision_whose_officer_is_good_no_more_is_not_carried_out(world):
    shown, case = waiting(world)
    world.decide(case)
    world.office.ca.withdraw(world.officer(OSKAR).certificate.serial, "keyCompromise", OPERATOR)
    assert rule(world.desk.poll, "enrol", b"1", shown) == "revoked"


def test_what_registration_had_certified_is_found_by_its_key(world):
    private = key()
    world.authority.issue("code-signing", private.public_key(), (ANNA,), officer=OPERATOR)
    world.clock.forward(hours=1)
    shown = world.invited("code-signing")
    ask = asked(shown, csr(private=private))
    assert isinstance(world.desk.ask(ask), Pending)  # what it had before is not meant
    world.clock.forward(hours=1)
    made = world.authority.issue("code-signing", private.public_key(), (ANNA,), officer=OPERATOR)
    assert certified(world.desk.poll("enrol", b"1", shown)) == made
    assert certified(world.desk.ask(ask)) == made
    assert deciding.waiting(world.office) == []
    assert world.kinds().count("enrolment.issued") == 1


def test_lists_that_are_missing_for_a_while_settle_nothing(world):
    shown, case = waiting(world)
    world.decide(case)
    lists, world.trust.source = world.trust.source, HeldCrls()
    assert rule(world.desk.poll, "enrol", b"1", shown) == "revocation-unknown"
    assert world.desk.tick() == 0
    world.trust.source = lists
    assert world.desk.tick() == 1
    assert certified(world.desk.poll("enrol", b"1", shown)).name == ANNA


def test_the_policy_may_ask_an_officer_each_time(world):
    ruled(world, "person", officer=True)
    assert isinstance(world.desk.ask(asked(world.invited())), Pending)


def test_an_officer_does_not_decide_on_herself(world):
    shown = world.invited("officer", (OSKAR,))
    assert isinstance(world.desk.ask(asked(shown, csr(OSKAR))), Pending)
    (row,) = deciding.waiting(world.office)
    assert rule(world.decide, row.case, officer=OSKAR) == "own-case"


# ------------------------------------------------------------------ withdrawal
def test_a_certificate_is_withdrawn_by_whom_it_is(world):
    signer, other = world.enrolled(), world.enrolled(names=(BERT,))
    serial = signer.certificate.serial
    withdraw = world.desk.withdraw
    assert rule(withdraw, serial, "keyCompromise", held(world, other), door="enrol") == "not-yours"
    assert rule(withdraw, serial, "certificateHold", held(world, signer), door="enrol") == "bad-reason"
    assert rule(withdraw, serial, "boredom", held(world, signer), door="enrol") == "bad-reason"
    assert not world.desk.revoked(serial)
    withdraw(serial, "keyCompromise", held(world, signer), door="enrol")
    withdraw(serial, "keyCompromise", held(world, signer), door="enrol")
    assert world.desk.revoked(serial)
    assert world.desk.revoked(serial + 1)


def test_an_invitation_and_an_account_withdraw_what_came_of_them(world):
    shown, others = world.invited(), world.invited(names=(BERT,))
    serial = certified(world.desk.ask(asked(shown))).serial
    assert rule(world.desk.withdraw, serial, "superseded", others, door="cmp") == "not-yours"
    assert rule(world.desk.withdraw, 5, "superseded", others, door="cmp") == "no-such-certificate"
    world.desk.withdraw(serial, "superseded", shown, door="cmp")
    assert world.desk.revoked(serial)
    with_acme(world, external_account=False)
    account = Controls(account="a", hosts=(SHOP,))
    serial = certified(world.desk.ask(asked(account, csr(SHOP), door="acme"))).serial
    stranger = Controls(account="b", hosts=("else.example",))
    assert rule(world.desk.withdraw, serial, "superseded", stranger, door="acme") == "not-yours"
    # RFC 8555, 7.6: who controls every name may
    world.desk.withdraw(serial, "superseded", Controls(account="b", hosts=(SHOP,)), door="acme")
    assert world.desk.revoked(serial)


# ------------------------------------------------------------------ what an absent CA leaves
def test_what_the_ca_did_not_answer_is_carried_out_later(world):
    shown, request = world.invited(), csr()
    issue = world.office.ca.issue

    def away(*_given) -> bytes:
        raise Unreachable("unreachable", "nobody answers")

    world.office.ca.issue = away
    assert rule(world.desk.ask, asked(shown, request)) == "unreachable"
    assert world.desk.tick() == 0
    assert rule(world.desk.ask, asked(shown, None, b"2")) == "invitation-used"
    world.office.ca.issue = issue
    assert world.desk.tick() == 1
    assert certified(world.desk.poll("enrol", b"1", shown)).name == ANNA


def test_an_offer_says_what_may_be_asked_for(world):
    offer = world.desk.offer(world.invited(names=(ANNA, "anna@alpha.example")), door="est")
    assert (offer.profile, offer.names) == ("person", (ANNA, "anna@alpha.example"))
    assert offer.confidence == "substantial"
    assert "p256-sha256" in offer.suites
    assert "ml-kem-768-aes256gcm" in world.desk.offer(world.invited(), "person-agreement").suites
    assert rule(world.desk.offer, Invited(reference="00000000")) == "no-such-invitation"


# ------------------------------------------------------------------ the policy's file
def test_the_shipped_policy_is_for_profiles_that_there_are(world):
    for profile in shipped().rules:
        world.office.profile(profile)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tries = 5", "tries = 0"),
        ("tries = 5", ""),
        ('software = "substantial"', ""),
        ('software = "substantial"', 'software = "best"'),
        ("http-port = 80", "http-port = 70000"),
        ('doors = ["*"]', 'doors = "*"'),
        ('shown = ["invited", "holder"]', 'shown = ["anybody"]'),
        ("renewal-days = 120", "renewal = 120"),
        ('key = "new"', 'key = "old"'),
        ("[acme]", "[acme"),
        ("[acme]", "[acme2]"),
    ],
)
def test_a_policy_with_a_fault_is_refused(old, new):
    from importlib.resources import files

    text = files("e2s.security.enrolment").joinpath("policy.toml").read_text()
    assert old in text
    assert rule(read_policy, text.replace(old, new, 1).encode()) == "bad-policy"
    assert rule(read_policy, b" " * 70_000) == "bad-policy"


def test_secrets_of_other_forms_are_no_secrets():
    assert rule(read_secret, b"\xff" * 32) == "bad-code"
    assert read_secret(b"o" * 32) == b"-".join([b"0000"] * 8)
