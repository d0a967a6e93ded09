"""Profiles are data, read strictly; what they say stands in certificates, and the verifier and others obey it."""

from __future__ import annotations

import secrets
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import KeySigner
from e2s.security.ceremonies.ceremony import (
    RECORD,
    Setting,
    found_authority,
    found_root,
    officer_rights,
    open_authority,
    read_record,
)
from e2s.security.certificates import lint
from e2s.security.certificates.certify import Wish, certify, certify_root
from e2s.security.certificates.names import (
    MAX_ATTRIBUTE,
    alternative_name,
    distinguished,
    general_name,
    subject_octets,
    subject_of,
    subtree,
)
from e2s.security.certificates.places import NOWHERE, Places
from e2s.security.certificates.profiles import (
    NO_LIMITS,
    PROFILES,
    Limits,
    Profile,
    Use,
    load_profiles,
    profile,
    read_profiles,
)
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.status.lists import revocation_list
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import Verifier
from tests.worlds.pki import START, SetClock
from tests.worlds.profiles import ORIGIN, OURS, PLACES, THEIRS, authority, key, root, sample

WORDS = Phrase("words")
LOW, SUBSTANTIAL, HIGH = (oids.CONFIDENCE[level] for level in ("low", "substantial", "high"))
ALPHA = "urn:e2s:market:alpha"


def serial() -> int:
    return serial_number(secrets.token_bytes)


def made(
    name: str, *names: str, by: KeySigner | None = None, places: Places = NOWHERE, **more
) -> Certificate:
    """A certificate for ``names`` by ``by``, an operating CA if none is said."""
    wanted = profile(name)
    suite = "ecdh-p256-aes256gcm" if wanted.use is Use.AGREE else "p256-sha256"
    given_more: dict = {"public_key": key(suite, name).public_key()} | more
    wish = Wish(profile=wanted, names=names or (f"{ALPHA}:alice",), **given_more)
    return certify(wish, by or authority("operating-ca", "p256"), serial=serial(), at=START, places=places)


def judged(one: Certificate, *between: Certificate, purpose=None, name=None, wanted: Wanted | None = None):
    more: dict = {} if wanted is None else {"wanted": wanted}
    return Verifier([root("p256").certificate]).judge(
        one, between, (), at=START, purpose=purpose, name=name, require_revocation=False, **more
    )


def openssl_verify(tmp_path, one: Certificate, *between: Certificate, more: tuple[str, ...] = ()) -> str:
    """Empty if OpenSSL accepts, else its reason."""
    files = {
        "root": root("p256").certificate.pem,
        "one": one.pem,
        "between": b"".join(c.pem for c in between),
    }
    for file, octets in files.items():
        (tmp_path / file).write_bytes(octets)
    at = str(int(START.timestamp()))
    program = ["openssl", "verify", "-attime", at, *more, "-CAfile", str(tmp_path / "root")]
    arguments = [*program, "-untrusted", str(tmp_path / "between"), str(tmp_path / "one")]
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stderr.decode()


# The data


def test_every_role_has_a_profile_for_each_of_its_keys():
    for role, oid in oids.SIGNING.items():
        assert PROFILES[role].use is Use.SIGN
        assert PROFILES[role].ekus == (oid, oids.EKU_EMAIL)
        assert PROFILES[f"{role}-agreement"].ekus == (oids.AGREEMENT[role],)
        assert PROFILES[f"{role}-agreement"].use is Use.AGREE


def test_every_profile_is_issued_by_a_ca_and_paths_fit():
    issued = {name for row in PROFILES.values() for name in row.issues}
    assert issued == PROFILES.keys() - {"root"}
    for row in PROFILES.values():
        for name in row.issues:
            below = PROFILES[name]
            assert row.is_ca
            assert not (below.is_ca and row.path_length == 0)
            assert not row.ekus or set(below.ekus) <= set(row.ekus)


ROW = '[[profile]]\nname = "laboratory"\nuse = "sign"\ndays = 30\n'
CA_ROW = '[[profile]]\nname = "own-ca"\nuse = "certify"\ndays = 30\n'


