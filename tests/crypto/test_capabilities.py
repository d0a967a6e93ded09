"""Capabilities: what is listed reads back, others' lists are understood, and a peer is written to as he reads."""

from __future__ import annotations

import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import cms, der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.cms.capabilities import (
    Capabilities,
    capabilities_attribute,
    capabilities_of,
    certified_capabilities,
    read_capabilities,
    sealings_for,
    signature_for,
)
from e2s.crypto.suites import OLD_SEALINGS, SEALINGS, SIGNATURES, signature_suite
from tests.worlds.crypto import AT, new_key, new_party, party
from tests.worlds.programs import openssl

CONTENT = b"nine resistors\nand a coil\n"
TRIPLE_DES = "1.2.840.113549.3.7"


def listing(*listed: str | tuple[str, bytes]) -> Capabilities:
    pairs = [one if isinstance(one, tuple) else (one, b"") for one in listed]
    return read_capabilities(der.sequence(*(der.sequence(der.oid(oid), held) for oid, held in pairs)))


def said_by(octets: bytes) -> Capabilities:
    signed = cms.read_signed(cms.normalised(octets), cms.FOREIGN)
    cms.check_signature(signed)
    found = capabilities_of(signed)
    assert found is not None
    return found


OURS = said_by(
    cms.sign(CONTENT, oids.DATA, party("p256").signer, AT, signed_attributes=(capabilities_attribute(),))
)


def test_ours_name_all_that_is_read_here():
    assert all(OURS.reads(suite) for suite in (*SEALINGS.values(), *OLD_SEALINGS.values()))
    assert all(OURS.verifies(suite) for suite in SIGNATURES.values())
    assert OURS.verifies(signature_suite("rsa3072-pkcs1-sha256"))
    assert len(set(OURS.listed)) == len(OURS.listed)
    # RFC 8551, 2.5.2: signatures first, then ciphers, then ways for their keys
    order = [oid for oid, _ in OURS.listed]
    assert order.index(oids.ECDSA_SHA256) < order.index(oids.AES256_GCM) < order.index(oids.STD_DH_SHA256)
    assert order.index(oids.AES256_GCM) < order.index(oids.AES256_CBC)


def test_a_listing_is_of_what_is_permitted():
    attributes = capabilities_attribute([SIGNATURES["p256-sha256"]], [SEALINGS["ecdh-p256-aes256gcm"]])
    found = said_by(cms.sign(CONTENT, oids.DATA, party("p256").signer, AT, signed_attributes=(attributes,)))
    assert found.reads(SEALINGS["ecdh-p256-aes256gcm"])
    assert not found.reads(SEALINGS["ecdh-p384-aes256gcm"])
    assert not found.reads(OLD_SEALINGS["ecdh-p256-aes256cbc"])
    assert found.verifies(SIGNATURES["p256-sha256"])
    assert not found.verifies(SIGNATURES["ed25519"])
    assert oids.AES256_CBC not in [oid for oid, _ in found.listed]


def test_a_listing_for_old_peers_alone():
    found = said_by(
        cms.sign(
            CONTENT,
            oids.DATA,
            party("p256").signer,
            AT,
            signed_attributes=(capabilities_attribute([], [OLD_SEALINGS["rsa-pkcs1-aes256cbc"]]),),
        )
    )
    assert not found.reads(SEALINGS["rsa-oaep-aes256gcm"])
    assert found.reads(OLD_SEALINGS["rsa-pkcs1-aes256cbc"])


def test_a_message_that_lists_nothing():
    octets = cms.sign(CONTENT, oids.DATA, party("p256").signer, AT)
    assert capabilities_of(cms.read_signed(octets, cms.FOREIGN)) is None


@pytest.mark.tool
def test_openssls_list(tmp_path):
    """AES-CBC of three sizes and older ciphers, and no word on keys."""
    cert, key, ca = party("rsa").files(tmp_path)
    command = ["cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", cert, "-inkey", key]
    found = said_by(openssl(*command, "-certfile", ca, given=CONTENT))
    assert oids.AES256_CBC in [oid for oid, _ in found.listed]
    assert sealings_for([(party("rsa").certificate, found)]) == ("rsa-pkcs1-aes256cbc",)
    assert sealings_for([(party("p256").certificate, found)]) == ("ecdh-p256-aes256cbc",)


