"""Signatures of every kind of key: each by its own suite, others' in every form that fits, none other."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import cms, der, oids, suites
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.keys import KeySigner, read_private_key
from e2s.crypto.suites.digests import DIGESTS
from e2s.crypto.suites.identifiers import NULL, algorithm
from e2s.crypto.suites.schemes import pss_algorithm, scheme_of
from tests.crypto.test_openssl import openssl
from tests.judges.parties import SIGNING, peer, pkcs8
from tests.worlds.crypto import AT, parse, unparse

CONTENT = b"an order of nine resistors"
WHEN = str(int(AT.timestamp()))
SUITES = {
    "p256": "p256-sha256",
    "p384": "p384-sha384",
    "p521": "p521-sha512",
    "rsa": "rsa3072-pss-sha256",
    "ed25519": "ed25519",
    "ed448": "ed448",
    "ml-dsa-44": "ml-dsa-44",
    "ml-dsa-65": "ml-dsa-65",
    "ml-dsa-87": "ml-dsa-87",
}


def message(kind: str, **more) -> bytes:
    return cms.sign(CONTENT, oids.ACT, peer(kind).signer, AT, **more)


def verified(octets: bytes, content: bytes | None = None, limits=cms.EXACT) -> cms.Signed:
    signed = cms.read_signed(octets, limits)
    cms.check_signature(signed, content)
    return signed


def signer_of(tree: list) -> list:
    return tree[0][1][1][1][0][1][4][1][0][1]


# Suites


@pytest.mark.parametrize("kind", SIGNING)
def test_each_kind_signs_by_its_suite(kind):
    one = peer(kind)
    with meter.measured() as spent:
        signed = verified(message(kind))
    assert spent == {"sign": 1, "verify": 1}
    suite = suites.signature_suite(SUITES[kind])
    assert one.signer.suite is suite is suites.signature_suite_of(one.certificate.public_key)
    assert suites.signature_suites_of(one.key)[0] is suite
    assert (signed.digest_algorithm, signed.signature_algorithm) == (
        suite.digest_algorithm,
        suite.signature_algorithm,
    )
    assert verified(message(kind, detached=True), CONTENT).content is None
    assert verified(message(kind), limits=cms.FOREIGN).content == CONTENT


@pytest.mark.parametrize("kind", ["x25519", "x448", "ml-kem-768", "ml-kem-1024"])
def test_keys_that_do_not_sign(kind):
    one = peer(kind)
    assert suites.signature_suites_of(one.key) == ()
    with pytest.raises(Refusal, match="suite-unknown"):
        KeySigner(one.certificate, (), one.key)
    assert pem(read_private_key(pem(one.key))) == pem(one.key)


def pem(key) -> bytes:
    from tests.crypto.test_suites import pem as written

    return written(key)


def test_all_suites_have_a_key():
    """No suite is without a key that signs by it, and no key's suite without a name."""
    of_keys = {suite.name for kind in SIGNING for suite in suites.signature_suites_of(peer(kind).key)}
    assert of_keys == set(suites.SIGNATURES) | set(suites.OLD_SIGNATURES)


def test_a_suite_is_its_keys():
    one = peer("p256")
    for name in ("p384-sha384", "ed25519", "rsa3072-pss-sha256"):
        with pytest.raises(Misuse, match="wrong-suite"):
            KeySigner(one.certificate, (), one.key, suite=suites.signature_suite(name))


def test_a_signer_of_another_suite_signs_nothing():
    """Even a signer that lies about its suite makes no message under a certificate of another kind."""

    class Liar:
        certificate = peer("p256").certificate
        chain = ()
        suite = suites.signature_suite("ed25519")

        def sign(self, data):
            raise AssertionError(data)

    with pytest.raises(Misuse, match="wrong-suite"):
        cms.sign(CONTENT, oids.ACT, Liar(), AT)


def test_shake256_is_a_digest():
    """FIPS 202: 512 bits of SHAKE256, whole or in pieces."""
    shake = DIGESTS["shake256"].new(b"nine ")
    shake.update(b"resistors")
    assert shake.digest() == hashlib.shake_256(b"nine resistors").digest(64)