def test_an_operators_file_adds_and_replaces(tmp_path):
    file = tmp_path / "profiles.toml"
    file.write_text(
        ROW
        + 'ekus = ["email", "2.25.77"]\nconfidence = "high"\npolicies = ["1.2.3"]\n'
        + ROW.replace("laboratory", "merchant")
    )
    whole = load_profiles(file)
    assert whole.keys() == PROFILES.keys() | {"laboratory"}
    assert profile("laboratory", whole).ekus == (oids.EKU_EMAIL, "2.25.77")
    assert whole["merchant"].lifetime == timedelta(days=30)
    assert PROFILES["merchant"].lifetime == timedelta(days=730)
    one = certify(
        Wish(
            profile=whole["laboratory"], names=(f"{ALPHA}:lab",), public_key=key("p256-sha256").public_key()
        ),
        authority("operating-ca", "p256"),
        serial=serial(),
        at=START,
    )
    found = one.values[x509.CertificatePolicies]
    assert [policy.policy_identifier.dotted_string for policy in found] == [HIGH, "1.2.3"]
    with pytest.raises(Misuse, match="no-profiles"):
        load_profiles(tmp_path / "none")
    with pytest.raises(Misuse, match="no-such-profile"):
        profile("laboratory")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\xff", "not TOML"),
        ("", "1 to 200"),
        ("profile = 1", "1 to 200"),
        ("profile = []", "1 to 200"),
        ("other = 1\n" + ROW, "nothing else"),
        ("profile = [1]", "is a table"),
        (ROW + "colour = 'red'", "laboratory: has a member that is not known: colour"),
        (ROW.replace('use = "sign"\n', ""), "laboratory: lacks the member use"),
        (ROW.replace("laboratory", "A b"), "a name of small letters"),
        (ROW.replace("sign", "seal"), "use: certify, sign, authenticate or agree"),
        (ROW.replace("30", "0"), "days: a whole number from 1"),
        (ROW.replace("30", "true"), "days: a whole number"),
        (ROW + ROW, "stands twice"),
        (ROW + 'ekus = "email"', "ekus: a list"),
        (ROW + 'ekus = ["mail"]', "ekus: an extended key usage is an object identifier or one of"),
        (ROW + 'ekus = ["3.1"]', "ekus:"),
        (ROW + 'ekus = ["email", "email"]', "stands once"),
        (ROW + "critical_ekus = true", "no extended key usage is critical"),
        (ROW + 'ekus = ["time-stamping"]', "the only purpose, and critical"),
        (ROW + "ocsp_nocheck = true", "only a responder"),
        (ROW + 'confidence = "some"', "confidence: low, substantial or high"),
        (ROW + 'policies = ["low", "low"]', "a policy stands once"),
        (ROW + "four_eyes = 1", "four_eyes: true or false"),
        (ROW + 'suites = ["rot13"]', "suites: no suite is called rot13"),
        (ROW + "path_length = 0", "only a CA has limits"),
        (ROW + "confined = true", "only a CA has limits"),
        (ROW + "inhibit_any = 0", "only a CA has limits"),
        (ROW + 'issues = ["merchant"]', "only a CA has limits"),
        (CA_ROW + 'confidence = "high"', "a CA has no level of its own"),
        (CA_ROW + 'issues = ["nobody"]', "own-ca: issues nobody, and there is no such profile"),
        (CA_ROW + "path_length = -1", "path_length: a whole number from 0"),
        (CA_ROW + 'mappings = [["low"]]', "mappings: a pair"),
        (CA_ROW + 'mappings = [["low", "any"]]', "any policy is mapped nowhere"),
        (CA_ROW + 'permitted = ["a.example"]', "permitted: a subtree is written"),
        (CA_ROW + 'excluded = ["dns:.a.example"]', "excluded: the base of the subtree"),
    ],
)
def test_a_file_is_read_strictly(text, said):
    with pytest.raises(Misuse, match="bad-profile") as caught:
        read_profiles(text.encode("latin-1"))
    assert said in caught.value.message


