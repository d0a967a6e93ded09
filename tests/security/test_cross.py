"""Cross-certification within limits, and buying organisations' own CAs; OpenSSL judges policies and names too."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids
from e2s.crypto.certificates import Certificate, serial_number
from e2s.security.ceremonies.buying import Buying, found_buying
from e2s.security.ceremonies.ceremony import Occasion, found_authority, found_root, officer_rights
from e2s.security.ceremonies.ceremony_record import sign_record
from e2s.security.ceremonies.cross import Foreign, ask, cross_certify
from e2s.security.ceremonies.standalone import look, open_ca
from e2s.security.certificates.certify import Wish, certify
from e2s.security.certificates.profiles import Limits, profile
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.ca import RIGHTS
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verifier import Verifier
from tests.security.test_ceremony_records import OLGA, make_ca, make_root, new_setting

THEM = "urn:e2s:fair:authority:tom"
SUBSTANTIAL, HIGH = oids.CONFIDENCE["substantial"], oids.CONFIDENCE["high"]
THEIRS = "1.2.3.4.5"


class Community:
    """A community with a root and an operating CA."""

    def __init__(self, folder, name, officer, setting):
        self.setting, self.officer, self.name = setting, officer, name
        self.root = found_root(
            folder / "root",
            Phrase("root words"),
            community=name,
            rights=officer_rights(officer, ("root",)),
            setting=setting,
            officer=officer,
        )
        self.ca = found_authority(
            self.root,
            folder / "ca",
            Phrase("words"),
            kind="operating-ca",
            name=f"urn:e2s:{name}:authority",
            component="ca",
            officer=officer,
            authoriser=None,
            setting=setting,
            occasion=Occasion(rights=officer_rights(officer, ("ca",))),
        )

    def issue(self, name, kind="merchant", **more):
        key = generate("p256-sha256", self.setting.random)
        return self.ca.issue(kind, key.public_key(), (name,), officer=self.officer, **more)

    def lists(self):
        return self.root.current_crl(), self.ca.current_crl()

    def close(self):
        self.ca.close()
        self.root.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cross")


@pytest.fixture(scope="module")
def ours(folder):
    made = Community(folder / "ours", "market", OLGA, new_setting())
    yield made
    made.close()


@pytest.fixture(scope="module")
def theirs(folder, ours):
    made = Community(folder / "theirs", "fair", THEM, ours.setting)
    yield made
    made.close()


LIMITS = Limits(permitted=("dir:O=fair",), policies=(SUBSTANTIAL,), mappings=((SUBSTANTIAL, SUBSTANTIAL),))


def crossed(ours, theirs, limits=LIMITS, **more):
    foreign = more.pop("foreign", None) or Foreign.of_certificate(theirs.root.certificate)
    return cross_certify(ours.root, foreign, limits, officer=OLGA, **more)


def judged(ours, theirs, cross, certificate, *, policies=(), inhibit_mapping=False):
    pool = (cross, theirs.ca.certificate)
    wanted = Wanted(
        policies=frozenset(policies or ("2.5.29.32.0",)),
        explicit=bool(policies),
        inhibit_mapping=inhibit_mapping,
    )
    lists = (*ours.lists(), *theirs.lists())
    at = ours.setting.clock.now()
    return Verifier([ours.root.certificate]).judge(
        certificate, pool, lists, at=at, purpose=None, name=None, wanted=wanted
    )


def openssl(folder, ours, theirs, cross, certificate, *flags):
    """What ``openssl verify`` says, with lists."""
    parts = {
        "root.pem": ours.root.certificate.pem,
        "pool.pem": cross.pem + theirs.ca.certificate.pem,
        "leaf.pem": certificate.pem,
        "lists.pem": b"".join(
            x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in (*ours.lists(), *theirs.lists())
        ),
    }
    for name, octets in parts.items():
        (folder / name).write_bytes(octets)
    at = str(int(ours.setting.clock.now().timestamp()))
    command = ["openssl", "verify", "-attime", at, "-crl_check_all", "-x509_strict", "-CAfile", "root.pem"]
    command += ["-CRLfile", "lists.pem", "-untrusted", "pool.pem", *flags, "leaf.pem"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_their_merchant_counts_here(ours, theirs, tmp_path):
    cross = crossed(ours, theirs)
    merchant = theirs.issue("urn:e2s:fair:volt")
    verdict = judged(ours, theirs, cross, merchant, policies=(SUBSTANTIAL,))
    assert verdict.accepted, verdict.reason
    assert SUBSTANTIAL in verdict.policies
    policy = ("-policy_check", "-explicit_policy", "-policy", SUBSTANTIAL)
    assert openssl(tmp_path, ours, theirs, cross, merchant, *policy)[0] == 0
    (record,) = [one for one in ours.root.chain.records if cross.id in {item.digest for item in one.items}]
    assert (record.act, record.items[-1].profile) == ("cross-certifying", "cross")


def test_both_directions(ours, theirs):
    there = cross_certify(
        theirs.root,
        Foreign.of_certificate(ours.root.certificate),
        Limits(permitted=("dir:O=market",)),
        officer=THEM,
    )
    merchant = ours.issue("urn:e2s:market:volt")
    assert judged(theirs, ours, there, merchant).accepted


def test_policies_that_are_not_mapped_do_not_count(ours, theirs, tmp_path):
    cross = crossed(ours, theirs)
    merchant = theirs.issue("urn:e2s:fair:low", confidence="low")
    assert judged(ours, theirs, cross, merchant).accepted
    assert not judged(ours, theirs, cross, merchant, policies=(SUBSTANTIAL,)).accepted
    flags = ("-policy_check", "-explicit_policy", "-policy", SUBSTANTIAL)
    status, said = openssl(tmp_path, ours, theirs, cross, merchant, *flags)
    assert status
    assert "policy" in said


def test_a_mapping_makes_their_policy_ours(ours, theirs, tmp_path):
    """Their "low" counts as our "high", because the order says so; without mapping it does not."""
    low = oids.CONFIDENCE["low"]
    cross = crossed(
        ours, theirs, Limits(permitted=("dir:O=fair",), policies=(HIGH,), mappings=((HIGH, low),))
    )
    merchant = theirs.issue("urn:e2s:fair:mapped", confidence="low")
    assert judged(ours, theirs, cross, merchant, policies=(HIGH,)).accepted
    assert not judged(ours, theirs, cross, merchant, policies=(HIGH,), inhibit_mapping=True).accepted
    flags = ("-policy_check", "-explicit_policy", "-policy", HIGH)
    assert openssl(tmp_path, ours, theirs, cross, merchant, *flags)[0] == 0
    assert openssl(tmp_path, ours, theirs, cross, merchant, *flags, "-inhibit_map")[0]


@pytest.mark.parametrize("name", ["urn:e2s:market:volt", "urn:e2s:third:volt"])
def test_they_certify_no_name_but_theirs(ours, theirs, tmp_path, name):
    """Their CA turns bad: it certifies our merchant and a third community's; neither counts here."""
    cross = crossed(ours, theirs)
    key = generate("p256-sha256", ours.setting.random)
    wish = Wish(profile=profile("merchant"), names=(name,), public_key=key.public_key())
    at = ours.setting.clock.now()
    false = certify(wish, theirs.ca.signer, serial=serial_number(ours.setting.random), at=at)
    assert judged(ours, theirs, cross, false).rule == "name-constraint"
    status, said = openssl(tmp_path, ours, theirs, cross, false)
    assert status
    assert "permitted subtree" in said or "excluded subtree" in said