# RSA: PSS is ours, PKCS#1 v1.5 for old peers


def test_pkcs1_is_for_old_peers_only():
    one = peer("rsa")
    old = suites.signature_suite("rsa3072-pkcs1-sha256")
    signer = KeySigner(one.certificate, (one.issuer,), one.key, suite=old)
    octets = cms.sign(CONTENT, oids.ACT, signer, AT)
    assert verified(octets, limits=cms.FOREIGN).content == CONTENT
    with pytest.raises(Refusal):  # in our own acts only the key's default suite occurs
        verified(octets)


@cache
def confined(digest: str, salt: int | None) -> Certificate:
    """A certificate whose key is named by id-RSASSA-PSS; nobody here checks who signed it."""
    tree = parse(peer("rsa").certificate.der)
    named = algorithm(oids.RSA_PSS) if salt is None else pss_algorithm(DIGESTS[digest], salt)
    fields = tree[0][1][0][1]
    fields[6][1][0] = parse(named)[0]
    return Certificate.read(unparse(tree))


@pytest.mark.parametrize(
    ("digest", "salt", "good"),
    [("sha256", None, True), ("sha256", 32, True), ("sha256", 33, False), ("sha512", 32, False)],
)
def test_a_key_confined_to_pss(digest, salt, good):
    """RFC 4055, 1.2 and 3.3: by PSS only, with its digest, and at least its salt."""
    certificate = confined(digest, salt)
    with pytest.raises(Misuse, match="wrong-suite"):
        KeySigner(certificate, (), peer("rsa").key, suite=suites.signature_suite("rsa3072-pkcs1-sha256"))
    if not good:
        with pytest.raises(Misuse, match="wrong-suite"):
            KeySigner(certificate, (), peer("rsa").key)
        return
    signer = KeySigner(certificate, (), peer("rsa").key)
    octets = cms.sign(CONTENT, oids.ACT, signer, AT)
    for limits in (cms.EXACT, cms.FOREIGN):
        assert verified(octets, limits=limits).signer_certificate == certificate


def test_a_key_confined_to_pss_verifies_no_other_scheme():
    certificate = confined("sha256", None)
    old = suites.signature_suite("rsa3072-pkcs1-sha256")

    class Careless:
        chain = ()
        suite = old

        def __init__(self, certificate):
            self.certificate = certificate

        def sign(self, data):
            return old.sign(peer("rsa").key, data)

    octets = cms.sign(CONTENT, oids.DATA, Careless(peer("rsa").certificate), AT)
    tree = parse(octets)
    tree[0][1][1][1][0][1][3][1] = parse(certificate.der)
    attributes = signer_of(tree)[3][1]
    attributes[:] = [a for a in attributes if unparse(a[1][:1]) != der.oid(oids.SIGNING_CERTIFICATE_V2)]
    signer_of(tree)[5][1] = old.sign(peer("rsa").key, der.tlv(der.SET, unparse(attributes)))
    with pytest.raises(Refusal, match="suite-unknown"):
        verified(unparse(tree), limits=cms.FOREIGN)


@pytest.mark.parametrize("salt", [0, 19, 1023])
def test_salts_that_are_not_accepted(salt):
    assert scheme_of(pss_algorithm(DIGESTS["sha256"], salt)) is None


@pytest.mark.parametrize(
    "parameters",
    [
        (),
        (der.sequence(),),
        (NULL,),
        (der.sequence(der.tlv(0xA2, der.integer(32))),),
        # SHA-1, and a mask by another digest than the message's
        (der.sequence(der.tlv(0xA0, algorithm(oids.SHA1, NULL)), der.tlv(0xA2, der.integer(32))),),
        (
            der.sequence(
                der.tlv(0xA0, algorithm(oids.SHA256, NULL)),
                der.tlv(0xA1, algorithm(oids.MGF1, algorithm(oids.SHA1, NULL))),
            ),
        ),
        (
            der.sequence(
                der.tlv(0xA0, algorithm(oids.SHA256)),
                der.tlv(0xA1, algorithm(oids.MGF1, algorithm(oids.SHA256))),
                der.tlv(0xA2, der.integer(32)),
                der.tlv(0xA3, der.integer(2)),
            ),
        ),
        (
            der.sequence(
                der.tlv(0xA0, algorithm(oids.SHAKE256)),
                der.tlv(0xA1, algorithm(oids.MGF1, algorithm(oids.SHAKE256))),
            ),
        ),
    ],
    ids=["absent", "empty", "null", "salt-only", "sha1", "mask-sha1", "trailer", "shake"],
)
def test_parameters_of_pss_that_are_not_accepted(parameters):
    assert scheme_of(algorithm(oids.RSA_PSS, *parameters)) is None