def test_a_file_of_any_size_is_not_read():
    with pytest.raises(Misuse, match="at most this large"):
        read_profiles(b"#" * (256 * 1024 + 1))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dns:a.example", x509.DNSName("a.example")),
        ("dns:", x509.DNSName("")),
        ("mail:.a.example", x509.RFC822Name(".a.example")),
        ("mail:alice@a.example", x509.RFC822Name("alice@a.example")),
        ("uri:a.example", x509.UniformResourceIdentifier("a.example")),
        ("dir:OU=volt,O=market", x509.DirectoryName(distinguished(community="market", party="volt"))),
    ],
)
def test_subtrees(text, value):
    built = x509.NameConstraints(permitted_subtrees=[value], excluded_subtrees=None).public_bytes()
    assert subtree(text) in built


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dns",
        "dns:a b",
        "dns:-a.example",
        "dns:a..b",
        "mail:",
        "mail:@a",
        "mail:a@.b",
        "uri:",
        "uri:https://a",
        "ip:10.0.0.1/8",
        "ip:10.0.0.0/33",
        "ip:a",
        "dir:O",
        "dir:,",
        "x400:a",
        "dns:" + "a" * 300,
    ],
)
def test_bad_subtrees(text):
    with pytest.raises(Misuse, match="bad-subtree"):
        subtree(text)


# Names, encoded by us and by the library


@given(
    st.from_regex(
        r"urn:e2s:[a-z]{1,8}:[a-z-]{1,8}(:[a-z0-9-]{1,64}){0,2}|[a-z]{1,8}(\.[a-z]{1,8}){1,3}", fullmatch=True
    )
)
def test_names_are_encoded_as_the_library_does(name):
    built = x509.SubjectAlternativeName([general_name(name)]).public_bytes()
    assert alternative_name(name) == built[2:] if len(built) < 130 else alternative_name(name) in built
    try:
        by_library = subject_of(name).public_bytes()
    except Misuse as refusal:
        assert refusal.rule == "bad-name"
        with pytest.raises(Misuse, match="bad-name"):
            subject_octets(name)
    else:
        assert subject_octets(name) == by_library


def test_a_host_too_long_for_a_subject_stands_among_the_alternative_names_alone():
    host = ".".join(3 * ["a" * 30]) + ".example"
    assert len(host) > MAX_ATTRIBUTE
    made("tls-server", "shop.example")
    one = made("tls-server", host)
    assert not one.x509.subject.rdns
    assert one.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    assert judged(
        one, authority("operating-ca", "p256").certificate, purpose=oids.EKU_SERVER, name=host
    ).accepted


# Places


def urls(points) -> list[str]:
    return [name.value for point in points for name in point.full_name]


def test_places_stand_in_certificates():
    issuer = authority("operating-ca", "p256").certificate
    digest = issuer.digest.hex()
    for _ in range(40):
        one = made("merchant", ALPHA, places=PLACES)
        shard = one.serial % 16
        assert urls(one.values[x509.CRLDistributionPoints]) == [f"{ORIGIN}/crl/{digest}-{shard}.crl"]
        assert urls(one.values[x509.FreshestCRL]) == [f"{ORIGIN}/crl/{digest}-{shard}-delta.crl"]
    told = {d.access_method: d.access_location.value for d in one.values[x509.AuthorityInformationAccess]}
    assert told == {
        AuthorityInformationAccessOID.OCSP: f"{ORIGIN}/ocsp",
        AuthorityInformationAccessOID.CA_ISSUERS: f"{ORIGIN}/certs/{digest}.cer",
    }
    (policy,) = one.values[x509.CertificatePolicies]
    assert policy.policy_qualifiers == [PLACES.cps]


def test_one_list_and_no_places():
    digest = authority("operating-ca", "p256").certificate.digest.hex()
    one = made("merchant", ALPHA, places=Places(base=ORIGIN))
    assert urls(one.values[x509.CRLDistributionPoints]) == [f"{ORIGIN}/crl/{digest}.crl"]
    assert x509.FreshestCRL not in one.values
    none = made("merchant", ALPHA)
    assert not none.values.keys() & {
        x509.CRLDistributionPoints,
        x509.FreshestCRL,
        x509.AuthorityInformationAccess,
    }
    (policy,) = none.values[x509.CertificatePolicies]
    assert policy.policy_qualifiers is None


@pytest.mark.parametrize(
    "more",
    [
        {"base": "ldap://a.example"},
        {"base": "http://a.example/"},
        {"ocsp": "a"},
        {"cps": "http://a b"},
        {"shards": 0},
        {"shards": 65_537},
        {"deltas": True},
        {"cps": "http://" + "a" * 300},
    ],
)
def test_bad_places(more):
    with pytest.raises(Misuse, match="bad-places"):
        Places(**more)


