"""Certificates, lists and requests by keys of every kind, and paths that mix them."""

from __future__ import annotations

import secrets
import subprocess
from datetime import timedelta
from functools import cache

import pytest

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import oids, suites
from e2s.crypto.certificates import Certificate, serial_number
from e2s.crypto.keys import KeySigner
from e2s.crypto.suites.digests import DIGESTS
from e2s.crypto.suites.identifiers import NULL, algorithm
from e2s.crypto.suites.schemes import pss_algorithm
from e2s.security.certificates.certify import Wish, certify, certify_root, read_request, request
from e2s.security.certificates.names import distinguished
from e2s.security.certificates.profiles import profile
from e2s.security.keys.generation import generate
from e2s.security.keys.lent import lent
from e2s.security.verification import signatures
from e2s.security.verification.crls import CrlIndex
from tests.worlds.crypto import parse, unparse
from tests.worlds.pki import START, Ca, Pki, make_pki

ALL = tuple(suites.SIGNATURES)
SHOP = "urn:e2s:market:volt"
MERCHANT = oids.SIGNING["merchant"]
#: What OpenSSL on Debian 12 verifies in certificates.
OPENSSLS = tuple(name for name in ALL if not name.startswith("ml-dsa"))


@cache
def key(suite: str, name: str = ""):
    """A key for ``suite``, made once for each ``name``: RSA keys take their time."""
    assert name is not None
    return generate(suite, secrets.token_bytes)


def serial() -> int:
    return serial_number(secrets.token_bytes)


@cache
def centre(root: str, operating: str) -> Pki:
    """A trust centre whose CAs have keys of these two suites."""
    made_at, own = START - timedelta(days=30), key(root, "root")
    subject = distinguished(community="market", common="root")
    wish = Wish(profile=profile("root"), names=(), subject=subject, public_key=own.public_key())
    first = KeySigner(certify_root(wish, own, serial=serial(), at=made_at), (), own)
    below = key(operating, "operating")
    subject = distinguished(community="market", party="ca", common="operating-ca")
    wish = Wish(
        profile=profile("operating-ca"),
        names=("urn:e2s:market:ca",),
        subject=subject,
        public_key=below.public_key(),
    )
    second = KeySigner(certify(wish, first, serial=serial(), at=made_at), (), below)
    return Pki("market", START, Ca(first), Ca(second), Ca(second))


def judged(pki: Pki, certificate: Certificate, *, chain=None, crls=None):
    found = (pki.operating,) if chain is None else chain
    return pki.verifier().judge(
        certificate, found, crls or pki.crls(START), at=START, purpose=MERCHANT, name=SHOP
    )


def altered(octets: bytes) -> bytes:
    """The same with one bit of the signature, which stands last, changed."""
    return octets[:-1] + bytes((octets[-1] ^ 1,))


@pytest.mark.parametrize("turn", range(len(ALL)))
def test_paths_of_mixed_kinds(turn):
    """Root, CA and end entity of three kinds; every certificate and list is judged by its issuer's."""
    root, operating, own = (ALL[(turn + step) % len(ALL)] for step in range(3))
    pki = centre(root, operating)
    certificate, _chain, _key = pki.issue("merchant", SHOP, private_key=key(own))
    assert judged(pki, certificate).or_refuse().anchor == pki.root

    forged = Certificate.read(altered(certificate.der))
    assert judged(pki, forged).rule == "bad-path-signature"
    spoilt = Certificate.read(altered(pki.operating.der))
    assert judged(pki, certificate, chain=(spoilt,)).rule == "bad-path-signature"
    for place in range(2):
        crls = list(pki.crls(START)[:2])
        crls[place] = altered(crls[place])
        assert judged(pki, certificate, crls=crls).rule == "revocation-unknown"


def test_post_quantum_over_classical_over_edwards():
    """ML-DSA over P-256 over Ed25519, and no other order of the issuers passes."""
    pki = centre("ml-dsa-87", "p256-sha256")
    certificate, _chain, _key = pki.issue("merchant", SHOP, private_key=key("ed25519"))
    verdict = judged(pki, certificate).or_refuse()
    assert verdict.anchor == pki.root
    assert judged(pki, certificate, chain=()).rule == "unknown-root"
    other = centre("p256-sha256", "ml-dsa-65")
    assert judged(other, certificate).rule != ""


@pytest.mark.parametrize("suite", ALL)
def test_a_revoked_certificate_of_any_kind(suite):
    pki = centre(suite, suite)
    certificate, _chain, _key = pki.issue("merchant", SHOP, private_key=key(suite))
    before = pki.crls(START)
    assert judged(pki, certificate, crls=before).or_refuse()
    pki.revoke(certificate)
    assert judged(pki, certificate, crls=pki.crls(START)).rule == "revoked"
    lists = [CrlIndex.read(octets) for octets in before]
    assert all(one.algorithm == suites.signature_suite(suite).signature_algorithm for one in lists)


