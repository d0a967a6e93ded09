"""The way to the content key that names a certificate is walked by its opener.

Exact reading takes only what :mod:`e2s.crypto.cms.wrapping` writes.  Foreign reading takes other derivations,
key sizes and paddings too.  That the way led nowhere is not told apart from content that does not open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.cms.addressing import Agreed, Encapsulated, Recipient, Transported, find_recipient
from e2s.crypto.ports import Opener
from e2s.crypto.suites import (
    AGREEMENTS,
    ENCAPSULATIONS,
    OAEP,
    OAEP_ALGORITHMS,
    PKCS1_ALGORITHM,
    WRAPS,
    Derivation,
    SealingSuite,
    foreign_transport,
    other_info,
    sealing_suite_of,
    shared_info,
)

__all__ = [
    "ORIGINATORS",
    "Agreed",
    "Encapsulated",
    "Originator",
    "Recipient",
    "Transported",
    "content_key",
    "find_recipient",
    "key_or_none",
]

_MAX_UKM: Final = 64

# Refusals of an opener that must not be told apart from a wrong tag; any other (a card gone) is passed on.
_ALIKE: Final = frozenset(("bad-envelope", "invalid-point", "wrong-key"))

_EC_KEY = der.oid(oids.EC_PUBLIC_KEY)
_EC_BARE = frozenset((der.sequence(_EC_KEY), der.sequence(_EC_KEY, der.tlv(der.NULL, b""))))


class Originator(NamedTuple):
    """A key's algorithm, the size of its BIT STRING's content, and its SubjectPublicKeyInfo before that."""

    algorithm: bytes
    size: int
    before: bytes


def _originator(size: int, *algorithm: str) -> Originator:
    identifier = der.sequence(*map(der.oid, algorithm))
    inside = identifier + der.header(der.BIT_STRING, size)
    return Originator(identifier, size, der.header(der.SEQUENCE, len(inside) + size) + inside)


#: Originators' keys by kind, and on curves of X9.62 by curve.
ORIGINATORS: Final = {
    "secp256r1": _originator(66, oids.EC_PUBLIC_KEY, oids.P256),
    "secp384r1": _originator(98, oids.EC_PUBLIC_KEY, oids.P384),
    "secp521r1": _originator(134, oids.EC_PUBLIC_KEY, oids.P521),
    "x25519": _originator(33, oids.X25519),
    "x448": _originator(57, oids.X448),
}


def content_key(recipient: Recipient, opener: Opener, size: int, *, foreign: bool = False) -> bytes | None:
    """The content key of ``size`` octets that ``recipient``'s way brings to the opener.

    None where the way leads nowhere: decrypt all the same, under any key, and refuse as for altered content.
    Raises :class:`Refusal` ``suite-unknown`` or ``cms-recipient`` for a way that is not accepted, as anyone
    can see.
    """
    suite = sealing_suite_of(opener.certificate.public_key)

    def walked() -> bytes | None:
        if isinstance(recipient, Transported):
            return _by_transport(recipient, opener, size, foreign=foreign)
        if isinstance(recipient, Agreed):
            return _by_agreement(recipient, suite, opener, size, foreign=foreign)
        return _by_encapsulation(recipient, suite, opener, size, foreign=foreign)

    return key_or_none(walked, size)


def key_or_none(walked: Callable[..., bytes | None], size: int, *arguments: Any) -> bytes | None:
    """The key of ``size`` octets from ``walked``; None for every failure that must not be told apart."""
    try:
        key = walked(*arguments)
    except InvalidUnwrap:
        return None
    except Refusal as refusal:
        if refusal.rule in _ALIKE:
            return None
        raise
    return key if key is not None and len(key) == size else None


def _by_transport(recipient: Transported, opener: Opener, size: int, *, foreign: bool) -> bytes:
    """By RSA: OAEP, and for old peers what was before it."""
    if recipient.algorithm in OAEP_ALGORITHMS:
        return opener.unwrap(recipient.encrypted_key, OAEP)
    if not foreign:
        raise Refusal("suite-unknown", "the content key is carried in a way that is not accepted")
    if recipient.algorithm == PKCS1_ALGORITHM:
        return opener.unwrap_old(recipient.encrypted_key, size)
    return opener.unwrap(recipient.encrypted_key, foreign_transport(recipient.algorithm))


def _by_agreement(
    recipient: Agreed, suite: SealingSuite, opener: Opener, size: int, *, foreign: bool
) -> bytes | None:
    """By agreement with the originator's key on the opener's curve."""
    known = ORIGINATORS.get(suite.curve.name if suite.curve else suite.kind)
    if known is None:
        return None
    derivation = AGREEMENTS.get(recipient.algorithm)
    if derivation is None or (not foreign and recipient.algorithm != suite.algorithm):
        raise _underived()
    _check_ukm(recipient.ukm, foreign=foreign)
    algorithm, point = recipient.originator
    if len(recipient.encrypted_key) != size + 8:
        return None
    bare = suite.curve is not None and algorithm in _EC_BARE
    # no unused bits; on a curve of X9.62 an uncompressed point (4.3.6)
    start = b"\x00\x04" if suite.curve else b"\x00"
    if (algorithm != known.algorithm and not bare) or len(point) != known.size or not point.startswith(start):
        return None
    secret = opener.agree(known.before + point)
    info = shared_info(derivation.size, recipient.ukm) if recipient.ukm else derivation.agreement_info
    # RFC 8418, 2.2: the sender's octets are salt and part of what the key is for
    return aes_key_unwrap(derivation.key(secret, info, recipient.ukm), recipient.encrypted_key)


def _by_encapsulation(
    recipient: Encapsulated, suite: SealingSuite, opener: Opener, size: int, *, foreign: bool
) -> bytes | None:
    """By what is encapsulated for the opener's key (RFC 9629, 2; RFC 9936, 2.2)."""
    derivation = _kem_derivation(recipient)
    exact = recipient.kdf == suite.kdf_algorithm and derivation is suite.derivation
    if not foreign and suite.kdf_algorithm and not exact:
        raise _underived()
    _check_ukm(recipient.ukm, foreign=foreign)
    if recipient.algorithm != suite.algorithm or len(recipient.encrypted_key) != size + 8:
        return None
    secret = opener.decapsulate(recipient.ciphertext)
    info = other_info(derivation.size, recipient.ukm) if recipient.ukm else derivation.encapsulation_info
    return aes_key_unwrap(derivation.key(secret, info, b""), recipient.encrypted_key)


def _kem_derivation(recipient: Encapsulated) -> Derivation:
    """The derivation, whose key must be of the wrap's size (RFC 9629, 3)."""
    derivation = ENCAPSULATIONS.get((recipient.kdf, recipient.kek_size))
    if derivation is None or WRAPS.get(recipient.kek_size) != recipient.wrap:
        raise _underived()
    return derivation


def _check_ukm(ukm: bytes, *, foreign: bool) -> None:
    if ukm and (not foreign or len(ukm) > _MAX_UKM):
        raise Refusal("cms-recipient", "the sender's octets beside the key are not accepted")


def _underived() -> Refusal:
    return Refusal("suite-unknown", "the content key is derived in a way that is not accepted")