@given(st.binary(max_size=300))
def test_garbage_names_no_scheme(octets):
    assert scheme_of(octets) is None
    assert scheme_of(algorithm(oids.RSA_PSS, octets)) is None


# Forms that no suite has


@pytest.mark.parametrize("kind", ["ed25519", "ed448", "ml-dsa-65"])
def test_parameters_where_none_may_be(kind):
    """RFC 8410, 3; RFC 9881, 2: absent, not NULL, which is taken of ECDSA alone for GnuPG."""
    tree = parse(message(kind))
    signer = signer_of(tree)
    signer[4][1].append([der.NULL, b""])
    attributes = signer[3][1]
    attributes[:] = [a for a in attributes if unparse(a[1][:1]) != der.oid(oids.ALGORITHM_PROTECTION)]
    suite = suites.signature_suite(SUITES[kind])
    signer[5][1] = suite.sign(peer(kind).key, der.tlv(der.SET, unparse(attributes)))
    with pytest.raises(Refusal, match="suite-unknown"):
        verified(unparse(tree), limits=cms.FOREIGN)


def test_a_signature_of_another_kind_of_key():
    for one, other in (("ed25519", "ed448"), ("ml-dsa-44", "ml-dsa-65"), ("p256", "rsa")):
        key, suite = peer(one).certificate.public_key, suites.signature_suite(SUITES[other])
        with pytest.raises(Refusal, match="suite-unknown"):
            suites.foreign_suite(key, suite.digest_algorithm, suite.signature_algorithm)


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("signature", [b"", b"\x00", bytes(57), bytes(64), bytes(384), bytes(3309)])
def test_signatures_that_are_none(kind, signature):
    """Of no size, of another kind's size, and all zeros."""
    tree = parse(message(kind))
    signer_of(tree)[5][1] = signature
    with pytest.raises(Refusal, match="bad-signature"):
        verified(unparse(tree))


# Attributes of the caller's


FURTHER = attribute("1.2.3.4", der.integer(7))
BESIDE = attribute("1.2.3.5", der.utf8("said by nobody"))


@pytest.mark.parametrize("kind", ["p256", "rsa", "ml-dsa-44"])
def test_further_attributes(kind):
    octets = message(kind, signed_attributes=(FURTHER,), unsigned_attributes=(BESIDE, FURTHER))
    signed = verified(octets, limits=cms.FOREIGN)
    assert signed.other_attributes == {"1.2.3.4": der.integer(7)}
    assert signed.unsigned == {"1.2.3.4": der.integer(7), "1.2.3.5": der.utf8("said by nobody")}
    with pytest.raises(Refusal, match="cms-unsigned-attributes"):
        cms.read_signed(octets)
    with pytest.raises(Refusal, match="cms-signed-attributes"):
        cms.read_signed(message(kind, signed_attributes=(FURTHER,)))
    altered = octets.replace(FURTHER, attribute("1.2.3.4", der.integer(8)), 1)
    with pytest.raises(Refusal, match="bad-signature"):
        verified(altered, limits=cms.FOREIGN)


def test_usual_messages_have_no_other_attributes():
    for limits in (cms.EXACT, cms.FOREIGN):
        signed = cms.read_signed(message("p256"), limits)
        assert (signed.other_attributes, signed.unsigned) == ({}, {})


