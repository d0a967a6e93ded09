"""Keys that sign nothing are certified on the word of a key that does, the same holder's, and on no other."""

from __future__ import annotations

import secrets

import pytest
from cryptography import x509
from pyasn1.codec.der.decoder import decode  # type: ignore[import-untyped]
from pyasn1_alt_modules import rfc2986, rfc9883  # type: ignore[import-untyped]

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.keys import KeySigner, spki_of
from e2s.security.ceremonies.ceremony import (
    RECORD,
    Setting,
    found_authority,
    found_root,
    officer_rights,
    read_record,
)
from e2s.security.certificates.certify import read_request, request
from e2s.security.certificates.possession import prove_here, read_proof
from e2s.security.keys.container import Cost
from e2s.security.keys.phrase import Phrase
from e2s.security.pki.proving import Prover
from e2s.security.pki.statement import request_stated
from tests.worlds.crypto import parse, unparse
from tests.worlds.pki import SetClock, make_pki
from tests.worlds.profiles import key

OFFICER = "urn:e2s:market:ca:officer"
ALICE, BOB = "urn:e2s:market:alpha:alice", "urn:e2s:market:alpha:bob"
SILENT = ("ml-kem-768-aes256gcm", "ml-kem-1024-aes256gcm", "x25519-aes256gcm", "x448-aes256gcm")


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ca")
    setting = Setting(clock=SetClock(), random=secrets.token_bytes, cost=Cost(memory_kib=8, passes=1))
    rights = officer_rights(OFFICER, ("root", "operating-ca"))
    above = found_root(folder / "root", Phrase("words"), community="market", rights=rights, setting=setting)
    made = found_authority(
        above,
        folder / "ca",
        Phrase("words"),
        kind="operating-ca",
        name="urn:e2s:market:ca",
        component="operating-ca",
        officer=OFFICER,
        authoriser=read_record((folder / "root" / RECORD).read_bytes(), above.certificate),
        setting=setting,
    )
    above.close()
    yield made
    made.close()


def signer(ca, name=ALICE, kind="person", suite="p256-sha256", **more) -> KeySigner:
    own = key(suite, f"{kind} {name}")
    return KeySigner(ca.issue(kind, own.public_key(), (name,), officer=OFFICER, **more), (), own)


def asked(ca, octets, name=ALICE, kind="person-agreement"):
    return ca.issue(kind, octets, (name,), officer=OFFICER)


@pytest.mark.parametrize("suite", SILENT)
@pytest.mark.parametrize("signs", ["p256-sha256", "ml-dsa-44", "ed25519", "rsa3072-pss-sha256"])
def test_stated_by_the_holders_key(ca, suite, signs):
    octets = request_stated(key(suite, "own").public_key(), (ALICE,), signer(ca, suite=signs))
    one = asked(ca, octets)
    assert one.spki == spki_of(key(suite, "own").public_key())
    assert read_request(octets) == key(suite, "own").public_key()


def test_the_statement_as_another_reads_it(ca):
    """By the ASN.1 of RFC 9883, in the words of its author's own library."""
    own = signer(ca)
    octets = request_stated(key(SILENT[0]).public_key(), (ALICE,), own)
    read, rest = decode(octets, asn1Spec=rfc2986.CertificationRequest())
    assert not rest
    attributes = {str(one["type"]): one["values"] for one in read["certificationRequestInfo"]["attributes"]}
    (value,) = attributes[str(rfc9883.id_statementOfPossession)]
    statement, rest = decode(bytes(value), asn1Spec=rfc9883.PrivateKeyPossessionStatement())
    assert not rest
    assert int(statement["signer"]["serialNumber"]) == own.certificate.serial
    assert x509.load_der_x509_csr(octets).subject == own.certificate.x509.subject


def test_one_that_agrees_and_signs_may_do_either(ca):
    """A P-256 key for agreement signs its own request; a statement does as well."""
    own = key("ecdh-p256-aes256gcm", "either")
    assert asked(ca, request(own, (ALICE,))).spki == spki_of(own.public_key())
    other = key("ecdh-p256-aes256gcm", "other")
    assert asked(ca, request_stated(other.public_key(), (ALICE,), signer(ca)))


def refused(ca, octets, rule="no-possession", **more):
    with pytest.raises(Refusal, match=rule):
        asked(ca, octets, **more)


