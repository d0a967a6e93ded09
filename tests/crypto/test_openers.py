"""Keys that reach secrets: made from the caller's octets, used only for what they are, silent about failure."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, padding, x448, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import openers, suites
from tests.worlds.crypto import new_party, party

RSA = party("rsa")
RSA_KEY: Any = RSA.certificate.public_key
CURVES = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_ephemerals_reach_both_ends_of_the_range(curve):
    """No octets give 0 or the order: the least and the greatest private number are there."""
    least = openers.ephemeral(curve, bytes)
    assert least.private_numbers().private_value == 1
    order = openers._ORDERS[curve.name]
    greatest = ec.derive_private_key(order - 1, curve).public_key().public_numbers()
    assert greatest.x == least.public_key().public_numbers().x
    assert greatest.y != least.public_key().public_numbers().y


@pytest.mark.parametrize("name", [name for name in suites.SEALINGS if not name.startswith("rsa")])
def test_keys_come_from_the_callers_octets(name):
    suite = suites.sealing_suite(name)
    first, second = (openers.key_for(suite, lambda size: b"\x07" * size) for _ in range(2))
    assert first.public_key() == second.public_key()
    assert suites.sealing_suite_of(first) is suite
    assert openers.key_for(suite, secrets.token_bytes).public_key() != first.public_key()


def test_no_rsa_key_for_one_message():
    with pytest.raises(Misuse, match="suite-unknown"):
        openers.key_for(suites.sealing_suite("rsa-oaep-aes256gcm"), secrets.token_bytes)


@pytest.mark.parametrize("key", [x25519.X25519PrivateKey, x448.X448PrivateKey])
def test_agreement_is_of_both(key):
    one, other = new_party("one", key.generate()), new_party("other", key.generate())
    with meter.measured() as spent:
        assert one.opener.agree(other.certificate.spki) == other.opener.agree(one.certificate.spki)
    assert spent == {"agree": 2}


def test_agreement_with_another_kind():
    keys: list[Any] = [x25519.X25519PrivateKey.generate(), x448.X448PrivateKey.generate()]
    keys += map(ec.generate_private_key, CURVES)
    parties = [new_party("one", key) for key in keys]
    for one in parties:
        for other in parties:
            if other is not one:
                with pytest.raises(Refusal, match="wrong-key"):
                    one.opener.agree(other.certificate.spki)
        for octets in (b"", b"\x30\x00", one.certificate.spki[:-1], party("rsa").certificate.spki[:40]):
            with pytest.raises(Refusal, match="invalid-point"):
                one.opener.agree(octets)
        with pytest.raises(Refusal, match="wrong-key"):
            one.opener.agree(RSA.certificate.spki)


def test_keys_do_only_what_they_are_for():
    kem, agreement = new_party("kem", mlkem.MLKEM768PrivateKey.generate()).opener, party("p256").opener
    for use in (
        lambda: kem.agree(party("p256").certificate.spki),
        lambda: kem.unwrap(bytes(384)),
        lambda: kem.unwrap_old(bytes(384), 32),
        lambda: agreement.decapsulate(bytes(1088)),
        lambda: agreement.unwrap(bytes(384)),
        lambda: agreement.unwrap_old(bytes(384), 32),
        lambda: RSA.opener.agree(party("p256").certificate.spki),
        lambda: RSA.opener.decapsulate(bytes(1088)),
    ):
        with pytest.raises(Refusal, match="wrong-key"):
            use()


@pytest.mark.parametrize("key", [mlkem.MLKEM768PrivateKey, mlkem.MLKEM1024PrivateKey])
def test_decapsulation(key):
    one = new_party("kem", key.generate())
    public: Any = one.certificate.public_key
    secret, ciphertext = public.encapsulate()
    assert one.opener.decapsulate(ciphertext) == secret
    altered = bytes((ciphertext[0] ^ 1,)) + ciphertext[1:]
    # implicit rejection: a secret all the same, the same one each time
    assert one.opener.decapsulate(altered) == one.opener.decapsulate(altered) != secret
    for wrong in (b"", ciphertext[1:], ciphertext + b"\0"):
        with pytest.raises(Refusal, match="bad-envelope"):
            one.opener.decapsulate(wrong)


@pytest.mark.parametrize("digest", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("label", [b"", b"abc"])
def test_oaep(digest, label):
    transport = suites.Transport(digest, "sha256", label)
    wrapped = RSA_KEY.encrypt(b"k" * 32, openers.oaep_of(transport))
    assert RSA.opener.unwrap(wrapped, transport) == b"k" * 32
    with pytest.raises(Refusal, match="bad-envelope"):
        RSA.opener.unwrap(wrapped, suites.Transport(digest, "sha384", label))


@given(octets=st.binary(max_size=400), size=st.sampled_from([16, 24, 32]))
@settings(max_examples=30)
def test_old_transport_always_gives_a_key(octets, size):
    found = RSA.opener.unwrap_old(octets, size)
    assert len(found) == size
    assert RSA.opener.unwrap_old(octets, size) == found
    assert RSA.opener.unwrap_old(octets + b"\0", size) != found


def test_what_stands_in_is_the_holders_secret():
    """Another holder's key has another stand-in; and it is none that the sender chose."""
    numbers = RSA_KEY.public_numbers()
    conforming = pow(int.from_bytes(b"\x00\x02" + b"\xaa" * 350 + b"\x00" + b"m" * 31), numbers.e, numbers.n)
    octets = conforming.to_bytes(384)
    found = RSA.opener.unwrap_old(octets, 32)
    assert b"mm" not in found
    assert party("rsa", "other").opener.unwrap_old(octets, 32) != found
    good = RSA_KEY.encrypt(b"m" * 32, padding.PKCS1v15())
    assert RSA.opener.unwrap_old(good, 32) == b"m" * 32


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        suites.PKCS1_ALGORITHM,
        suites.OAEP_ALGORITHM + b"\0",
        suites.OAEP_ALGORITHM[:-2],
    ],
)
def test_transports_that_are_none(octets):
    with pytest.raises(Refusal, match="suite-unknown"):
        suites.foreign_transport(octets)


@given(place=st.integers(0, 200), change=st.integers(1, 255))
def test_altered_transports(place, change):
    octets = bytearray(suites.OAEP_ALGORITHM)
    octets[place % len(octets)] ^= change
    try:
        found = suites.foreign_transport(bytes(octets))
    except Refusal as refusal:
        assert refusal.rule == "suite-unknown"
    else:
        assert found != suites.OAEP
