"""The ground of the targets: test worlds whose keys are the same in each run, so that a saved input replays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, mlkem, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from e2s.base import wire
from e2s.base.errors import Refusal
from e2s.commerce.evidence import write_bundle
from e2s.crypto import cms, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import KeySigner
from e2s.crypto.kinds import PrivateKey
from e2s.crypto.openers import KeyOpener
from tests.network.settings import Randomness
from tests.worlds.pki import START, Pki, make_pki
from tests.worlds.trade import Play, make_cast

MERCHANT = "urn:e2s:market:volt"
CONTENT = b'{"type":"e2s/1/sample","words":"what was signed"}'


@contextmanager
def the_same(name: str) -> Iterator[Randomness]:
    """Inside, the worlds' randomness is the one that belongs to ``name``."""
    random = Randomness(f"e2s fuzz {name}".encode())
    before = secrets.token_bytes
    secrets.token_bytes = lambda size=32: random(size or 32)  # type: ignore[assignment]
    try:
        yield random
    finally:
        secrets.token_bytes = before


@cache
def pki() -> Pki:
    with the_same("pki"):
        return make_pki()


@dataclass(frozen=True)
class ModulusOpener:
    """Opens for an RSA certificate whose modulus has no known factors: it knows the one content key."""

    certificate: Certificate

    def agree(self, _peer_spki: bytes) -> bytes:
        raise Refusal("wrong-key", "the key is not for key agreement")

    def decapsulate(self, _ciphertext: bytes) -> bytes:
        raise Refusal("wrong-key", "the key is not for encapsulation")

    def unwrap(self, _wrapped: bytes, *_how: object) -> bytes:
        return bytes(32)

    def unwrap_old(self, _wrapped: bytes, size: int) -> bytes:
        return bytes(size)


def _elliptic(curve: ec.EllipticCurve, name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(_octets(name, curve.key_size // 8), "big"), curve)


def _octets(name: str, size: int) -> bytes:
    return Randomness(name.encode())(size)


@cache
def signers() -> tuple[KeySigner, ...]:
    """One signer for each kind of key that can be made from octets."""
    keys: list[PrivateKey] = [
        _elliptic(ec.SECP256R1(), "signer p256"),
        _elliptic(ec.SECP384R1(), "signer p384"),
        _elliptic(ec.SECP521R1(), "signer p521"),
        ed25519.Ed25519PrivateKey.from_private_bytes(_octets("signer ed25519", 32)),
        ed448.Ed448PrivateKey.from_private_bytes(_octets("signer ed448", 57)),
        mldsa.MLDSA44PrivateKey.from_seed_bytes(_octets("signer ml-dsa-44", 32)),
    ]
    with the_same("signers"):
        return tuple(
            pki().signer("merchant", f"urn:e2s:market:s{n}", private_key=key) for n, key in enumerate(keys)
        )


@cache
def openers() -> tuple[Any, ...]:
    """One opener for each kind of key; the last is RSA's."""
    keys: list[PrivateKey] = [
        _elliptic(ec.SECP256R1(), "opener p256"),
        _elliptic(ec.SECP384R1(), "opener p384"),
        _elliptic(ec.SECP521R1(), "opener p521"),
        x25519.X25519PrivateKey.from_private_bytes(_octets("opener x25519", 32)),
        x448.X448PrivateKey.from_private_bytes(_octets("opener x448", 56)),
        mlkem.MLKEM768PrivateKey.from_seed_bytes(_octets("opener ml-kem-768", 64)),
        mlkem.MLKEM1024PrivateKey.from_seed_bytes(_octets("opener ml-kem-1024", 64)),
    ]
    made: list[Any] = [KeyOpener(_certified(n, key.public_key()), key) for n, key in enumerate(keys, 1)]
    # a modulus that nobody has factored, since RSA keys do not come from given octets
    modulus = int.from_bytes(_octets("modulus", 384), "big") | 1 << 3071 | 1
    return (*made, ModulusOpener(_certified(9, rsa.RSAPublicNumbers(65537, modulus).public_key())))


def _certified(serial: int, key: Any) -> Certificate:
    """A certificate for ``key`` by an issuer of its own, named the same in each run."""
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer of recipients")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"recipient {serial}")]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=365))
        .add_extension(x509.SubjectKeyIdentifier(bytes((serial,)) * 20), critical=False)
    )
    signed = builder.sign(_elliptic(ec.SECP256R1(), "issuer of recipients"), hashes.SHA256())
    return Certificate.read(signed.public_bytes(Encoding.DER))


def zeros(size: int) -> bytes:
    """Randomness whose content key every opener of these targets can find."""
    return bytes(size)


@cache
def play() -> Play:
    """A whole trade of the test world."""
    with the_same("trade"):
        return Play(cast=make_cast(pki=pki())).whole()


@cache
def bundles() -> tuple[bytes, ...]:
    """The bundles of the four parties."""
    return tuple(write_bundle(play().record(role)) for role in ("buyer", "merchant", "gateway", "issuer"))


@cache
def acts() -> dict[str, bytes]:
    """Every act of a trade by its name, and those of trades that end otherwise."""
    with the_same("other trades"):
        made = dict(play().acts)
        undone = Play(cast=play().cast).contract().order().authorise().reverse()
        made |= {f"undone-{name}": octets for name, octets in undone.acts.items()}
        asked = Play(cast=play().cast).contract().order().authorise().inquire("held")
        return {f"asked-{name}": octets for name, octets in asked.acts.items()} | made


def signed(content: bytes = CONTENT) -> list[bytes]:
    """``content`` signed by every kind of key."""
    return [cms.sign(content, oids.DATA, signer, START) for signer in signers()]


def document(octets: bytes) -> wire.Document:
    return wire.decode(octets, 4 * 1024 * 1024)