@pytest.mark.tool
def test_openssl_shows_ours(tmp_path):
    """OpenSSL names each of our capabilities where it knows it, and verifies the signature over them."""
    _cert, _key, ca = party("p256").files(tmp_path)
    message = cms.sign(
        CONTENT, oids.DATA, party("p256").signer, AT, signed_attributes=(capabilities_attribute(),)
    )
    printed = openssl("cms", "-cmsout", "-noout", "-print", "-inform", "DER", given=message).decode()
    for named in ("S/MIME Capabilities", "aes-256-gcm", "id-aes256-wrap", "rsaesOaep", "ecdsa-with-SHA256"):
        assert named in printed
    verify = [
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-CAfile",
        ca,
        "-attime",
        str(int(AT.timestamp())),
    ]
    assert openssl(*verify, given=message) == CONTENT


NSS = listing(oids.AES256_CBC, oids.AES128_CBC, TRIPLE_DES)
GNUPG = listing(oids.AES128_CBC, TRIPLE_DES)
MODERN = listing(oids.AES256_GCM, oids.AES128_GCM, oids.AES128_CBC)
ECDH_SHA1 = listing(
    oids.AES256_GCM, oids.AES256_CBC, (oids.STD_DH_SHA1, der.sequence(der.oid(oids.AES128_WRAP)))
)
PKCS1 = listing(oids.AES256_GCM, oids.AES256_CBC, oids.RSA)
OAEP = listing(oids.AES256_CBC, oids.RSA_OAEP)
TODAY = ("rsa-oaep-aes256gcm", "ecdh-p256-aes256gcm")


@pytest.mark.parametrize(
    ("kind", "theirs", "suite"),
    [
        ("rsa", None, "rsa-oaep-aes256gcm"),
        ("p256", None, "ecdh-p256-aes256gcm"),
        ("rsa", MODERN, "rsa-oaep-aes256gcm"),
        ("p384", MODERN, "ecdh-p384-aes256gcm"),
        ("p256", OURS, "ecdh-p256-aes256gcm"),
        # what a reader of older ciphers alone has for keys
        ("rsa", NSS, "rsa-pkcs1-aes256cbc"),
        ("p256", NSS, "ecdh-p256-aes256cbc"),
        ("rsa", GNUPG, "rsa-pkcs1-aes256cbc"),
        # a way is listed, and ours is not among those: not that cipher, and not the other
        ("rsa", PKCS1, "rsa-pkcs1-aes256cbc"),
        ("rsa", OAEP, "rsa-oaep-aes256cbc"),
        ("rsa", ECDH_SHA1, "rsa-oaep-aes256gcm"),
    ],
)
def test_a_peer_is_written_to_as_he_reads(kind, theirs, suite):
    to = party(kind).certificate
    assert sealings_for([(to, theirs)]) == (suite,)
    octets = cms.seal(CONTENT, oids.DATA, [to], secrets.token_bytes, suites=(suite,))
    assert cms.open_sealed(octets, party(kind).opener, allow_legacy=True) == (oids.DATA, CONTENT)


@pytest.mark.parametrize(
    ("kind", "theirs"),
    [("rsa", listing(TRIPLE_DES)), ("p256", listing()), ("p256", ECDH_SHA1), ("rsa", listing(oids.RSA_OAEP))],
)
def test_a_peer_who_reads_nothing_that_is_written(kind, theirs):
    with pytest.raises(Refusal, match="no-common-suite"):
        sealings_for([(party(kind).certificate, theirs)])


def test_a_signature_that_the_peer_verifies():
    rsa = party("rsa").certificate.public_key
    old = listing(oids.RSA_SHA256, oids.ECDSA_SHA384)
    assert signature_for(rsa, None).name == "rsa3072-pss-sha256"
    # a list of ciphers alone says nothing about signatures
    assert signature_for(rsa, NSS).name == "rsa3072-pss-sha256"
    assert signature_for(rsa, OURS).name == "rsa3072-pss-sha256"
    assert signature_for(rsa, old).name == "rsa3072-pkcs1-sha256"
    assert signature_for(party("p384").certificate.public_key, old).name == "p384-sha384"
    with pytest.raises(Refusal, match="no-common-suite"):
        signature_for(party("p256").certificate.public_key, old)


