"""Suites: chosen by name; keys behind their ports."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import keys, openers, suites
from tests.worlds.crypto import KINDS, party


def test_a_key_has_its_suites():
    names = [("p256-sha256", "ecdh-p256-aes256gcm"), ("p384-sha384", "ecdh-p384-aes256gcm")]
    names.append(("rsa3072-pss-sha256", "rsa-oaep-aes256gcm"))
    for kind, (signature, sealing) in zip(KINDS, names, strict=True):
        for key in (party(kind).key, party(kind).certificate.public_key):
            assert suites.signature_suite_of(key).name == signature
            assert suites.sealing_suite_of(key).name == sealing
        assert suites.signature_suite(signature).name == signature
    with pytest.raises(Misuse):
        suites.signature_suite("md5")


def test_weak_or_unknown_keys():
    for key in (ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 2048)):
        for of in (suites.signature_suite_of, suites.sealing_suite_of):
            with pytest.raises(Refusal, match="suite-unknown"):
                of(key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_its_certificates(kind):
    one, other = party(kind), party("p256", "other")
    for wrong in (
        lambda: keys.KeySigner(one.certificate, (), other.key),
        lambda: openers.KeyOpener(one.certificate, other.key),
    ):
        with pytest.raises(Misuse, match="wrong-key"):
            wrong()


def test_an_opener_does_what_its_key_can():
    with pytest.raises(Refusal, match="wrong-key"):
        party("p256").opener.unwrap(bytes(384))
    with pytest.raises(Refusal, match="wrong-key"):
        party("rsa").opener.agree(party("p256").certificate.spki)
    with pytest.raises(Refusal, match="wrong-key"):
        party("p256").opener.agree(party("p384").certificate.spki)
    spki = party("p256").certificate.spki
    with pytest.raises(Refusal, match="invalid-point"):
        party("p256").opener.agree(spki[:-1] + bytes((spki[-1] ^ 1,)))
    with pytest.raises(Refusal, match="bad-envelope"):
        party("rsa").opener.unwrap(bytes(384))


def pem(key, phrase: bytes | None = None) -> bytes:
    how = BestAvailableEncryption(phrase) if phrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def test_key_files():
    key = party("p256").key
    assert pem(keys.read_private_key(pem(key))) == pem(key)
    locked = pem(key, b"open sesame")
    assert pem(keys.read_private_key(locked, b"open sesame")) == pem(key)
    for octets, phrase in (
        (locked, None),
        (locked, b"wrong"),
        (b"", None),
        (bytes(70_000), None),
        (pem(key), b"x"),
    ):
        with pytest.raises(Refusal, match="bad-key") as caught:
            keys.read_private_key(octets, phrase)
        assert "sesame" not in str(caught.value)
    for other in (ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 2048)):
        with pytest.raises(Refusal, match="suite-unknown"):
            keys.read_private_key(pem(other))
    for used in (ed25519.Ed25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()):
        assert pem(keys.read_private_key(pem(used))) == pem(used)


@given(st.binary(max_size=200))
def test_key_files_refuse_garbage(octets):
    with pytest.raises(Refusal):
        keys.read_private_key(octets)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_ephemerals_come_from_the_callers_octets(curve):
    first, second = (openers.ephemeral(curve, lambda n: b"\x07" * n) for _ in range(2))
    assert first.private_numbers() == second.private_numbers()
    edge = openers.ephemeral(curve, bytes)
    assert edge.private_numbers().private_value == 1
    order = openers._ORDERS[curve.name]
    assert ec.derive_private_key(order - 1, curve).public_key().public_numbers().x == (
        edge.public_key().public_numbers().x
    )
