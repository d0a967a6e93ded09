"""Certificates, CRLs and the like are checked under the signature schemes that stand in one table.

What is not in the table (:mod:`e2s.crypto.suites.schemes`) does not verify, whatever the library could do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from e2s.base import meter
from e2s.crypto.kinds import PublicKey, kind_of
from e2s.crypto.suites.minima import MIN_PATH_RSA_BITS
from e2s.crypto.suites.orders import is_nobodys
from e2s.crypto.suites.schemes import Scheme, bound, scheme_of

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


def strong(key: PublicKey) -> bool:
    """Whether a key of this kind and size may stand in a path."""
    kind = kind_of(type(key))
    if kind == "ec":
        return cast(ec.EllipticCurvePublicKey, key).curve.name in _CURVES
    if kind == "rsa":
        return cast(rsa.RSAPublicKey, key).key_size >= MIN_PATH_RSA_BITS
    return kind != "" and not is_nobodys(kind, key)


def permitted(algorithm: bytes) -> bool:
    """Whether a signature under this AlgorithmIdentifier may stand in a path."""
    return scheme_of(algorithm) is not None


def good(key: PublicKey, algorithm: bytes, signature: bytes, data: bytes, spki: bytes = b"") -> bool:
    """Whether ``signature`` over ``data`` is good under ``key``; metered as ``verify``.

    ``algorithm`` is the AlgorithmIdentifier beside the signature, ``spki`` the SubjectPublicKeyInfo that the
    key has in its certificate, which may bind it to one scheme.
    """
    scheme = _under(spki, algorithm) if spki else _scheme(key, algorithm)
    if scheme is None:
        return False
    meter.count("verify")
    try:
        key.verify(signature, data, *scheme.arguments)  # type: ignore[union-attr]  # its kind has a scheme
    except (InvalidSignature, ValueError):
        # the library refuses the values of a few malformed signatures before it computes
        return False
    return True


@lru_cache(maxsize=1024)
def _under(spki: bytes, algorithm: bytes) -> Scheme | None:
    """The scheme of a signature under a CA certificate's key, asked once; None if it may not stand."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    scheme = _scheme(key, algorithm)  # type: ignore[arg-type]  # of a kind that is not ours it has none
    return scheme if scheme is not None and bound(spki, scheme) else None


def _scheme(key: PublicKey, algorithm: bytes) -> Scheme | None:
    """The scheme of the algorithm, where keys of this kind and size may sign by it."""
    scheme = scheme_of(algorithm)
    if scheme is None or scheme.kind != kind_of(type(key)) or not strong(key):
        return None
    return scheme