def test_keys_of_today_have_no_older_form():
    for key in (x25519.X25519PrivateKey.generate(), mlkem.MLKEM768PrivateKey.generate()):
        to = new_party("new", key).certificate
        assert len(sealings_for([(to, None)])) == 1
        assert sealings_for([(to, OURS)]) == sealings_for([(to, None)])
        with pytest.raises(Refusal, match="no-common-suite"):
            sealings_for([(to, NSS)])


def test_one_envelope_for_all_or_none():
    anna, bert = party("rsa").certificate, party("p256").certificate
    other = new_party("other", new_key("rsa")).certificate
    assert sealings_for([(anna, None), (bert, MODERN)]) == TODAY
    # one who reads only older forms: all who are known to read those get them
    assert sealings_for([(anna, NSS), (bert, OURS)]) == ("rsa-pkcs1-aes256cbc", "ecdh-p256-aes256cbc")
    # of one kind of key, the suite that both read
    assert sealings_for([(anna, OAEP), (other, OURS)]) == ("rsa-oaep-aes256cbc",)
    assert sealings_for([(anna, NSS), (other, OURS)]) == ("rsa-pkcs1-aes256cbc",)
    octets = cms.seal(
        CONTENT,
        oids.DATA,
        [anna, other],
        secrets.token_bytes,
        suites=sealings_for([(anna, NSS), (other, PKCS1)]),
    )
    assert cms.open_sealed(octets, party("rsa").opener, allow_legacy=True)[1] == CONTENT
    # of whom nothing is known, nobody is written to in an older form for another's sake
    with pytest.raises(Refusal, match="no-common-suite"):
        sealings_for([(anna, NSS), (bert, None)])


def test_capabilities_in_a_certificate():
    value = der.sequence(der.sequence(der.oid(oids.AES256_CBC)))
    key = new_key("p256")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(AT).not_valid_after(AT.replace(year=2036))
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oids.SMIME_CAPABILITIES), value)
    made = builder.add_extension(extension, critical=False).sign(key, hashes.SHA256())
    own = Certificate.read(made.public_bytes(Encoding.DER))
    found = certified_capabilities(own)
    assert found == listing(oids.AES256_CBC)
    assert sealings_for([(own, found)]) == ("ecdh-p256-aes256cbc",)
    assert certified_capabilities(party("p256").certificate) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        der.integer(1),
        der.sequence(der.integer(1)),
        der.sequence(der.sequence()),
        der.sequence(der.sequence(der.integer(1))),
        der.sequence(der.sequence(der.oid(oids.AES256_CBC), b"\5\0", b"\5\0")),
        der.sequence(*[der.sequence(der.oid(oids.AES256_CBC))] * 65),
        der.sequence(der.sequence(der.oid(oids.AES256_CBC), der.octet_string(bytes(5000)))),
        der.sequence() * 2,
    ],
)
def test_malformed_lists_are_refused(value):
    with pytest.raises(Refusal) as caught:
        read_capabilities(value)
    assert caught.value.rule in {"der-tag", "der-truncated", "der-count", "der-trailing", "too-large"}


def test_a_list_given_twice_is_refused():
    both = der.tlv(der.SET, der.sequence() + der.sequence(der.sequence(der.oid(oids.AES256_CBC))))
    octets = cms.sign(
        CONTENT,
        oids.DATA,
        party("p256").signer,
        AT,
        signed_attributes=(der.sequence(der.oid(oids.SMIME_CAPABILITIES), both),),
    )
    with pytest.raises(Refusal, match="der-trailing"):
        capabilities_of(cms.read_signed(octets, cms.FOREIGN))
    assert attribute(oids.SMIME_CAPABILITIES, der.sequence()) != both


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_a_list(octets):
    try:
        found = read_capabilities(octets)
    except Refusal:
        return
    assert all(isinstance(oid, str) for oid, _ in found.listed)