def test_even_who_may_certify_anybody_certifies_none_of_ours(ours, theirs):
    cross = crossed(ours, theirs, Limits(), any_name=True)
    assert judged(ours, theirs, cross, theirs.issue("urn:e2s:fair:any")).accepted
    key = generate("p256-sha256", ours.setting.random)
    wish = Wish(profile=profile("merchant"), names=("urn:e2s:market:volt",), public_key=key.public_key())
    at = ours.setting.clock.now()
    false = certify(wish, theirs.ca.signer, serial=serial_number(ours.setting.random), at=at)
    assert judged(ours, theirs, cross, false).rule == "name-constraint"


def test_path_length_is_said(ours, theirs):
    cross = crossed(ours, theirs, replace(LIMITS, path_length=0))
    assert not judged(ours, theirs, cross, theirs.issue("urn:e2s:fair:far")).accepted
    direct = crossed(
        ours, theirs, replace(LIMITS, path_length=0), foreign=Foreign.of_certificate(theirs.ca.certificate)
    )
    assert judged(ours, theirs, direct, theirs.issue("urn:e2s:fair:near"), policies=(SUBSTANTIAL,)).accepted


def test_by_request(ours, theirs):
    foreign = Foreign.of_request(ask(theirs.root.authority.signer))
    cross = crossed(ours, theirs, foreign=foreign)
    assert cross.slices.subject == theirs.root.certificate.slices.subject
    assert judged(ours, theirs, cross, theirs.issue("urn:e2s:fair:asked"), policies=(SUBSTANTIAL,)).accepted
    bent = bytearray(ask(theirs.root.authority.signer))
    bent[-1] ^= 1
    with pytest.raises(Refusal, match=r"no-possession|bad-request"):
        Foreign.of_request(bytes(bent))