def test_a_responder_is_asked_nobody_about():
    one = sample("ocsp-responder")
    assert one.values[x509.OCSPNoCheck] is not None
    (told,) = one.values[x509.AuthorityInformationAccess]
    assert told.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    assert list(one.values[x509.ExtendedKeyUsage]) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert one.not_after - one.not_before < timedelta(days=91)


# Levels of confidence


@pytest.mark.parametrize("level", [None, *oids.CONFIDENCE])
def test_a_level_of_confidence_is_a_policy(level, tmp_path):
    ca = authority("operating-ca", "p256").certificate
    one = made("person", confidence=level)
    own = oids.CONFIDENCE[level or "substantial"]
    assert judged(one, ca, wanted=Wanted(frozenset({own}), explicit=True)).policies == {own}
    for other in {LOW, SUBSTANTIAL, HIGH} - {own}:
        verdict = judged(one, ca, wanted=Wanted(frozenset({other}), explicit=True))
        assert verdict.rule == "policy-required"
    for asked, accepted in ((own, True), ("1.2.3.4", False)):
        more = ("-policy", asked, "-explicit_policy")
        assert (openssl_verify(tmp_path, one, ca, more=more) == "") == accepted


def test_a_level_is_one_of_three_and_no_cas():
    with pytest.raises(Misuse, match="bad-confidence"):
        made("person", confidence="utmost")
    with pytest.raises(Misuse, match="bad-confidence"):
        made("buying-ca", ALPHA, confidence="high")


# A buying organisation's CA


BUYING = authority("buying-ca", "p256")


@pytest.mark.parametrize("role", sorted(PROFILES["buying-ca"].issues))
def test_a_buying_ca_certifies_its_own_people(role, tmp_path):
    path = (BUYING.certificate, authority("operating-ca", "p256").certificate)
    one = made(role, f"{ALPHA}:alice", ALPHA, by=BUYING)
    (purpose, *_more) = profile(role).ekus
    assert judged(one, *path, purpose=purpose, name=f"{ALPHA}:alice").or_refuse()
    assert openssl_verify(tmp_path, one, *path) == ""


@pytest.mark.parametrize(
    ("names", "more", "openssl"),
    [
        (("urn:e2s:market:beta:bob",), {}, True),
        (("urn:e2s:market:beta:bob",), {"subject": distinguished(community="market", party="alpha")}, False),
        ((f"{ALPHA}:alice", "alice@beta.example"), {}, True),
        ((f"{ALPHA}:alice", "www.beta.example"), {}, True),
        ((f"{ALPHA}:alice", "192.0.2.1"), {}, True),
        ((f"{ALPHA}:alice", "2001:db8::1"), {}, True),
    ],
)
def test_a_buying_ca_certifies_nobody_else(names, more, openssl, tmp_path):
    """Whatever it signs; OpenSSL knows no URNs, so it does not judge those."""
    path = (BUYING.certificate, authority("operating-ca", "p256").certificate)
    one = made("buyer", *names, by=BUYING, **more)
    assert judged(one, *path).rule == "name-constraint"
    assert ("subtree violation" in openssl_verify(tmp_path, one, *path)) == openssl


def test_a_buying_ca_has_the_mail_addresses_that_its_order_permits():
    own = key("p256-sha256", "mail")
    wish = Wish(
        profile=profile("buying-ca"),
        names=(ALPHA,),
        subject=distinguished(community="market", party="alpha", common="buying"),
        public_key=own.public_key(),
        limits=Limits(permitted=("mail:alpha.example",)),
    )
    above = authority("operating-ca", "p256")
    ca = KeySigner(certify(wish, above, serial=serial(), at=START), (), own)
    for host, rule in (("alpha.example", ""), ("beta.example", "name-constraint")):
        one = made("buyer", f"{ALPHA}:alice", f"alice@{host}", by=ca)
        assert judged(one, ca.certificate, above.certificate).rule == rule


