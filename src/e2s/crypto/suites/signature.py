"""How a key signs: one suite for each key, and the foreign forms that may be verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of
from e2s.crypto.suites.identifiers import NULL, SHA256, SHA384, algorithm

MIN_RSA_BITS: Final = 3072
MAX_RSA_BITS: Final = 8192


@dataclass(frozen=True, eq=False)
class SignatureSuite:
    """A digest and the signature over it, with their AlgorithmIdentifiers as they are written."""

    name: str
    digest: Callable[[bytes], Any]
    digest_size: int
    digest_algorithm: bytes
    signature_algorithm: bytes
    scheme: tuple[Any, ...]

    def sign(self, key: Any, data: bytes) -> bytes:
        """The signature of ``key`` over ``data``."""
        signature: bytes = key.sign(data, *self.scheme)
        return signature

    def verified(self, key: Any, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` is that of ``key``."""
        try:
            key.verify(signature, data, *self.scheme)
        except InvalidSignature:
            return False
        return True


SIGNATURES: Final[Mapping[str, SignatureSuite]] = {
    suite.name: suite
    for suite in (
        SignatureSuite(
            "p384-sha384",
            hashlib.sha384,
            48,
            SHA384,
            algorithm(oids.ECDSA_SHA384),
            (ec.ECDSA(hashes.SHA384()),),
        ),
        SignatureSuite(
            "p256-sha256",
            hashlib.sha256,
            32,
            SHA256,
            algorithm(oids.ECDSA_SHA256),
            (ec.ECDSA(hashes.SHA256()),),
        ),
        SignatureSuite(
            "rsa3072-sha256",
            hashlib.sha256,
            32,
            SHA256,
            algorithm(oids.RSA_SHA256, NULL),
            (padding.PKCS1v15(), hashes.SHA256()),
        ),
    )
}

_BY_CURVE: Final = {"secp256r1": SIGNATURES["p256-sha256"], "secp384r1": SIGNATURES["p384-sha384"]}

# What may be verified, by algorithm identifiers, in messages of others (RFC 5754, 3; RFC 5758, 3.2):
# digest and signature must still agree with each other; in E2S's own acts only the key's suite may occur.
_FOREIGN_HASHES: Final = (
    (oids.SHA256, hashlib.sha256, hashes.SHA256(), oids.ECDSA_SHA256, oids.RSA_SHA256),
    (oids.SHA384, hashlib.sha384, hashes.SHA384(), oids.ECDSA_SHA384, oids.RSA_SHA384),
    (oids.SHA512, hashlib.sha512, hashes.SHA512(), oids.ECDSA_SHA512, oids.RSA_SHA512),
)


def _foreign() -> dict[tuple[bytes, bytes], tuple[type, SignatureSuite]]:
    """Every acceptable pair of digest and signature AlgorithmIdentifier, with its key kind."""
    table: dict[tuple[bytes, bytes], tuple[type, SignatureSuite]] = {}
    for oid, digest, hashing, ecdsa, rsa_oid in _FOREIGN_HASHES:
        for digest_algorithm in (algorithm(oid), algorithm(oid, NULL)):
            for kind, signature, scheme in (
                (ec.EllipticCurvePublicKey, algorithm(ecdsa), (ec.ECDSA(hashing),)),
                (rsa.RSAPublicKey, algorithm(rsa_oid, NULL), (padding.PKCS1v15(), hashing)),
                (rsa.RSAPublicKey, algorithm(oids.RSA, NULL), (padding.PKCS1v15(), hashing)),
            ):
                size = hashing.digest_size
                suite = SignatureSuite("foreign", digest, size, digest_algorithm, signature, scheme)
                table[digest_algorithm, signature] = (kind, suite)
    return table


_FOREIGN: Final = _foreign()


def signature_suite_of(key: PublicKey | PrivateKey) -> SignatureSuite:
    """The one signature suite of ``key``; raises :class:`Refusal` ``suite-unknown``."""
    kind = kind_of(key.__class__)
    found = None
    if kind == "ec":
        found = _BY_CURVE.get(key.curve.name)  # type: ignore[union-attr]  # the kind says so
    elif kind == "rsa" and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:  # type: ignore[union-attr]
        found = SIGNATURES["rsa3072-sha256"]
    if found is None:
        raise Refusal("suite-unknown", "no suite signs with a key of this kind or size")
    return found


def foreign_suite(key: PublicKey, digest_algorithm: bytes, signature_algorithm: bytes) -> SignatureSuite:
    """How to verify another's message; raises :class:`Refusal` ``suite-unknown``."""
    signature_suite_of(key)
    found = _FOREIGN.get((digest_algorithm, signature_algorithm))
    if found is None or not isinstance(key, found[0]):
        raise Refusal("suite-unknown", "the message's algorithms are not accepted, or not for this key")
    return found[1]


@lru_cache(maxsize=64)
def protection_of(digest_algorithm: bytes, signature_algorithm: bytes) -> bytes:
    """CMSAlgorithmProtection (RFC 6211, 2): both AlgorithmIdentifiers again, the signature's tagged [1]."""
    return der.sequence(digest_algorithm, b"\xa1" + signature_algorithm[1:])


def signature_suite(name: str) -> SignatureSuite:
    """The signature suite called ``name``; raises :class:`Misuse` ``suite-unknown``."""
    if name not in SIGNATURES:
        raise Misuse("suite-unknown", "no such signature suite", suite=name)
    return SIGNATURES[name]
