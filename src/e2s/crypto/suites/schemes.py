"""A signature scheme is known by its AlgorithmIdentifier, in messages, certificates and lists alike.

What is not in the table, nor RSASSA-PSS under a digest of the table, verifies nowhere, whatever the
library could do.  A key that its certificate names as one for RSASSA-PSS signs by no other scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, padding

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.suites.digests import BY_IDENTIFIER, DIGESTS, Digest
from e2s.crypto.suites.identifiers import NULL, algorithm

_MAX_IDENTIFIER: Final = 256
#: RFC 4055, 3.1 asks for a salt as long as the digest; others write the longest that the key can carry.
_MIN_SALT, _MAX_SALT = 20, 1022


@dataclass(frozen=True, eq=False)
class Scheme:
    """How keys of a kind sign: ``arguments`` of the library's sign and verify after the data.

    ``digest`` is what the signature hashes with, or None where the scheme brings its own; ``salt`` is
    that of RSASSA-PSS in octets, -1 for every other scheme.
    """

    kind: str
    digest: Digest | None
    arguments: tuple[Any, ...]
    salt: int = -1


def _pss(digest: Digest, salt: int) -> Scheme:
    pad = padding.PSS(padding.MGF1(_hashing(digest)), salt)
    return Scheme("rsa", digest, (pad, digest.hashing), salt)


def _hashing(digest: Digest) -> Any:
    return digest.hashing


def _table() -> dict[bytes, Scheme]:
    table: dict[bytes, Scheme] = {}
    for name, ecdsa, pkcs1 in (
        ("sha256", oids.ECDSA_SHA256, oids.RSA_SHA256),
        ("sha384", oids.ECDSA_SHA384, oids.RSA_SHA384),
        ("sha512", oids.ECDSA_SHA512, oids.RSA_SHA512),
    ):
        digest = DIGESTS[name]
        # RFC 5758, 3.2: absent, and NULL accepted as GnuPG writes it; RFC 4055, 5: NULL, and absent accepted
        elliptic = Scheme("ec", digest, (ec.ECDSA(_hashing(digest)),))
        table[algorithm(ecdsa)] = table[algorithm(ecdsa, NULL)] = elliptic
        old = Scheme("rsa", digest, (padding.PKCS1v15(), digest.hashing))
        table[algorithm(pkcs1, NULL)] = table[algorithm(pkcs1)] = old
    # RFC 8410, 3 and RFC 9881, 2: the key is the scheme, and parameters are absent
    for kind, oid in OWN.items():
        table[algorithm(oid)] = Scheme(kind, None, ())
    return table


#: Kinds of keys that are a scheme of their own.
OWN: Final[Mapping[str, str]] = {
    "ed25519": oids.ED25519,
    "ed448": oids.ED448,
    "ml-dsa-44": oids.ML_DSA_44,
    "ml-dsa-65": oids.ML_DSA_65,
    "ml-dsa-87": oids.ML_DSA_87,
}
SCHEMES: Final[Mapping[bytes, Scheme]] = _table()


def pss_algorithm(digest: Digest, salt: int) -> bytes:
    """The AlgorithmIdentifier of RSASSA-PSS, the mask by the same digest (RFC 4055, 3.1)."""
    hashed = algorithm(der.dotted(_oid_of(digest)), NULL)
    return algorithm(
        oids.RSA_PSS,
        der.sequence(
            der.tlv(0xA0, hashed),
            der.tlv(0xA1, algorithm(oids.MGF1, hashed)),
            der.tlv(0xA2, der.integer(salt)),
        ),
    )


def _oid_of(digest: Digest) -> bytes:
    """The content of the digest's object identifier."""
    return der.Reader(digest.identifiers[0]).enter().content(der.OID)


def scheme_of(identifier: bytes) -> Scheme | None:
    """The scheme that an AlgorithmIdentifier names, or None for any that is not accepted."""
    return SCHEMES.get(identifier) or (_pss_of(identifier) if len(identifier) <= _MAX_IDENTIFIER else None)


@lru_cache(maxsize=64)
def _pss_of(identifier: bytes) -> Scheme | None:
    """RSASSA-PSS as others write it: one digest for message and mask, none of SHA-1's defaults."""
    try:
        reader = der.Reader(identifier).enter()
        if reader.oid() != oids.RSA_PSS:
            return None
        parameters = reader.enter()
        reader.done()
        digest, salt = _pss_parameters(parameters)
    except Refusal:
        return None
    return _pss(digest, salt)


def _pss_parameters(parameters: der.Reader) -> tuple[Digest, int]:
    """RSASSA-PSS-params (RFC 4055, 3.1)."""
    digest = _hash_named(parameters.content(0xA0))
    explicit = parameters.enter(0xA1)
    mask = explicit.enter()
    explicit.done()
    if mask.oid() != oids.MGF1 or _hash_named(mask.element(der.SEQUENCE)) is not digest:
        raise _unknown()
    mask.done()
    salt = _MIN_SALT
    if parameters.peek() == 0xA2:
        explicit = parameters.enter(0xA2)
        salt = explicit.integer()
        explicit.done()
    # the trailer field is 1 by default, and DER writes no default
    parameters.done()
    if not _MIN_SALT <= salt <= _MAX_SALT:
        raise _unknown()
    return digest, salt


def _hash_named(identifier: bytes) -> Digest:
    found = BY_IDENTIFIER.get(identifier)
    if found is None or found.hashing is None:
        raise _unknown()
    return found


def _unknown() -> Refusal:
    return Refusal("suite-unknown", "the parameters of RSASSA-PSS are not accepted")


def bound(spki: bytes, scheme: Scheme) -> bool:
    """Whether the key of a SubjectPublicKeyInfo may sign by ``scheme`` (RFC 4055, 1.2 and 3.3).

    An RSA key named by id-RSASSA-PSS signs by it alone, by the named digest and at least the named salt.
    """
    if scheme.kind != "rsa":
        return True
    try:
        named = der.Reader(spki).enter().enter()
        if named.oid() != oids.RSA_PSS:
            return True
        if scheme.salt < 0 or named.pos == named.end:
            return scheme.salt >= 0
        digest, salt = _pss_parameters(named.enter())
    except Refusal:
        return False
    return scheme.digest is digest and scheme.salt >= salt
