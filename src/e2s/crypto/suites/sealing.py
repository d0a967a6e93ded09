"""How a content key reaches a recipient: one suite for each key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.kinds import PrivateKey, PublicKey, kind_of
from e2s.crypto.suites.identifiers import NULL, SHA256, algorithm
from e2s.crypto.suites.signature import MAX_RSA_BITS, MIN_RSA_BITS


@dataclass(frozen=True, eq=False)
class SealingSuite:
    """How a content key reaches one recipient, by agreement on a curve or by RSA-OAEP."""

    name: str
    curve: ec.EllipticCurve | None = None
    agreement_algorithm: bytes = b""
    kdf: Callable[[bytes], Any] = hashlib.sha256


def _oaep(sha256: bytes) -> bytes:
    parameters = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, algorithm(oids.MGF1, sha256)))
    return algorithm(oids.RSA_OAEP, parameters)


#: AES-256 key wrap (RFC 3565, 2.3.2: parameters absent).
WRAP_ALGORITHM: Final = algorithm(oids.AES256_WRAP)
#: RSA-OAEP with SHA-256 throughout (RFC 4055, 4.1); a reader accepts SHA-256 without NULL too (2.1).
OAEP_ALGORITHM: Final = _oaep(algorithm(oids.SHA256, NULL))
OAEP_ALGORITHMS: Final = frozenset((OAEP_ALGORITHM, _oaep(SHA256)))
#: Key derivations that a peer's envelope may use when older forms are allowed (RFC 5753, 7.1.4).
AGREEMENTS: Final = {
    algorithm(oid, WRAP_ALGORITHM): kdf
    for oid, kdf in (
        (oids.STD_DH_SHA1, hashlib.sha1),
        (oids.STD_DH_SHA256, hashlib.sha256),
        (oids.STD_DH_SHA384, hashlib.sha384),
        (oids.STD_DH_SHA512, hashlib.sha512),
    )
}

SEALINGS: Final[Mapping[str, SealingSuite]] = {
    suite.name: suite
    for suite in (
        SealingSuite(
            "ecdh-p384-aes256gcm",
            ec.SECP384R1(),
            algorithm(oids.STD_DH_SHA384, WRAP_ALGORITHM),
            hashlib.sha384,
        ),
        SealingSuite(
            "ecdh-p256-aes256gcm",
            ec.SECP256R1(),
            algorithm(oids.STD_DH_SHA256, WRAP_ALGORITHM),
            hashlib.sha256,
        ),
        SealingSuite("rsa-oaep-aes256gcm"),
    )
}

_BY_CURVE: Final = {
    "secp256r1": SEALINGS["ecdh-p256-aes256gcm"],
    "secp384r1": SEALINGS["ecdh-p384-aes256gcm"],
}


def sealing_suite_of(key: PublicKey | PrivateKey) -> SealingSuite:
    """The one sealing suite of ``key``; raises :class:`Refusal` ``suite-unknown``."""
    kind = kind_of(key.__class__)
    found = None
    if kind == "ec":
        found = _BY_CURVE.get(key.curve.name)  # type: ignore[union-attr]  # the kind says so
    elif kind == "rsa" and MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:  # type: ignore[union-attr]
        found = SEALINGS["rsa-oaep-aes256gcm"]
    if found is None:
        raise Refusal("suite-unknown", "no suite seals to a key of this kind or size")
    return found