def test_a_root_of_another_product(ours, tmp_path):
    """OpenSSL's own CA, with strings and a key identifier of its own making, is found beneath."""
    root = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 30"
    root += " -subj /C=DE/O=Fair/CN=Root -addext subjectKeyIdentifier=0102030405060708"
    root += " -addext keyUsage=critical,keyCertSign,cRLSign"
    leaf = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout l.key -out l.csr"
    leaf += " -subj /C=DE/O=Fair/CN=leaf"
    commands = (root, leaf, "x509 -req -in l.csr -CA c.pem -CAkey k.pem -out l.pem -days 20 -set_serial 7")
    for command in commands:
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    other = Certificate.read((tmp_path / "c.pem").read_bytes())
    now = ours.setting.clock.at
    ours.setting.clock.at = other.not_before
    try:
        cross = crossed(
            ours, None, Limits(permitted=("dir:O=Fair,C=DE",)), foreign=Foreign.of_certificate(other)
        )
        (tmp_path / "pool.pem").write_bytes(cross.pem)
        (tmp_path / "root.pem").write_bytes(ours.root.certificate.pem)
        at = str(int(other.not_before.timestamp()) + 60)
        verify = [
            "openssl",
            "verify",
            "-attime",
            at,
            "-CAfile",
            "root.pem",
            "-untrusted",
            "pool.pem",
            "l.pem",
        ]
        done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        ours.setting.clock.at = max(now, ours.root.chain.newest.at)


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ("unconfined", "unconfined"),
        ("leaf", "not-a-ca"),
        ("ours", "own-community"),
        ("officer", "not-authorised"),
    ],
)
def test_who_is_not_cross_certified(ours, theirs, case, rule):
    with pytest.raises((Refusal, Misuse), match=rule):
        refuse(ours, theirs, case)


def refuse(ours, theirs, case):
    if case == "unconfined":
        crossed(ours, theirs, Limits())
    elif case == "leaf":
        crossed(ours, theirs, foreign=Foreign.of_certificate(theirs.issue("urn:e2s:fair:leaf")))
    elif case == "ours":
        crossed(ours, theirs, foreign=Foreign.of_certificate(ours.ca.certificate))
    else:
        foreign = Foreign.of_certificate(theirs.root.certificate)
        cross_certify(ours.root, foreign, LIMITS, officer="urn:e2s:market:authority:eve")


def test_an_operating_ca_cross_certifies_nobody(ours, theirs):
    foreign = Foreign.of_certificate(theirs.ca.certificate)
    with pytest.raises(Refusal, match="wrong-profile"):
        cross_certify(ours.ca, foreign, LIMITS, officer=OLGA)


def test_a_cross_certificate_is_withdrawn(ours, theirs):
    cross = crossed(ours, theirs)
    merchant = theirs.issue("urn:e2s:fair:gone")
    ours.root.revoke(cross.serial, "superseded", officer=OLGA)
    assert judged(ours, theirs, cross, merchant).rule == "revoked"


# ---------------------------------------------------------------------------------------- buying organisations

ALBERT = "urn:e2s:market:alpha:albert"
ALPHA = Buying(
    party="urn:e2s:market:alpha", component="alpha-ca", manager=ALBERT, mail_domains=("alpha.example",)
)


@pytest.fixture(scope="module", params=["root", "ca"])
def alpha(request, folder, ours):
    """Alpha's own CA, certified by the root or by the operating CA."""
    issuer = ours.root if request.param == "root" else ours.ca
    made = found_buying(
        issuer,
        folder / f"alpha-{request.param}",
        Phrase("words"),
        ALPHA,
        root=ours.root.certificate,
        officer=OLGA,
        setting=ours.setting,
    )
    yield made
    made.close()


def under_alpha(alpha, name, kind="buyer", officer=ALBERT, **more):
    key = generate("p256-sha256", alpha.random)
    return alpha.issue(kind, key.public_key(), (name,), officer=officer, **more)


