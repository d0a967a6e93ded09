"""Certificates, CRLs and the like are checked under the few algorithms that stand in one table.

What is not in the table does not verify, whatever the library could do.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from e2s.base import meter
from e2s.crypto import oids
from e2s.crypto.kinds import PublicKey, kind_of

_HASHES = MappingProxyType(
    {
        oids.ECDSA_SHA256: hashes.SHA256(),
        oids.ECDSA_SHA384: hashes.SHA384(),
        oids.ECDSA_SHA512: hashes.SHA512(),
        oids.RSA_SHA256: hashes.SHA256(),
        oids.RSA_SHA384: hashes.SHA384(),
        oids.RSA_SHA512: hashes.SHA512(),
    }
)
_ELLIPTIC = MappingProxyType(
    {oid: ec.ECDSA(_HASHES[oid]) for oid in (oids.ECDSA_SHA256, oids.ECDSA_SHA384, oids.ECDSA_SHA512)}
)
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_MIN_RSA_BITS = 2048


def strong(key: PublicKey) -> bool:
    """Whether a key of this kind and size may stand in a path."""
    if kind_of(type(key)) == "ec":
        return cast(ec.EllipticCurvePublicKey, key).curve.name in _CURVES
    return kind_of(type(key)) == "rsa" and cast(rsa.RSAPublicKey, key).key_size >= _MIN_RSA_BITS


def permitted(algorithm: str) -> bool:
    """Whether a signature under this algorithm (dotted identifier) may stand in a path."""
    return algorithm in _HASHES


def good(key: PublicKey, algorithm: str, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` over ``data`` is good under ``key``; metered as ``verify``."""
    if not permitted(algorithm) or not strong(key):
        return False
    meter.count("verify")
    try:
        elliptic = algorithm in _ELLIPTIC
        if elliptic != (kind_of(type(key)) == "ec"):
            return False
        if elliptic:
            cast(ec.EllipticCurvePublicKey, key).verify(signature, data, _ELLIPTIC[algorithm])
        else:
            cast(rsa.RSAPublicKey, key).verify(signature, data, padding.PKCS1v15(), _HASHES[algorithm])
    except InvalidSignature:
        return False
    return True
