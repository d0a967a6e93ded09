"""Algorithms are chosen by name; authentication apart from confidentiality; each permitted by place.

A suite must be permitted at the locations of both ends (6.3.3).  Nothing outside this floor names an
algorithm: a key has one signature suite and one sealing suite, and a session suite is agreed by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from e2s.base.errors import Misuse, Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import PublicKey

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Kind: TypeAlias = Literal["signature", "sealing", "session"]

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

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        """The signature of ``key`` over ``data``."""
        return key.sign(data, *self.scheme)

    def verified(self, key: PublicKey, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` is that of ``key``."""
        try:
            key.verify(signature, data, *self.scheme)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, eq=False)
class SealingSuite:
    """How a content key reaches one recipient, by agreement on a curve or by RSA-OAEP."""

    name: str
    curve: ec.EllipticCurve | None = None
    agreement_algorithm: bytes = b""
    kdf: Callable[[bytes], Any] = hashlib.sha256


@dataclass(frozen=True, eq=False)
class SessionSuite:
    """Ephemeral agreement, key derivation and record protection of a session."""

    name: str
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    share_size: int


def _algorithm(oid: str, *parameters: bytes) -> bytes:
    return der.sequence(der.oid(oid), *parameters)


_NULL: Final = der.tlv(der.NULL, b"")
_SHA256: Final = _algorithm(oids.SHA256)
_SHA384: Final = _algorithm(oids.SHA384)
#: SHA-256 as written (parameters absent) and as also read (RFC 5754, 2).
SHA256_ALGORITHMS: Final = (_SHA256, _algorithm(oids.SHA256, _NULL))


def _oaep(sha256: bytes) -> bytes:
    parameters = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, _algorithm(oids.MGF1, sha256)))
    return _algorithm(oids.RSA_OAEP, parameters)


#: AES-256 key wrap (RFC 3565, 2.3.2: parameters absent).
WRAP_ALGORITHM: Final = _algorithm(oids.AES256_WRAP)
#: RSA-OAEP with SHA-256 throughout (RFC 4055, 4.1); a reader accepts SHA-256 without NULL too (2.1).
OAEP_ALGORITHM: Final = _oaep(_algorithm(oids.SHA256, _NULL))
OAEP_ALGORITHMS: Final = frozenset((OAEP_ALGORITHM, _oaep(_SHA256)))
#: Key derivations that a peer's envelope may use when older forms are allowed (RFC 5753, 7.1.4).
AGREEMENTS: Final = {
    _algorithm(oid, WRAP_ALGORITHM): kdf
    for oid, kdf in (
        (oids.STD_DH_SHA1, hashlib.sha1),
        (oids.STD_DH_SHA256, hashlib.sha256),
        (oids.STD_DH_SHA384, hashlib.sha384),
        (oids.STD_DH_SHA512, hashlib.sha512),
    )
}

SIGNATURES: Final[Mapping[str, SignatureSuite]] = {
    suite.name: suite
    for suite in (
        SignatureSuite(
            "p384-sha384",
            hashlib.sha384,
            48,
            _SHA384,
            _algorithm(oids.ECDSA_SHA384),
            (ec.ECDSA(hashes.SHA384()),),
        ),
        SignatureSuite(
            "p256-sha256",
            hashlib.sha256,
            32,
            _SHA256,
            _algorithm(oids.ECDSA_SHA256),
            (ec.ECDSA(hashes.SHA256()),),
        ),
        SignatureSuite(
            "rsa3072-sha256",
            hashlib.sha256,
            32,
            _SHA256,
            _algorithm(oids.RSA_SHA256, _NULL),
            (padding.PKCS1v15(), hashes.SHA256()),
        ),
    )
}

SEALINGS: Final[Mapping[str, SealingSuite]] = {
    suite.name: suite
    for suite in (
        SealingSuite(
            "ecdh-p384-aes256gcm",
            ec.SECP384R1(),
            _algorithm(oids.STD_DH_SHA384, WRAP_ALGORITHM),
            hashlib.sha384,
        ),
        SealingSuite(
            "ecdh-p256-aes256gcm",
            ec.SECP256R1(),
            _algorithm(oids.STD_DH_SHA256, WRAP_ALGORITHM),
            hashlib.sha256,
        ),
        SealingSuite("rsa-oaep-aes256gcm"),
    )
}

SESSIONS: Final[Mapping[str, SessionSuite]] = {
    suite.name: suite
    for suite in (
        SessionSuite("p384-hkdf-sha384-aes256gcm", ec.SECP384R1(), hashes.SHA384(), 97),
        SessionSuite("p256-hkdf-sha256-aes256gcm", ec.SECP256R1(), hashes.SHA256(), 65),
    )
}