@pytest.mark.parametrize(
    "role", ["merchant", "issuer", "tls-server", "component", "officer", "tsa", "person"]
)
def test_a_buying_ca_is_confined_to_its_roles(role, monkeypatch):
    with pytest.raises(Refusal, match="lint-purpose"):
        made(role, f"{ALPHA}:alice", by=BUYING)
    monkeypatch.setattr(lint, "check", lambda *_seen: None)
    one = made(role, f"{ALPHA}:alice", by=BUYING)
    (purpose, *_more) = profile(role).ekus
    path = (BUYING.certificate, authority("operating-ca", "p256").certificate)
    assert judged(one, *path, purpose=purpose).rule in {"wrong-purpose"} | (
        {""} if purpose == oids.EKU_EMAIL else set()
    )


def test_a_buying_ca_vouches_no_higher_than_it_may():
    assert judged(
        made("buyer", by=BUYING, confidence="low"),
        BUYING.certificate,
        authority("operating-ca", "p256").certificate,
        wanted=Wanted(frozenset({LOW}), explicit=True),
    ).accepted
    with pytest.raises(Refusal, match="lint-policies"):
        made("buyer", by=BUYING, confidence="high")


# Limits


def test_limits_are_a_cas_and_never_widen():
    with pytest.raises(Misuse, match="bad-limits"):
        made("person", limits=Limits(path_length=0))
    one = made("buying-ca", ALPHA, limits=Limits(path_length=7))
    assert one.values[x509.BasicConstraints].path_length == 0
    assert PROFILES["buying-ca"].limits.path_length == 0
    assert Limits() == NO_LIMITS


def test_a_confined_ca_belongs_to_a_party():
    with pytest.raises(Misuse, match="a confined CA belongs to a party"):
        made("buying-ca", "ca.example")


def test_a_cross_certificate_says_its_limits():
    one = sample("cross")
    values = one.values
    assert values[x509.PolicyConstraints] == x509.PolicyConstraints(
        require_explicit_policy=0, inhibit_policy_mapping=0
    )
    assert values[x509.InhibitAnyPolicy].skip_certs == 1
    permitted = [tree.value for tree in values[x509.NameConstraints].permitted_subtrees]
    assert permitted[1:3] == ["other.example", "other.example"]
    assert [tree.value for tree in values[x509.NameConstraints].excluded_subtrees] == ["other.example"]
    critical = {extension.oid.dotted_string for extension in one.critical}
    assert {
        oids.POLICY_MAPPINGS,
        oids.POLICY_CONSTRAINTS,
        oids.INHIBIT_ANY,
        oids.NAME_CONSTRAINTS,
    } <= critical


def test_a_mapped_policy_counts_for_ours():
    """A person of the other community is accepted for our policy, by the mapping of theirs to it."""
    other = key("p256-sha256", "other")
    wish = Wish(
        profile=profile("cross"),
        names=(),
        subject=distinguished(community="other", common="root"),
        public_key=other.public_key(),
        limits=Limits(
            path_length=0, policies=(OURS,), mappings=((OURS, THEIRS),), permitted=("dir:O=other",)
        ),
        key_id=b"k" * 20,
    )
    crossed = KeySigner(certify(wish, root("p256"), serial=serial(), at=START), (), other)
    assert crossed.certificate.key_id == b"k" * 20
    theirs = Profile(name="theirs", use=Use.SIGN, lifetime=timedelta(days=9), policies=(THEIRS,))
    own = key("p256-sha256").public_key()
    one = certify(
        Wish(profile=theirs, names=("urn:e2s:other:volt",), public_key=own),
        crossed,
        serial=serial(),
        at=START,
    )
    verdict = judged(one, crossed.certificate, wanted=Wanted(frozenset({OURS}), explicit=True))
    assert (verdict.accepted, verdict.policies) == (True, {OURS})
    assert (
        judged(one, crossed.certificate, wanted=Wanted(frozenset({THEIRS}), explicit=True)).rule
        == "policy-required"
    )
    with pytest.raises(Refusal, match="lint-policies"):
        certify(
            Wish(profile=profile("person"), names=("urn:e2s:other:volt",), public_key=own),
            crossed,
            serial=serial(),
            at=START,
        )


# Keys


def test_a_profile_may_name_the_suites_of_its_keys():
    with pytest.raises(Refusal, match="key-not-permitted"):
        made("tls-server", "shop.example", public_key=key("ml-dsa-44").public_key())
    with pytest.raises(Refusal, match="suite-unknown"):
        made("person", public_key=key("ml-kem-768-aes256gcm").public_key())
    with pytest.raises(Refusal, match="suite-unknown"):
        made("person-agreement", public_key=key("ed25519").public_key())


