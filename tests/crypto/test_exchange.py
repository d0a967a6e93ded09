"""Two ends of a session agree, classically or in a hybrid; what an intruder sends instead is refused."""

from __future__ import annotations

import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from hypothesis import given
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Misuse, Refusal
from e2s.crypto import exchange, suites

P256 = "p256-hkdf-sha256-aes256gcm"
X25519 = "x25519-hkdf-sha256-aes256gcm"
HYBRIDS = [name for name, suite in suites.SESSIONS.items() if suite.kem]
#: Points of small order on Curve25519, and their like beyond the prime (RFC 7748, 6.1; NaCl's list).
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def refused(rule: str):
    return pytest.raises(Refusal, check=lambda refusal: refusal.rule == rule)


@pytest.mark.parametrize("suite", list(suites.SESSIONS))
def test_two_ends_agree(suite):
    with meter.measured() as spent:
        here = exchange.Ephemeral(suite, secrets.token_bytes)
        share, secret = exchange.respond(suite, here.share, secrets.token_bytes)
        assert here.secret(share) == secret
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
        with refused("bad-record"):
            cipher.open(*altered)


@pytest.mark.parametrize("name", list(suites.SESSIONS))
def test_shares_have_the_sizes_that_the_suite_says(name):
    suite = suites.SESSIONS[name]
    here = exchange.Ephemeral(name, secrets.token_bytes)
    share, _ = exchange.respond(name, here.share, secrets.token_bytes)
    assert (len(here.share), len(share)) == (suite.share_size, suite.answer_size)
    assert max(len(here.share), len(share)) <= suites.MAX_SHARE_BYTES
    for wrong in (b"", share[:-1], share + b"\0", bytes(suites.MAX_SHARE_BYTES + 1)):
        with refused("invalid-point"):
            exchange.Ephemeral(name, secrets.token_bytes).secret(wrong)
        with refused("invalid-point"):
            exchange.respond(name, here.share[:-1] if wrong == share[:-1] else wrong, secrets.token_bytes)


def test_a_classical_share_comes_from_the_callers_octets():
    for name in suites.SESSIONS:
        first, second = (exchange.Ephemeral(name, lambda n: b"\x07" * n) for _ in range(2))
        assert first.share == second.share


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrid_secret_needs_both_parts(name):
    """The secret is the encapsulation's, then the agreement's; either part altered gives another secret."""
    suite = suites.SESSIONS[name]
    assert suite.kem is not None
    here = exchange.Ephemeral(name, secrets.token_bytes)
    share, secret = exchange.respond(name, here.share, secrets.token_bytes)
    assert len(secret) == 32 + (32 if suite.curve is None else 48)
    altered = bytes((share[0] ^ 1,)) + share[1:]
    other = here.secret(altered)
    # implicit rejection (FIPS 203, 6.3): another secret, no refusal; the agreement's part is the same
    assert other[:32] != secret[:32]
    assert other[32:] == secret[32:]


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrid_secret_is_recomputed_from_its_parts(name):
    """With the seed known, the encapsulated part is what the library decapsulates by itself."""
    suite = suites.SESSIONS[name]
    assert suite.kem is not None
    here = exchange.Ephemeral(name, lambda n: b"\x05" * n)
    private = suite.kem.private.from_seed_bytes(b"\x05" * 64)
    assert isinstance(private, mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey)
    assert here.share.startswith(private.public_key().public_bytes_raw())
    share, secret = exchange.respond(name, here.share, secrets.token_bytes)
    assert private.decapsulate(share[: suite.kem.ciphertext_size]) == secret[:32]


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrid_encapsulation_key_out_of_range(name):
    """FIPS 203, 7.2: a key whose coefficients are not reduced is none."""
    suite = suites.SESSIONS[name]
    assert suite.kem is not None
    here = exchange.Ephemeral(name, secrets.token_bytes)
    forged = b"\xff" * 384 + here.share[384:]
    with refused("invalid-point"):
        exchange.respond(name, forged, secrets.token_bytes)


def test_an_ephemeral_works_once():
    here = exchange.Ephemeral(P256, secrets.token_bytes)
    share, _ = exchange.respond(P256, here.share, secrets.token_bytes)
    here.secret(share)
    with pytest.raises(Misuse, match="ephemeral-used"):
        here.secret(share)


def test_invalid_point():
    for wrong in (
        b"",
        b"\x00",
        b"\x04" + bytes(64),
        b"\x02" + bytes(32),
        b"\x04" + b"\xff" * 64,
        b"\x02" + bytes(64),
    ):
        with refused("invalid-point"):
            exchange.Ephemeral(P256, secrets.token_bytes).secret(wrong)
        with refused("invalid-point"):
            exchange.respond(P256, wrong, secrets.token_bytes)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_point_of_small_order(point):
    """It would give the same secret to everybody."""
    with refused("invalid-point"):
        exchange.Ephemeral(X25519, secrets.token_bytes).secret(point)
    with refused("invalid-point"):
        exchange.respond(X25519, point, secrets.token_bytes)
    (hybrid,) = (name for name in HYBRIDS if name.startswith("x25519"))
    here = exchange.Ephemeral(hybrid, secrets.token_bytes)
    share, _ = exchange.respond(hybrid, here.share, secrets.token_bytes)
    with refused("invalid-point"):
        exchange.respond(hybrid, here.share[:-32] + point, secrets.token_bytes)
    with refused("invalid-point"):
        here.secret(share[:-32] + point)


@pytest.mark.parametrize("suite", [name for name, one in suites.SESSIONS.items() if not one.kem])
def test_reflected_share(suite):
    here = exchange.Ephemeral(suite, secrets.token_bytes)
    with refused("invalid-point"):
        here.secret(here.share)


def test_unknown_session_suites():
    for wrong in (
        lambda: exchange.Ephemeral("p521", secrets.token_bytes),
        lambda: exchange.respond("p521", b"", secrets.token_bytes),
        lambda: exchange.Schedule("", b"", b""),
        lambda: exchange.Cipher("x", bytes(32)),
        lambda: exchange.Cipher(P256, bytes(16)),
    ):
        with pytest.raises(Misuse):
            wrong()


def test_key_derivation_is_the_standards():
    """RFC 5869, A.1."""
    schedule = exchange.Schedule(P256, b"\x0b" * 22, bytes(range(13)))
    okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert schedule.derive(bytes(range(0xF0, 0xFA)), 42).hex() == okm


@given(st.sampled_from(list(suites.SESSIONS)), st.binary(max_size=120))
def test_garbage_is_no_share(name, octets):
    if len(octets) == 32:
        return  # nearly every one is a point of X25519
    with refused("invalid-point"):
        exchange.respond(name, octets, secrets.token_bytes)