_BY_CURVE: Final = {
    "secp256r1": (SIGNATURES["p256-sha256"], SEALINGS["ecdh-p256-aes256gcm"]),
    "secp384r1": (SIGNATURES["p384-sha384"], SEALINGS["ecdh-p384-aes256gcm"]),
}
_RSA: Final = (SIGNATURES["rsa3072-sha256"], SEALINGS["rsa-oaep-aes256gcm"])

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
    for oid, digest, algorithm, ecdsa, rsa_oid in _FOREIGN_HASHES:
        for digest_algorithm in (_algorithm(oid), _algorithm(oid, _NULL)):
            for kind, signature, scheme in (
                (ec.EllipticCurvePublicKey, _algorithm(ecdsa), (ec.ECDSA(algorithm),)),
                (rsa.RSAPublicKey, _algorithm(rsa_oid, _NULL), (padding.PKCS1v15(), algorithm)),
                (rsa.RSAPublicKey, _algorithm(oids.RSA, _NULL), (padding.PKCS1v15(), algorithm)),
            ):
                size = algorithm.digest_size
                suite = SignatureSuite("foreign", digest, size, digest_algorithm, signature, scheme)
                table[digest_algorithm, signature] = (kind, suite)
    return table


_FOREIGN: Final = _foreign()

#: Permitted suites by kind and ISO 3166 country, strongest first; "*" where a country has no row.
#: Sources: NIST SP 800-57 part 1 rev. 5, table 2 (128 bits: P-256, RSA-3072; 192: P-384); BSI
#: TR-02102-1, 2.3 and 3; ANSSI, guide des mecanismes cryptographiques 2.04, 2.2 and 2.3.
POLICY: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "signature": {"*": tuple(SIGNATURES)},
    "sealing": {"*": tuple(SEALINGS)},
    "session": {"*": tuple(SESSIONS)},
}


def permitted(
    kind: Kind, location_a: str, location_b: str, policy: Mapping[str, Mapping[str, tuple[str, ...]]] = POLICY
) -> tuple[str, ...]:
    """Names of the suites permitted at both locations, strongest first."""
    rows = policy[kind]
    there = rows.get(location_b, rows["*"])
    return tuple(name for name in rows.get(location_a, rows["*"]) if name in there)


def check(
    kind: Kind,
    name: str,
    location_a: str,
    location_b: str,
    policy: Mapping[str, Mapping[str, tuple[str, ...]]] = POLICY,
) -> None:
    """Raise :class:`Refusal` ``suite-not-permitted`` unless both locations permit ``name``."""
    if name not in permitted(kind, location_a, location_b, policy):
        raise Refusal("suite-not-permitted", "the suite is not permitted at both ends", suite=name)


def strongest_common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """The first of ``ours`` that ``theirs`` has; raises ``suite-not-permitted`` when there is none."""
    for name in ours:
        if name in theirs:
            return name
    raise Refusal("suite-not-permitted", "the two ends have no suite in common")


@lru_cache(maxsize=32)
def _family(kind: Any) -> str:
    """Elliptic or RSA, by the class of a key, public or private; asked once per class."""
    if issubclass(kind, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return "elliptic"
    return "rsa" if issubclass(kind, rsa.RSAPublicKey | rsa.RSAPrivateKey) else ""


def _suites_of(key: Any) -> tuple[SignatureSuite, SealingSuite]:
    """The suites of a key, public or private; raises ``suite-unknown``."""
    family = _family(key.__class__)
    found = None
    if family == "elliptic":
        found = _BY_CURVE.get(key.curve.name)
    elif family == "rsa" and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        found = _RSA
    if found is None:
        raise Refusal("suite-unknown", "no suite uses a key of this kind or size")
    return found


def signature_suite_of(key: PublicKey | PrivateKey) -> SignatureSuite:
    """The one signature suite of ``key``; raises :class:`Refusal` ``suite-unknown``."""
    return _suites_of(key)[0]


def sealing_suite_of(key: PublicKey | PrivateKey) -> SealingSuite:
    """The one sealing suite of ``key``; raises :class:`Refusal` ``suite-unknown``."""
    return _suites_of(key)[1]


def foreign_suite(key: PublicKey, digest_algorithm: bytes, signature_algorithm: bytes) -> SignatureSuite:
    """How to verify another's message; raises :class:`Refusal` ``suite-unknown``."""
    _suites_of(key)
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