def test_a_path_that_mixes_kinds_and_its_two_keys():
    """ML-DSA-87 over P-384 over ML-DSA-44 and ML-KEM-768, with lists of each."""
    top, middle = key("ml-dsa-87", "top"), key("p384-sha384", "middle")
    subject = distinguished(community="market", common="root")
    wish = Wish(profile=profile("root"), names=(), subject=subject, public_key=top.public_key())
    anchor = KeySigner(certify_root(wish, top, serial=serial(), at=START), (), top)
    wish = Wish(profile=profile("operating-ca"), names=("urn:e2s:market:ca",), public_key=middle.public_key())
    ca = KeySigner(certify(wish, anchor, serial=serial(), at=START, places=PLACES), (), middle)
    day = timedelta(days=1)
    lists = [revocation_list([], one, number=1, at=START, lifetime=day) for one in (anchor, ca)]
    for name, suite, purpose in (
        ("person", "ml-dsa-44", oids.EKU_EMAIL),
        ("buyer", "ml-dsa-65", oids.SIGNING["buyer"]),
        ("person-agreement", "ml-kem-768-aes256gcm", oids.EKU_EMAIL),
        ("buyer-agreement", "ml-kem-1024-aes256gcm", oids.AGREEMENT["buyer"]),
    ):
        one = made(name, by=ca, public_key=key(suite).public_key(), places=PLACES)
        verdict = Verifier([anchor.certificate]).judge(
            one, [ca.certificate], lists, at=START, purpose=purpose, name=f"{ALPHA}:alice"
        )
        assert verdict.or_refuse().policies == {SUBSTANTIAL}
        usage = one.values[x509.KeyUsage]
        assert usage.key_encipherment == name.endswith("agreement")
        assert usage.digital_signature != name.endswith("agreement")
        assert not usage.key_agreement
        gone = revocation_list([(one.serial, START, "keyCompromise")], ca, number=2, at=START, lifetime=day)
        verdict = Verifier([anchor.certificate]).judge(
            one, [ca.certificate], [lists[0], gone], at=START, purpose=purpose, name=None
        )
        assert verdict.rule == "revoked"


# A CA's own


def test_profiles_in_a_cas_folder(tmp_path):
    """What stands in the folder is certified by the CA that is named there, and by no other."""
    officer = "urn:e2s:market:ca:officer"
    rights = officer_rights(officer, ("root", "operating-ca"))
    setting = Setting(clock=SetClock(), random=secrets.token_bytes, cost=Cost(memory_kib=8, passes=1))
    above = found_root(tmp_path / "root", WORDS, community="market", rights=rights, setting=setting)
    folder = tmp_path / "ca"
    folder.mkdir()
    own = folder / "profiles.toml"
    own.write_text(ROW + 'issued_by = ["operating-ca"]\n')
    authoriser = read_record((tmp_path / "root" / RECORD).read_bytes(), above.certificate)
    ca = found_authority(
        above,
        folder,
        WORDS,
        kind="operating-ca",
        name="urn:e2s:market:ca",
        component="operating-ca",
        officer=officer,
        authoriser=authoriser,
        setting=setting,
    )
    above.close()
    key_and_name = (key("p256-sha256").public_key(), (f"{ALPHA}:lab",))
    one = ca.issue("laboratory", *key_and_name, officer=officer)
    assert one.not_after - START == timedelta(days=30)
    assert lint.certificate(one.der, load_profiles(own)["laboratory"]) == ()
    ca.close()
    own.unlink()
    ca = open_authority(
        folder, WORDS, kind="operating-ca", component="operating-ca", authoriser=authoriser, setting=setting
    )
    with pytest.raises(Misuse, match="no-such-profile"):
        ca.issue("laboratory", *key_and_name, officer=officer)
    ca.close()


def test_who_issues_may_be_said_by_the_issued():
    whole = read_profiles((CA_ROW + ROW + 'issued_by = ["own-ca"]').encode())
    assert whole["own-ca"].issues == {"laboratory"}
    for issuer in ("nobody", "laboratory"):
        with pytest.raises(Misuse, match=f"is issued by {issuer}, and there is no such CA"):
            read_profiles((ROW + f'issued_by = ["{issuer}"]').encode(), PROFILES)