def test_without_a_statement(ca):
    """The request of a key that signs for itself, with one that does not in its place."""
    tree = parse(request(key("p256-sha256"), (ALICE,)))
    tree[0][1][0][1][2] = parse(spki_of(key(SILENT[0]).public_key()))[0]
    refused(ca, unparse(tree), "suite-unknown")


def test_stated_by_another(ca):
    refused(ca, request_stated(key(SILENT[0], "b").public_key(), (ALICE,), signer(ca, BOB)))


def test_stated_for_a_key_that_signs(ca):
    """RFC 9883, 6: no certificate for signatures comes by a statement."""
    octets = request_stated(key("p256-sha256", "victim").public_key(), (ALICE,), signer(ca))
    refused(ca, octets, kind="person")
    refused(ca, octets, kind="tls-server", name="shop.example")


def test_stated_by_a_stranger(ca):
    """A certificate of the same name by another CA, and one that says to be this CA's."""
    other = make_pki().signer("merchant", ALICE)
    refused(ca, request_stated(key(SILENT[0], "c").public_key(), (ALICE,), other))
    tree = parse(signer(ca).certificate.der)
    tree[0][1][0][1][6] = parse(spki_of(key("p256-sha256", "thief").public_key()))[0]
    forged = type(other.certificate).read(unparse(tree))
    thief = KeySigner(forged, (), key("p256-sha256", "thief"))
    refused(ca, request_stated(key(SILENT[0], "c").public_key(), (ALICE,), thief))


def test_stated_by_a_certificate_that_is_no_longer_good(ca):
    for act in ("hold", "revoke"):
        own = signer(ca)
        if act == "hold":
            ca.hold(own.certificate.serial, officer=OFFICER)
        else:
            ca.revoke(own.certificate.serial, "keyCompromise", officer=OFFICER)
        refused(ca, request_stated(key(SILENT[0], act).public_key(), (ALICE,), own))
    own = signer(ca)
    octets = request_stated(key(SILENT[0], "late").public_key(), (ALICE,), own)
    at, ca.clock.at = ca.clock.at, own.certificate.not_after.replace(year=own.certificate.not_after.year + 1)
    refused(ca, octets)
    ca.clock.at = at
    assert asked(ca, octets)


def test_what_was_altered(ca):
    good = request_stated(key(SILENT[0], "d").public_key(), (ALICE,), signer(ca))
    refused(ca, good[:-1] + bytes((good[-1] ^ 1,)), "no-possession|bad-request")
    other = spki_of(key(SILENT[0], "e").public_key())
    tree = parse(good)
    tree[0][1][0][1][2] = parse(other)[0]
    refused(ca, unparse(tree))
    tree = parse(good)
    tree[0][1][0][1][1] = parse(signer(ca, BOB).certificate.slices.subject)[0]
    refused(ca, unparse(tree), "bad-request")


@pytest.mark.parametrize("part", range(2))
def test_half_a_statement(ca, part):
    """Without the certificate, and with another's name and serial beside it."""
    own = signer(ca)
    statement = (
        der.sequence(own.certificate.issuer_and_serial),
        der.sequence(signer(ca, BOB).certificate.issuer_and_serial, own.certificate.der),
    )[part]
    attribute = der.sequence(der.oid(oids.POSSESSION_STATEMENT), der.set_of([statement]))
    subject, spki = own.certificate.slices.subject, spki_of(key(SILENT[0], "f").public_key())
    info = der.sequence(der.integer(0), subject, spki, der.tlv(0xA0, attribute))
    signature = der.tlv(der.BIT_STRING, b"\0" + own.sign(info))
    refused(ca, der.sequence(info, own.suite.signature_algorithm, signature), "bad-request")


def test_a_group_is_proven_by_two_processes(ca):
    """Each finds the same; the certificate that states comes through."""
    own = signer(ca)
    requests = [request_stated(key(SILENT[n % 4], f"g{n}").public_key(), (ALICE,), own) for n in range(12)]
    requests.append(requests[0][:-1] + bytes((requests[0][-1] ^ 1,)))
    prover = Prover()
    try:
        both = prover(requests)
    finally:
        prover.close()
    here = prove_here(requests)
    assert both[:12] == here[:12] == [read_proof(one) for one in requests[:12]]
    assert {one.stated for one in both[:12] if not isinstance(one, Refusal)} == {own.certificate}
    assert [str(one) for one in both[12:]] == [str(one) for one in here[12:]]