@pytest.mark.parametrize("suite", ALL)
def test_requests(suite):
    octets = request(key(suite), (SHOP,))
    assert read_request(octets) == key(suite).public_key()
    with pytest.raises(Refusal, match=r"no-possession|bad-request"):
        read_request(altered(octets))


def test_a_ca_of_old_peers():
    """RSA by PKCS#1 v1.5 certifies where its signer says so, and verifies."""
    pki, old = centre("p256-sha256", "rsa3072-pss-sha256"), suites.signature_suite("rsa3072-pkcs1-sha256")
    signer = KeySigner(pki.operating, (), key("rsa3072-pss-sha256", "operating"), suite=old)
    made = Pki("market", START, pki.root_ca, Ca(signer), pki.bank_ca)
    certificate, _chain, _key = made.issue("merchant", SHOP, private_key=key("ed25519"))
    assert certificate.slices.algorithm == algorithm(oids.RSA_SHA256, NULL)
    assert judged(made, certificate).or_refuse()


def test_a_key_confined_to_pss_signs_nothing_else():
    """RFC 4055, 1.2: as its SubjectPublicKeyInfo names it."""
    own, data = key("rsa3072-pss-sha256"), b"what a CA signs"
    spki = parse(suites_spki(own))
    spki[0][1][0] = parse(pss_algorithm(DIGESTS["sha256"], 32))[0]
    confined = unparse(spki)
    for name, wanted in (("rsa3072-pss-sha256", True), ("rsa3072-pkcs1-sha256", False)):
        suite = suites.signature_suite(name)
        signature = suite.sign(own, data)
        arguments = (own.public_key(), suite.signature_algorithm, signature, data)
        assert signatures.good(*arguments)
        assert signatures.good(*arguments, confined) == wanted


def suites_spki(own) -> bytes:
    from e2s.crypto.keys import spki_of

    return spki_of(own.public_key())


def test_a_certificate_that_names_two_algorithms():
    """RFC 5280, 4.1.1.2: the algorithm that is signed and the one beside the signature are one."""
    tree = parse(make_pki().operating.der)
    tree[0][1][1][1][0] = parse(algorithm(oids.ECDSA_SHA384))[0][1][0]
    with pytest.raises(Refusal, match="bad-certificate"):
        Certificate.read(unparse(tree))


@pytest.mark.parametrize("suite", ALL)
def test_a_lent_key_only_signs(suite):
    """Whatever else the library offers on a key of the kind is refused."""
    pki = centre(suite, suite)
    borrowed = lent(pki.operating_ca.signer)
    assert borrowed.public_key() == pki.operating.public_key
    for name in ("private_bytes", "private_bytes_raw", "private_numbers"):
        if hasattr(borrowed, name):
            with pytest.raises(Misuse, match="key-lent-to-sign"):
                getattr(borrowed, name)()
    if hasattr(borrowed, "sign_mu"):
        with pytest.raises(Misuse, match="key-lent-to-sign"):
            borrowed.sign_mu(bytes(64))
    if suite.startswith("ml-dsa"):
        with pytest.raises(Misuse, match="key-lent-to-sign"):
            borrowed.sign(b"data", b"a context")  # type: ignore[call-arg, arg-type]


@pytest.mark.tool
@pytest.mark.parametrize("turn", range(len(OPENSSLS)))
def test_openssl_verifies_what_we_certify(turn, tmp_path):
    """Paths and lists of mixed kinds, for the kinds that it has."""
    root, operating, own = (OPENSSLS[(turn + step) % len(OPENSSLS)] for step in range(3))
    pki = centre(root, operating)
    certificate, _chain, _key = pki.issue("merchant", SHOP, private_key=key(own))
    (tmp_path / "root").write_bytes(pki.root.pem)
    (tmp_path / "ca").write_bytes(pki.operating.pem)
    (tmp_path / "own").write_bytes(certificate.pem)
    lists = b""
    for octets in pki.crls(START):
        lists += openssl("crl", "-inform", "DER", given=octets)
    (tmp_path / "crls").write_bytes(lists)
    command = ["verify", "-CAfile", f"{tmp_path}/root", "-untrusted", f"{tmp_path}/ca", "-x509_strict"]
    command += ["-crl_check_all", "-CRLfile", f"{tmp_path}/crls", "-attime", str(int(START.timestamp()))]
    assert b"OK" in openssl(*command, f"{tmp_path}/own")
    openssl("req", "-verify", "-noout", "-inform", "DER", given=request(key(own), (SHOP,)))


def openssl(*arguments: str, given: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
