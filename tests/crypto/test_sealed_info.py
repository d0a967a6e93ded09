"""Keys sealed under a pass phrase: what the library and OpenSSL seal is opened, and what it seals nobody forces."""

from __future__ import annotations

import subprocess

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from e2s.base import meter
from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.expansion import expanded
from e2s.crypto.keys import read_private_key
from e2s.crypto.pem import armoured
from e2s.crypto.sealed_info import MAX_ITERATIONS, opened
from e2s.crypto.suites.identifiers import NULL, algorithm
from tests.crypto.test_private_info import both

PHRASE = b"correct horse"
SALT, START = b"saltsalt", bytes(range(16))


def sealed(
    info, *, iterations=1000, prf=oids.HMAC_SHA256, cipher=oids.AES256_CBC, size=(), scheme=oids.PBES2
):
    """As OpenSSL 3.5 seals: PBKDF2 by HMAC with SHA-256, AES-256 in CBC."""
    key = PBKDF2HMAC(hashes.SHA256(), 32, SALT, min(iterations, 1000) or 1).derive(PHRASE)
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(START)).encryptor()
    octets = encryptor.update(padder.update(info) + padder.finalize()) + encryptor.finalize()
    parameters = der.sequence(
        der.octet_string(SALT), der.integer(iterations), *map(der.integer, size), algorithm(prf, NULL)
    )
    means = der.sequence(algorithm(oids.PBKDF2, parameters), algorithm(cipher, der.octet_string(START)))
    return der.sequence(algorithm(scheme, means), der.octet_string(octets))


def test_what_the_library_seals():
    key = ed25519.Ed25519PrivateKey.generate()
    info = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    found = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PHRASE))
    with meter.measured() as spent:
        assert opened(found, PHRASE) == info
    assert spent["stretch"] == 1
    with pytest.raises(Refusal, match="bad-key"):
        opened(found, b"another")


@pytest.mark.tool
@pytest.mark.parametrize(
    "words",
    [
        ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"),
        ("-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"),
        ("-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512"),
        ("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "8", "-scrypt_p", "1"),
    ],
)
def test_what_openssl_seals(words):
    key = ed25519.Ed25519PrivateKey.generate()
    info = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    done = subprocess.run(
        [
            "openssl",
            "pkcs8",
            "-topk8",
            "-inform",
            "DER",
            "-outform",
            "DER",
            *words,
            "-passout",
            "pass:correct horse",
        ],
        input=info,
        capture_output=True,
        check=True,
    )
    assert opened(done.stdout, PHRASE) == info


def test_seed_and_expanded_key_sealed():
    key = mldsa.MLDSA65PrivateKey.generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    beside = expanded("ml-dsa-65", seed, public)
    pem = armoured(sealed(both("ml-dsa-65", seed, beside)), b"ENCRYPTED PRIVATE KEY")
    assert read_private_key(pem, PHRASE).public_key() == key.public_key()
    with pytest.raises(Refusal, match="bad-key"):
        read_private_key(pem, b"another")
    with pytest.raises(Refusal, match="needs a pass phrase"):
        read_private_key(pem)
    wrong = both("ml-dsa-65", seed, beside[:-1] + bytes((beside[-1] ^ 1,)))
    with pytest.raises(Refusal, match="do not belong together"):
        read_private_key(armoured(sealed(wrong), b"ENCRYPTED PRIVATE KEY"), PHRASE)


@pytest.mark.parametrize(
    "more",
    [
        {"iterations": MAX_ITERATIONS + 1},
        {"iterations": 0},
        {"prf": "1.2.840.113549.2.8"},
        {"cipher": "1.2.840.113549.3.7"},
        {"size": (16,)},
        {"scheme": "1.2.840.113549.1.5.10"},
    ],
)
def test_what_is_sealed_otherwise_is_refused(more):
    with meter.measured() as spent, pytest.raises(Refusal, match="bad-key"):
        opened(sealed(b"info", **more), PHRASE)
    assert not spent["stretch"]


@pytest.mark.parametrize(
    ("n", "r", "p"), [(1 << 20, 8, 1), (1000, 8, 1), (1024, 0, 1), (1024, 8, 17), (0, 8, 1)]
)
def test_scrypt_beyond_reason(n, r, p):
    parameters = der.sequence(der.octet_string(SALT), *map(der.integer, (n, r, p)))
    cipher = algorithm(oids.AES256_CBC, der.octet_string(START))
    means = der.sequence(algorithm(oids.SCRYPT, parameters), cipher)
    octets = der.sequence(algorithm(oids.PBES2, means), der.octet_string(bytes(32)))
    with meter.measured() as spent, pytest.raises(Refusal, match="beyond reason"):
        opened(octets, PHRASE)
    assert not spent["stretch"]


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.tuples(st.integers(0, 200), st.integers(0, 255)))
def test_garbage_is_refused_by_rule(given_):
    octets = bytearray(sealed(b"info", iterations=2))
    if isinstance(given_, bytes):
        octets = bytearray(given_)
    else:
        at, value = given_
        octets[at % len(octets)] = value
    try:
        opened(bytes(octets), PHRASE)
    except Refusal as refusal:
        assert refusal.rule == "bad-key" or refusal.rule.startswith("der-")