def test_attributes_with_several_values():
    two = der.sequence(der.oid("1.2.3.4"), der.set_of([der.integer(1), der.integer(2)]))
    signed = verified(
        message("p256", signed_attributes=(two,), unsigned_attributes=(two, FURTHER)), limits=cms.FOREIGN
    )
    assert signed.other_attributes == {"1.2.3.4": der.integer(1) + der.integer(2)}
    assert signed.unsigned == {"1.2.3.4": b"".join(map(der.integer, (7, 1, 2)))}


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\x30\x00",
        FURTHER + b"\x00",
        der.sequence(der.oid("1.2.3.4")),
        der.sequence(der.oid("1.2.3.4"), der.set_of([])),
        der.sequence(der.oid("1.2.3.4"), der.tlv(der.SET, der.integer(2) + der.integer(1))),
        der.sequence(der.oid("1.2.3.4"), der.set_of([der.integer(1)]), der.integer(1)),
    ],
)
def test_what_is_no_attribute_is_not_written(wrong):
    for more in ({"signed_attributes": (wrong,)}, {"unsigned_attributes": (wrong,)}):
        with pytest.raises(Misuse, match="cms-attribute"):
            message("p256", **more)


def test_an_attribute_is_signed_once():
    own = attribute(oids.SIGNING_TIME, der.time(AT))
    for wrong in ((FURTHER, FURTHER), (own,), (FURTHER, attribute("1.2.3.4", der.integer(9)))):
        with pytest.raises(Misuse, match="cms-attribute"):
            message("p256", signed_attributes=wrong)
    with pytest.raises(Misuse, match="cms-attribute"):
        message("p256", unsigned_attributes=(FURTHER,) * 33)


@given(st.dictionaries(st.integers(0, 200), st.binary(max_size=40), max_size=8))
@settings(max_examples=30)
def test_any_attributes_round_trip(found):
    values = {f"1.3.{number}": der.octet_string(value) for number, value in found.items()}
    encoded = [attribute(oid, value) for oid, value in values.items()]
    octets = message("p256", signed_attributes=encoded, unsigned_attributes=encoded)
    signed = verified(octets, limits=cms.FOREIGN)
    assert (signed.other_attributes, signed.unsigned) == (values, values)


# All signers of a message


def test_one_signer_is_among_all():
    (one,) = cms.read_signers(message("p256"), cms.EXACT)
    cms.check_signature(one)
    assert one.signer_certificate == peer("p256").certificate


def test_signers_that_do_not_know_of_each_other():
    """Each is read with the whole message; one by its key identifier makes the message version 3."""
    tree, other = parse(message("p256")), parse(message("ed25519"))
    one, two = signer_of(tree), signer_of(other)
    two[0] = parse(der.integer(3))[0]
    two[1] = [0x80, peer("ed25519").certificate.key_id]
    data = tree[0][1][1][1][0][1]
    data[1][1] = [one[2], two[2]]
    data[3][1] += [c for c in other[0][1][1][1][0][1][3][1] if c not in data[3][1]]
    data[4][1] = sorted(([der.SEQUENCE, info] for info in (one, two)), key=lambda i: unparse([i]))
    octets = unparse(tree)
    signers = cms.read_signers(octets)
    for signed in signers:
        cms.check_signature(signed)
    assert {s.signer_certificate for s in signers} == {peer("p256").certificate, peer("ed25519").certificate}
    with pytest.raises(Refusal, match="cms-one-signer"):
        cms.read_signed(octets, cms.FOREIGN)
    data[4][1].reverse()
    with pytest.raises(Refusal, match="der-set-order"):
        cms.read_signers(unparse(tree))
    data[4][1] = []
    with pytest.raises(Refusal, match="cms-one-signer"):
        cms.read_signers(unparse(tree))
    data[4][1] = [[der.SEQUENCE, one]]
    with pytest.raises(Refusal, match="cms-digest-algorithms"):
        cms.read_signers(unparse(tree))


# OpenSSL, for what it can sign in CMS


