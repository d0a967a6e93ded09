"""The kinds of keys that exist here, told by the class of the library's key.

What a kind may be used for is said by the suites, how large it must be by their policy.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed448,
    ed25519,
    mldsa,
    mlkem,
    rsa,
    x448,
    x25519,
)

from e2s.base.errors import Misuse

PublicKey: TypeAlias = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | x25519.X25519PublicKey
    | x448.X448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
    | mlkem.MLKEM768PublicKey
    | mlkem.MLKEM1024PublicKey
)
#: Private keys that can sign.
SigningKey: TypeAlias = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PrivateKey: TypeAlias = (
    SigningKey
    | x25519.X25519PrivateKey
    | x448.X448PrivateKey
    | mlkem.MLKEM768PrivateKey
    | mlkem.MLKEM1024PrivateKey
)

#: Kinds by the classes of their public and private keys.
_CLASSES: Final[dict[type, str]] = {
    ec.EllipticCurvePublicKey: "ec",
    ec.EllipticCurvePrivateKey: "ec",
    rsa.RSAPublicKey: "rsa",
    rsa.RSAPrivateKey: "rsa",
    ed25519.Ed25519PublicKey: "ed25519",
    ed25519.Ed25519PrivateKey: "ed25519",
    ed448.Ed448PublicKey: "ed448",
    ed448.Ed448PrivateKey: "ed448",
    x25519.X25519PublicKey: "x25519",
    x25519.X25519PrivateKey: "x25519",
    x448.X448PublicKey: "x448",
    x448.X448PrivateKey: "x448",
    mldsa.MLDSA44PublicKey: "ml-dsa-44",
    mldsa.MLDSA44PrivateKey: "ml-dsa-44",
    mldsa.MLDSA65PublicKey: "ml-dsa-65",
    mldsa.MLDSA65PrivateKey: "ml-dsa-65",
    mldsa.MLDSA87PublicKey: "ml-dsa-87",
    mldsa.MLDSA87PrivateKey: "ml-dsa-87",
    mlkem.MLKEM768PublicKey: "ml-kem-768",
    mlkem.MLKEM768PrivateKey: "ml-kem-768",
    mlkem.MLKEM1024PublicKey: "ml-kem-1024",
    mlkem.MLKEM1024PrivateKey: "ml-kem-1024",
}


@cache
def kind_of(of: type) -> str:
    """The kind of keys of this class, public or private; the empty string for any other.

    Asked by class and remembered: the library's classes answer ``isinstance`` slowly.
    """
    return next((kind for known, kind in _CLASSES.items() if issubclass(of, known)), "")


#: Kinds that only agree or encapsulate.
_SILENT: Final = frozenset({"", "x25519", "x448", "ml-kem-768", "ml-kem-1024"})


def signing(key: Any) -> SigningKey:
    """``key`` itself where it can sign; raises :class:`Misuse` ``wrong-key``."""
    if kind_of(key.__class__) in _SILENT:
        raise Misuse("wrong-key", "a key of this kind does not sign")
    return cast(SigningKey, key)
