"""Suites: chosen by name and place; keys behind their ports; sessions agreed by name."""

from __future__ import annotations

import secrets
from typing import Any

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

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import exchange, keys, openers, suites
from tests.worlds.crypto import KINDS, party

POLICY = {
    "session": {
        "*": ("p384-hkdf-sha384-aes256gcm", "p256-hkdf-sha256-aes256gcm"),
        "XA": ("p256-hkdf-sha256-aes256gcm",),
        "XB": ("p384-hkdf-sha384-aes256gcm",),
    }
}


def test_a_suite_is_permitted_at_both_ends():
    both = POLICY["session"]["*"]
    assert suites.permitted("session", "DE", "FR", POLICY) == both
    assert suites.permitted("session", "XA", "FR", POLICY) == both[1:]
    assert suites.permitted("session", "FR", "XA", POLICY) == both[1:]
    assert suites.permitted("session", "XA", "XB", POLICY) == ()
    suites.check("session", both[1], "XA", "DE", POLICY)
    for name, there in ((both[0], "XA"), ("none", "DE"), ("p256-sha256", "DE")):
        with pytest.raises(Refusal, match="suite-not-permitted"):
            suites.check("session", name, there, "DE", POLICY)


def test_the_table_names_known_suites_only():
    known: dict[suites.Kind, Any] = {
        "signature": suites.SIGNATURES,
        "sealing": suites.SEALINGS,
        "session": suites.SESSIONS,
    }
    for kind, all_names in known.items():
        rows = suites.POLICY[kind]
        for names in rows.values():
            assert set(names) <= set(all_names)
            assert len(set(names)) == len(names) > 0
        assert suites.permitted(kind, "DE", "FR") == rows["*"]


def test_the_strongest_common_suite_wins():
    assert suites.strongest_common(("a", "b"), ("b", "a")) == "a"
    with pytest.raises(Refusal, match="suite-not-permitted"):
        suites.strongest_common(("a",), ("b",))


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


@pytest.mark.parametrize("suite", list(suites.SESSIONS))
def test_two_ends_agree(suite):
    with meter.measured() as spent:
        here, there = (exchange.Ephemeral(suite, secrets.token_bytes) for _ in range(2))
        secret = here.secret(there.share)
        assert secret == there.secret(here.share)
        assert len(secret) == (len(here.share) - 1) // 2
        key = exchange.Schedule(suite, secret, b"transcript").derive(b"label", 32)
    assert spent == {"agree": 2, "derive": 1}
    assert exchange.Schedule(suite, secret, b"transcript").derive(b"other", 32) != key
    cipher = exchange.Cipher(suite, key)
    sealed = cipher.seal(bytes(12), b"a record", b"header")
    assert cipher.open(bytes(12), sealed, b"header") == b"a record"
    for altered in (
        (bytes(11) + b"1", sealed, b"header"),
        (bytes(12), sealed, b"Header"),
        (bytes(12), b"", b"header"),
    ):
        with pytest.raises(Refusal, match="bad-record"):
            cipher.open(*altered)


def test_an_ephemeral_works_once():
    here = exchange.Ephemeral("p256-hkdf-sha256-aes256gcm", secrets.token_bytes)
    there = exchange.Ephemeral("p256-hkdf-sha256-aes256gcm", secrets.token_bytes)
    here.secret(there.share)
    with pytest.raises(Misuse, match="ephemeral-used"):
        here.secret(there.share)


def test_invalid_point():
    for wrong in (b"", b"\x00", b"\x04" + bytes(64), b"\x02" + bytes(32), b"\x04" + b"\xff" * 64, None):
        here = exchange.Ephemeral("p256-hkdf-sha256-aes256gcm", secrets.token_bytes)
        with pytest.raises(Refusal, match="invalid-point"):
            here.secret(here.share if wrong is None else wrong)


def test_unknown_session_suites():
    for wrong in (
        lambda: exchange.Ephemeral("p521", secrets.token_bytes),
        lambda: exchange.Schedule("", b"", b""),
        lambda: exchange.Cipher("x", bytes(32)),
        lambda: exchange.Cipher("p256-hkdf-sha256-aes256gcm", bytes(16)),
    ):
        with pytest.raises(Misuse):
            wrong()


def test_key_derivation_is_the_standards():
    """RFC 5869, A.1."""
    schedule = exchange.Schedule("p256-hkdf-sha256-aes256gcm", b"\x0b" * 22, bytes(range(13)))
    okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert schedule.derive(bytes(range(0xF0, 0xFA)), 42).hex() == okm