def judged_alpha(ours, alpha, certificate, purpose=None):
    pool = (alpha.certificate, *alpha.chain)
    lists = (*ours.lists(), alpha.current_crl())
    at = ours.setting.clock.now()
    return Verifier([ours.root.certificate]).judge(
        certificate, pool, lists, at=at, purpose=purpose, name=None
    )


@pytest.mark.parametrize("kind", ["buyer", "buyer-session", "manager", "buyer-agreement"])
def test_the_manager_certifies_her_people(ours, alpha, kind):
    certificate = under_alpha(alpha, "urn:e2s:market:alpha:anna", kind)
    role = oids.SIGNING.get(kind) or oids.AGREEMENT[kind.removesuffix("-agreement")]
    verdict = judged_alpha(ours, alpha, certificate, purpose=role)
    assert verdict.accepted, verdict.reason


@pytest.mark.parametrize(
    ("kind", "name", "rule"),
    [
        ("buyer", "urn:e2s:market:beta:bruno", "foreign-name"),
        ("buyer", "urn:e2s:market:alphabet:anna", "foreign-name"),
        ("buyer", "shop.example", "foreign-name"),
        ("merchant", "urn:e2s:market:alpha:anna", "wrong-profile"),
        ("tls-server", "alpha.example", "wrong-profile"),
        ("operating-ca", "urn:e2s:market:alpha:ca", "wrong-profile"),
        ("officer", "urn:e2s:market:alpha:anna", "wrong-profile"),
    ],
)
def test_and_nobody_else(alpha, kind, name, rule):
    with pytest.raises(Refusal, match=rule):
        under_alpha(alpha, name, kind)


def false(alpha, kind, name, subject=None):
    """What alpha's key certifies when its software does not ask."""
    key = generate("p256-sha256", alpha.random)
    wish = Wish(profile=profile(kind), names=(name,), public_key=key.public_key(), subject=subject)
    return certify(wish, alpha.signer, serial=serial_number(alpha.random), at=alpha.clock.now())


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("urn:e2s:market:beta:bruno", None),
        ("urn:e2s:market:beta:bruno", "alpha"),
        ("urn:e2s:market:alpha:anna", "beta"),
    ],
)
def test_what_it_certifies_beyond_its_party_nobody_believes(ours, alpha, name, subject):
    names = subject and x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "market"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, subject),
            x509.NameAttribute(NameOID.COMMON_NAME, "bruno"),
        ]
    )
    verdict = judged_alpha(ours, alpha, false(alpha, "buyer", name, names))
    assert verdict.rule == "name-constraint"


def test_a_role_that_it_has_not_is_refused_before_signing_and_after(alpha):
    with pytest.raises(Refusal, match="lint-purpose"):
        false(alpha, "merchant", "urn:e2s:market:alpha:anna")


def test_only_the_manager_and_whom_she_names(alpha, ours):
    for officer in (OLGA, "urn:e2s:market:alpha:anna"):
        with pytest.raises(Refusal, match="not-authorised"):
            under_alpha(alpha, "urn:e2s:market:alpha:anna", officer=officer)
    with pytest.raises(Misuse, match="bad-name"):
        Buying(party="urn:e2s:market:alpha", component="x", manager="urn:e2s:market:beta:berta")


def test_its_record_is_its_own(folder, ours, alpha):
    name = "alpha-root" if not alpha.chain else "alpha-ca"
    seen = look(folder / name)
    assert (seen.kind, seen.component, seen.chain.founder) == ("buying-ca", "alpha-ca", ALBERT)
    assert (ALBERT, RIGHTS.name, "alpha-ca") in seen.chain.newest.rights
    again = open_ca(seen, Phrase("words"), setting=ours.setting)
    assert again.certificate == alpha.certificate
    again.close()


def test_an_operating_ca_has_no_records_of_its_own(tmp_path):
    """Who holds an operating CA's key signs itself a record: it is not believed."""
    root = make_root(tmp_path / "root")
    made = make_ca(root, tmp_path / "ca")
    record = replace(root.chain.records[0], root=made.certificate.id, community="market", digest="")
    for path in (tmp_path / "ca" / "ceremonies").iterdir():
        path.unlink()
    (tmp_path / "ca" / "ceremonies" / "0001.cms").write_bytes(sign_record(record, made.signer))
    made.close()
    root.close()
    with pytest.raises(Refusal, match="bad-ceremony"):
        look(tmp_path / "ca")