@pytest.mark.tool
@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("kind", ["p521", "rsa"])
def test_openssl_verifies_ours(kind, detached, tmp_path):
    _cert, _key, ca = peer(kind).files(tmp_path)
    more = {"signed_attributes": (FURTHER,), "unsigned_attributes": (BESIDE,)}
    (tmp_path / "m").write_bytes(message(kind, detached=detached, **more))
    (tmp_path / "c").write_bytes(CONTENT)
    apart = ["-content", f"{tmp_path}/c"] if detached else []
    command = ["cms", "-verify", "-binary", "-inform", "DER", "-in", f"{tmp_path}/m", "-CAfile", ca]
    assert openssl(*command, "-attime", WHEN, "-cades", *apart) == CONTENT


@pytest.mark.tool
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("salt", ["max", "digest", "20"])
def test_we_verify_openssls_pss(digest, salt, tmp_path):
    """Without being told, it writes the longest salt that the key can carry."""
    options = ("rsa_padding_mode:pss", f"rsa_pss_saltlen:{salt}")
    signed = openssls("rsa", tmp_path, "-md", digest, *(o for one in options for o in ("-keyopt", one)))
    scheme = scheme_of(signed.signature_algorithm)
    assert scheme is not None
    assert scheme.digest is DIGESTS[digest]


@pytest.mark.tool
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_we_verify_openssls_p521(digest, tmp_path):
    openssls("p521", tmp_path, "-md", digest)


def openssls(kind: str, folder, *more: str) -> cms.Signed:
    """A message that OpenSSL signed, verified."""
    one = peer(kind)
    cert, key, ca = one.files(folder)
    (folder / "c").write_bytes(CONTENT)
    command = [
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-outform",
        "DER",
        "-in",
        f"{folder}/c",
        "-signer",
        cert,
    ]
    octets = openssl(*command, "-inkey", key, "-certfile", ca, *more)
    signed = verified(octets, limits=cms.FOREIGN)
    assert (signed.content, signed.signer_certificate) == (CONTENT, one.certificate)
    with pytest.raises(Refusal, match="altered-content"):
        verified(octets.replace(b"nine", b"five"), limits=cms.FOREIGN)
    return signed


@pytest.mark.tool
def test_keys_that_openssl_confines_to_pss(tmp_path):
    """Both ways with a key and certificate of RSASSA-PSS alone, which OpenSSL names so too."""
    key, certificate = f"{tmp_path}/k", f"{tmp_path}/c"
    tree = parse(pkcs8(peer("rsa")))
    tree[0][1][1] = parse(pss_algorithm(DIGESTS["sha256"], 32))[0]
    (tmp_path / "k").write_bytes(openssl("pkey", "-inform", "DER", given=unparse(tree)))
    openssl("req", "-x509", "-key", key, "-subj", "/CN=confined", "-days", "9000", "-out", certificate)
    (tmp_path / "m").write_bytes(CONTENT)
    command = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", f"{tmp_path}/m"]
    signed = verified(
        openssl(*command, "-signer", certificate, "-inkey", key, "-keyopt", "rsa_padding_mode:pss"),
        limits=cms.FOREIGN,
    )
    own = Certificate.read((tmp_path / "c").read_bytes())
    assert signed.signer_certificate == own

    signer = KeySigner(own, (), read_private_key((tmp_path / "k").read_bytes()))
    (tmp_path / "o").write_bytes(cms.sign(CONTENT, oids.ACT, signer, own.not_before))
    command = ["cms", "-verify", "-binary", "-inform", "DER", "-in", f"{tmp_path}/o", "-CAfile", certificate]
    assert openssl(*command, "-purpose", "any") == CONTENT


def test_weaker_keys_of_others():
    """What has no suite of ours has none of others' either."""
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())):
        suite = suites.signature_suite("p256-sha256")
        with pytest.raises(Refusal, match="suite-unknown"):
            suites.foreign_suite(key.public_key(), suite.digest_algorithm, suite.signature_algorithm)


def test_pss_is_the_librarys():
    """The parameters that are written say what was signed."""
    suite, one = suites.signature_suite("rsa3072-pss-sha256"), peer("rsa")
    signature = suite.sign(one.key, CONTENT)
    pad, hashing = suite.scheme
    assert isinstance(pad, padding.PSS)
    key: Any = one.key.public_key()
    key.verify(signature, CONTENT, padding.PSS(padding.MGF1(hashing), 32), hashing)
