"""A CA certifies within its profile and realm, for officers with the right, and nothing is lost by a kill."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.base.http import Request
from e2s.crypto import oids
from e2s.crypto.certificates import serial_number
from e2s.security.ceremonies.ceremony import (
    RECORD,
    Setting,
    found_authority,
    found_root,
    officer_rights,
    open_authority,
    open_root,
    read_record,
)
from e2s.security.certificates import possession
from e2s.security.certificates.certify import request
from e2s.security.certificates.possession import read_proof
from e2s.security.certificates.profiles import profile
from e2s.security.keys.container import Cost
from e2s.security.keys.generation import generate
from e2s.security.keys.phrase import Phrase
from e2s.security.pki import store
from e2s.security.pki.publishing import Publisher
from e2s.security.repository.files import Repository
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.verifier import Verifier
from tests.worlds.pki import SetClock

ASKED = request(generate("p256-sha256", secrets.token_bytes), (f"urn:e2s:market:{'v' * 60}", "volt.example"))
OFFICER = "urn:e2s:market:ca:officer"
MERCHANT = "urn:e2s:market:volt"
CAS = ("root", "operating-ca", "card-ca")


class Centre:
    """A trust centre on disk, as a community makes it."""

    def __init__(self, folder, suite="p256-sha256"):
        self.folder = folder
        self.clock = SetClock()
        self.setting = Setting(
            clock=self.clock, random=secrets.token_bytes, suite=suite, cost=Cost(memory_kib=8, passes=1)
        )
        self.root = found_root(
            folder / "root",
            Phrase("root words"),
            community="market",
            rights=officer_rights(OFFICER, CAS),
            setting=self.setting,
        )
        record = (folder / "root" / RECORD).read_bytes()
        self.authoriser = read_record(record, self.root.certificate)
        self.operating = self.found("operating-ca", "urn:e2s:market:ca")
        self.card = self.found("card-ca", "urn:e2s:market:bank")
        self.root_crl = self.root.crl()
        self.root.close()

    def found(self, kind, name):
        return found_authority(
            self.root,
            self.folder / kind,
            Phrase("words"),
            kind=kind,
            name=name,
            component=kind,
            officer=OFFICER,
            authoriser=self.authoriser,
            setting=self.setting,
        )

    def reopen(self):
        self.operating.close()
        self.operating = open_authority(
            self.folder / "operating-ca",
            Phrase("words"),
            kind="operating-ca",
            component="operating-ca",
            authoriser=self.authoriser,
            setting=self.setting,
        )
        return self.operating

    def judge(self, certificate, **more):
        asked = {"at": self.clock.now(), "purpose": None, "name": None} | more
        crls = (self.root_crl, self.operating.current_crl(), self.card.current_crl())
        pool = (self.operating.certificate, self.card.certificate)
        return Verifier([self.root.certificate]).judge(certificate, pool, crls, **asked)

    def close(self):
        self.operating.close()
        self.card.close()


@pytest.fixture
def centre(tmp_path):
    made = Centre(tmp_path)
    yield made
    made.close()


def new_key(suite="p256-sha256"):
    return generate(suite, secrets.token_bytes)


def issue(ca, kind="merchant", names=(MERCHANT,), key=None, **more):
    return ca.issue(kind, (key or new_key()).public_key(), names, officer=OFFICER, **more)


@pytest.mark.parametrize("suite", ["p256-sha256", "p384-sha384", "rsa3072-pss-sha256"])
def test_ceremony_founds_a_whole_trust_centre(tmp_path, suite):
    centre = Centre(tmp_path, suite)
    certificate = issue(centre.operating, names=(MERCHANT, "https://volt.example"), key=new_key(suite))
    verdict = centre.judge(certificate, purpose=oids.SIGNING["merchant"], name="https://volt.example")
    assert verdict.or_refuse().anchor == centre.root.certificate
    centre.close()


def test_every_profile_serves_its_purpose(centre):
    for kind in sorted(centre.operating.profile.issues):
        if profile(kind).is_ca:
            continue  # its extended usages are what its subjects may be for
        certificate = issue(centre.operating, kind)
        for eku in certificate.ekus:
            centre.judge(certificate, purpose=eku, name=MERCHANT).or_refuse()
        for other in {oids.SIGNING["manager"], oids.AGREEMENT["manager"]} - certificate.ekus:
            assert centre.judge(certificate, purpose=other).rule == "wrong-purpose"


def test_card_holder_commits_to_a_card_number(centre):
    name = "urn:e2s:market:bank:holder-1"
    with pytest.raises(Misuse, match="pan-commit"):
        issue(centre.card, "card-holder", (name,))
    with pytest.raises(Misuse, match="pan-commit"):
        issue(centre.operating, pan_commit=bytes(32))
    certificate = issue(centre.card, "card-holder", (name,), pan_commit=b"c" * 32)
    centre.judge(certificate, purpose=oids.SIGNING["card-holder"], name=name).or_refuse()
    value = next(e.value for e in certificate.x509.extensions if e.oid.dotted_string == oids.PAN_COMMIT)
    assert value.value == b"\x04\x20" + b"c" * 32


def test_persons_certificates_have_one_subject(centre):
    name = "urn:e2s:market:acme:ada"
    subjects = {issue(centre.operating, kind, (name,)).subject for kind in ("buyer", "buyer-session")}
    assert len(subjects) == 1


def test_root_is_closed_and_its_key_asks_for_the_phrase(centre):
    with pytest.raises(Refusal, match="ca-closed"):
        centre.root.crl()
    with pytest.raises(Refusal, match="wrong-pass-phrase"):
        open_root(centre.folder / "root", Phrase("guess"), setting=centre.setting)
    again = open_root(centre.folder / "root", Phrase("root words"), setting=centre.setting)
    again.revoke(centre.card.certificate.serial, "cACompromise", officer=OFFICER)
    assert centre.card.certificate.serial in CrlIndex.read(again.current_crl()).revoked
    again.close()


def test_root_is_founded_once(centre):
    with pytest.raises(Misuse, match="root-exists"):
        found_root(
            centre.folder / "root",
            Phrase("x"),
            community="market",
            rights=frozenset(),
            setting=centre.setting,
        )


def test_record_of_another_root(centre, tmp_path):
    other = Centre(tmp_path / "other")
    record = (other.folder / "root" / RECORD).read_bytes()
    with pytest.raises(Refusal, match="bad-ceremony"):
        read_record(record, centre.root.certificate)
    other.close()


def test_only_officers(centre):
    with pytest.raises(Refusal, match="not-authorised"):
        centre.operating.issue(
            "merchant", new_key().public_key(), (MERCHANT,), officer="urn:e2s:market:ca:eve"
        )
    certificate = issue(centre.operating)
    with pytest.raises(Refusal, match="not-authorised"):
        centre.operating.revoke(certificate.serial, "keyCompromise", officer="urn:e2s:market:ca:eve")
    assert b'"outcome":"not-authorised"' in events(centre)[-1]


def events(centre):
    with centre.operating.database.reading() as connection:
        return [body for _, body in centre.operating.outbox.waiting(connection, "audit")]


def test_each_act_leaves_its_event(centre):
    certificate = issue(centre.operating)
    centre.operating.revoke(certificate.serial, "superseded", officer=OFFICER)
    centre.operating.crl()
    kinds = [body.split(b'"kind":"')[1].split(b'"')[0].decode() for body in events(centre)]
    assert kinds == ["certificate.issued", "certificate.revoked", "crl.issued"]


@pytest.mark.parametrize(
    ("ca", "kind", "names", "rule"),
    [
        ("operating", "card-holder", ("urn:e2s:market:bank:h",), "wrong-profile"),
        ("operating", "operating-ca", ("urn:e2s:market:ca2",), "wrong-profile"),
        ("operating", "merchant", ("urn:e2s:elsewhere:volt",), "foreign-name"),
        ("operating", "merchant", ("urn:isbn:1",), "foreign-name"),
        ("card", "merchant", ("urn:e2s:market:bank:m",), "wrong-profile"),
        ("card", "card-holder-agreement", ("urn:e2s:market:bank2:h",), "foreign-name"),
        ("card", "card-holder-agreement", ("bank.example",), "foreign-name"),
    ],
)
def test_profile_and_realm(centre, ca, kind, names, rule):
    with pytest.raises(Refusal, match=rule):
        issue(getattr(centre, ca), kind, names)


def test_one_key_one_use(centre):
    key = new_key()
    issue(centre.operating, "gateway", key=key)
    issue(centre.operating, "gateway", key=key)
    with pytest.raises(Refusal, match="key-reused"):
        issue(centre.operating, "gateway-agreement", key=key)


def test_weak_key(centre):
    with pytest.raises(Refusal, match="suite-unknown"):
        issue(centre.operating, key=ec.generate_private_key(ec.SECP224R1()))


def test_request_proves_possession(centre):
    key = new_key()
    certificate = centre.operating.issue("merchant", request(key, (MERCHANT,)), (MERCHANT,), officer=OFFICER)
    assert certificate.public_key == key.public_key()
    bent = bytearray(request(key, (MERCHANT,)))
    bent[-1] ^= 1
    with pytest.raises(Refusal, match=r"no-possession|bad-request"):
        centre.operating.issue("merchant", bytes(bent), (MERCHANT,), officer=OFFICER)
    with pytest.raises(Refusal, match="bad-request"):
        centre.operating.issue("merchant", b"garbage", (MERCHANT,), officer=OFFICER)


@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.integers(0, 3))
def test_request_is_taken_apart_where_the_library_does(place, value, cut):
    """What is signed, and for which key, is what the library has read, in any request that it reads."""
    bent = bytearray(ASKED)
    bent[place % len(bent)] = value
    octets = bytes(bent[: len(bent) - cut]) if cut else bytes(bent)
    try:
        parsed = x509.load_der_x509_csr(octets)
        key = parsed.public_key()
        signature = parsed.signature
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        with pytest.raises(Refusal, match="bad-request"):
            read_proof(octets)
        return
    signed, algorithm, spki = possession._parts(octets)
    assert signed == parsed.tbs_certrequest_bytes
    assert octets.endswith(signature)
    assert algorithm in octets[len(signed) :]
    assert load_der_public_key(spki) == key
    if octets != ASKED:
        with pytest.raises(Refusal):
            read_proof(octets)


def test_no_certificate_outlives_its_issuer(centre):
    centre.clock.forward(days=4.5 * 365)
    assert issue(centre.operating).not_after == centre.operating.certificate.not_after


def test_serials_are_random_and_positive():
    assert serial_number(bytes) == 1 << 127
    serials = {serial_number(secrets.token_bytes) for _ in range(50)}
    assert len(serials) == 50
    assert all(s.bit_length() == 128 for s in serials)


def test_revocation_stands_for_good(centre):
    certificate = issue(centre.operating)
    centre.operating.revoke(certificate.serial, "keyCompromise", officer=OFFICER)
    first = centre.clock.now()
    centre.clock.forward(hours=1)
    centre.operating.revoke(certificate.serial, "superseded", officer=OFFICER)
    entry = CrlIndex.read(centre.operating.crl()).revoked[certificate.serial]
    assert (entry.at, entry.reason) == (first, "keyCompromise")
    assert centre.judge(certificate).rule == "revoked"
    with pytest.raises(Misuse, match="bad-reason"):
        centre.operating.revoke(certificate.serial, "removeFromCRL", officer=OFFICER)
    with pytest.raises(Refusal, match="no-such-certificate"):
        centre.operating.revoke(5, "keyCompromise", officer=OFFICER)


def test_lists_are_numbered_and_last_a_day(centre):
    one, two = (CrlIndex.read(centre.operating.crl()) for _ in range(2))
    assert two.number == one.number + 1
    assert two.next_update - two.this_update == timedelta(hours=24)


def test_current_list_is_renewed_in_time(centre):
    ca = centre.operating
    first = ca.current_crl()
    centre.clock.forward(hours=11)
    assert ca.current_crl() == first
    centre.clock.forward(hours=1)
    second = ca.current_crl()
    assert second != first
    ca.revoke(issue(ca).serial, "keyCompromise", officer=OFFICER)
    third = ca.current_crl()
    assert third != second
    assert ca.current_crl() == third


class Killed(BaseException):
    """The process dies here."""


def test_kill_between_signature_and_record(centre, monkeypatch):
    def die(*_args):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(store, "issued", die)
        with pytest.raises(Killed):
            issue(centre.operating)
    with centre.operating.database.reading() as connection:
        (intent,) = store.intents(connection)
        serial = int.from_bytes(intent["serial"], "big")
    again = centre.reopen()
    assert CrlIndex.read(again.current_crl()).revoked[serial].reason == "cessationOfOperation"


def test_service_publishes_each_new_list(centre, tmp_path):
    service = Publisher(Repository(tmp_path / "public"), (centre.operating, centre.card))

    def published():
        response = service.handle(Request("GET", crl_path(centre.operating.certificate)))
        assert response.headers["content-type"] == "application/pkix-crl"
        return response.body

    first = published()
    service.tick()
    assert published() == first
    certificate = issue(centre.operating)
    centre.operating.revoke(certificate.serial, "keyCompromise", officer=OFFICER)
    service.tick()
    assert certificate.serial in CrlIndex.read(published()).revoked
