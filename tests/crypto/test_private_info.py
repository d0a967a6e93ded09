"""Private keys as others write them: what a file says twice must agree, and what it says besides is no matter."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, mldsa, mlkem, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.expansion import expanded
from e2s.crypto.keys import read_private_key, spki_of
from e2s.crypto.pem import armoured
from e2s.crypto.private_info import key_of
from tests.judges.npm import Refused, judge

CURVES: dict[str, Any] = {
    oids.ED25519: ed25519.Ed25519PrivateKey,
    oids.ED448: ed448.Ed448PrivateKey,
    oids.X25519: x25519.X25519PrivateKey,
    oids.X448: x448.X448PrivateKey,
}
LATTICES: dict[str, tuple[str, Any]] = {
    "ml-dsa-44": (oids.ML_DSA_44, mldsa.MLDSA44PrivateKey),
    "ml-dsa-65": (oids.ML_DSA_65, mldsa.MLDSA65PrivateKey),
    "ml-dsa-87": (oids.ML_DSA_87, mldsa.MLDSA87PrivateKey),
    "ml-kem-768": (oids.ML_KEM_768, mlkem.MLKEM768PrivateKey),
    "ml-kem-1024": (oids.ML_KEM_1024, mlkem.MLKEM1024PrivateKey),
}
ATTRIBUTE = der.sequence(der.oid("1.2.840.113549.1.9.9.20"), der.tlv(der.SET, der.utf8("Curdle Chairs")))


def info(oid, private, *, version=0, attributes=(), public=None):
    return der.sequence(
        der.integer(version),
        der.sequence(der.oid(oid)),
        der.octet_string(private),
        *([der.tlv(0xA0, b"".join(attributes))] if attributes else []),
        *([der.tlv(0x81, b"\0" + public)] if public is not None else []),
    )


def read(octets):
    return read_private_key(armoured(octets, b"PRIVATE KEY"))


def raw(key):
    return der.octet_string(key.private_bytes_raw())


@pytest.mark.parametrize("oid", CURVES, ids=lambda oid: CURVES[oid].__name__)
@pytest.mark.parametrize("attributes", [(), (ATTRIBUTE,)], ids=["bare", "attributes"])
def test_the_public_key_beside_it(oid, attributes):
    key, other = (CURVES[oid].generate() for _ in range(2))
    public = key.public_key().public_bytes_raw()
    for more in ({}, {"version": 1, "public": public}):
        found = read(info(oid, raw(key), attributes=attributes, **more))
        assert spki_of(found.public_key()) == spki_of(key.public_key())
    for bad in (
        {"version": 1, "public": other.public_key().public_bytes_raw()},
        {"version": 1, "public": public[:-1]},
        {"version": 0, "public": public},
        {"version": 1},
        {"version": 2, "public": public},
    ):
        with pytest.raises(Refusal, match="bad-key"):
            read(info(oid, raw(key), attributes=attributes, **bad))
    with pytest.raises(Refusal, match="bad-key"):
        read(info(oid, der.octet_string(key.private_bytes_raw() + b"\0")))


def both(kind, seed, beside):
    return info(LATTICES[kind][0], der.sequence(der.octet_string(seed), der.octet_string(beside)))


@pytest.mark.parametrize("kind", LATTICES)
def test_seed_and_expanded_key(kind):
    oid, made = LATTICES[kind]
    key = made.generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    beside = expanded(kind, seed, public)
    assert read(both(kind, seed, beside)).public_key() == key.public_key()
    seeded = info(oid, der.tlv(0x80, seed))
    assert seeded == key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert read(seeded).public_key() == key.public_key()
    for at in (0, 40, len(beside) // 2, len(beside) - 1):
        altered = beside[:at] + bytes((beside[at] ^ 1,)) + beside[at + 1 :]
        with pytest.raises(Refusal, match="do not belong together"):
            read(both(kind, seed, altered))
    with pytest.raises(Refusal, match="do not belong together"):
        read(both(kind, made.generate().private_bytes_raw(), beside))
    with pytest.raises(Refusal, match="without its seed"):
        read(info(oid, der.octet_string(beside)))
    with pytest.raises(Refusal, match="another size"):
        read(info(oid, der.tlv(0x80, seed[:-1])))


@pytest.mark.parametrize("kind", LATTICES)
def test_the_judge_from_npm_expands_to_the_same(kind):
    """It refuses a seed and an expanded key that do not agree."""
    key = LATTICES[kind][1].generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    beside = expanded(kind, seed, public)
    assert judge().ask("public", key=both(kind, seed, beside))["octets"] == public
    with pytest.raises(Refused):
        judge().ask("public", key=both(kind, seed, beside[:-1] + bytes((beside[-1] ^ 1,))))


def test_a_sealed_file_is_the_library_s():
    key = ed25519.Ed25519PrivateKey.generate()
    pem = armoured(info(oids.ED25519, raw(key)), b"PRIVATE KEY")
    with pytest.raises(Refusal, match="bad-key"):
        read_private_key(pem, b"a pass phrase that is not needed")


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda octets: info(oids.ED448, octets)))
def test_garbage_is_refused_by_rule(octets):
    try:
        assert key_of(octets) is None or len(octets) > 57
    except Refusal as refusal:
        assert refusal.rule == "bad-key" or refusal.rule.startswith("der-")
    with pytest.raises(Refusal, match="bad-key"):
        read_private_key(
            b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(octets) + b"\n-----END PRIVATE KEY-----\n"
        )
