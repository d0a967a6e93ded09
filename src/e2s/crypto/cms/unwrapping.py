"""The way to the content key that names a certificate is found among all, and walked by its opener.

Exact reading takes only what :mod:`e2s.crypto.cms.wrapping` writes.  Foreign reading takes other derivations,
key sizes and paddings too.  That the way led nowhere is not told apart from content that does not open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.wrapping import KEY_AGREEMENT, MAX_RECIPIENTS, OTHER
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

_MAX_UKM: Final = 64
_SHARED_KEY, _PASS_PHRASE = 0xA2, 0xA3

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


class Transported(NamedTuple):
    """A content key under an RSA key."""

    algorithm: bytes
    encrypted_key: bytes


class Agreed(NamedTuple):
    """A content key under a secret with the originator's key (its algorithm and its BIT STRING)."""

    algorithm: bytes
    encrypted_key: bytes
    originator: tuple[bytes, bytes]
    ukm: bytes


class Encapsulated(NamedTuple):
    """A content key under an encapsulated secret; ``kek_size`` in octets."""

    algorithm: bytes
    ciphertext: bytes
    kdf: bytes
    kek_size: int
    ukm: bytes
    wrap: bytes
    encrypted_key: bytes


Recipient: TypeAlias = Transported | Agreed | Encapsulated


def find_recipient(data: der.Reader, certificate: Certificate, *, foreign: bool = False) -> Recipient:
    """The first recipient, of those in the RecipientInfos that follow, that names ``certificate``.

    At most a thousand are looked at (RFC 5652, 6.2), of the others only what names them.  Ways that nobody
    here has (a shared key, a pass phrase, unknown ones) are passed over in ``foreign`` envelopes, where they
    are other recipients', and refused otherwise.  Raises :class:`Refusal` ``not-for-me``.
    """
    if data.peek() == 0xA0:
        raise Refusal("cms-originator", "an envelope brings no certificates of its originator")
    elements = data.enter(der.SET).elements(None, MAX_RECIPIENTS)
    der.check_order(elements)
    mine, found, most = _names(certificate), None, MAX_RECIPIENTS
    others: list[bytes] = []
    for element in elements:
        tag, info = element[0], der.Reader(element)
        one: Recipient | None = None
        if tag == der.SEQUENCE:
            one, count = _transported(info.enter(), mine), 1
        elif tag == KEY_AGREEMENT:
            one, count = _agreed(info.enter(KEY_AGREEMENT), mine, most)
        elif tag == OTHER and (kem := _kem(info.enter(OTHER))) is not None:
            one, count = _encapsulated(kem, mine), 1
        elif foreign and tag in {_SHARED_KEY, _PASS_PHRASE, OTHER}:
            others.append(element)
            count = 1
        else:
            raise Refusal("cms-recipient", "a recipient is addressed in a way that is not accepted")
        most -= count
        found = found or one
    der.check(der.sequence(*others))  # as one, so that many cost no more than one
    if found is None:
        raise Refusal("not-for-me", "the envelope does not name this certificate")
    return found


class _Names:
    """How a recipient's part may name a certificate."""

    __slots__ = ("by_issuer", "by_key", "in_agreement")

    def __init__(self, certificate: Certificate) -> None:
        self.by_issuer = certificate.issuer_and_serial
        self.by_key = certificate.key_id
        #: RecipientEncryptedKeys begin with one of these.
        key_id = b"" if self.by_key is None else der.tlv(0xA0, der.octet_string(self.by_key))
        self.in_agreement = (self.by_issuer, key_id) if key_id else (self.by_issuer,)


@lru_cache(maxsize=1024)
def _names(certificate: Certificate) -> _Names:
    return _Names(certificate)


def _transported(info: der.Reader, mine: _Names) -> Transported | None:
    """KeyTransRecipientInfo: version 0 names by issuer and serial, 2 by key identifier."""
    version = info.integer()
    if version not in {0, 2}:
        raise _version(version)
    named = info.content(0x80) if version else info.element(der.SEQUENCE)
    if named != (mine.by_key if version else mine.by_issuer):
        return None
    algorithm = info.element(der.SEQUENCE)
    encrypted = info.content(der.OCTET_STRING)
    info.done()
    return Transported(algorithm, encrypted)


def _agreed(info: der.Reader, mine: _Names, most: int) -> tuple[Agreed | None, int]:
    """KeyAgreeRecipientInfo with an ephemeral key of the originator inside; how many recipients it has."""
    version = info.integer()
    if version != 3:
        raise _version(version)
    choice = info.enter(0xA0)
    if choice.peek() != 0xA1:
        raise Refusal("cms-originator", "the originator's key is not inside")
    originator = choice.enter(0xA1)
    choice.done()
    public = (originator.element(der.SEQUENCE), originator.content(der.BIT_STRING))
    originator.done()
    ukm = _ukm(info, 0xA1)
    algorithm = info.element(der.SEQUENCE)
    keys = info.enter()
    info.done()
    found, count = None, 0
    while keys.pos != keys.end:
        count += 1
        if count > most:
            raise Refusal("der-count", "more recipients than may be read")
        start, stop = keys.span(der.SEQUENCE)
        if found is None and keys.data.startswith(mine.in_agreement, start, stop):
            key = der.Reader(keys.data, start, stop)
            key.span(key.peek())
            found = Agreed(algorithm, key.content(der.OCTET_STRING), public, ukm)
            key.done()
    return found, count


def _kem(other: der.Reader) -> der.Reader | None:
    """The KEMRecipientInfo in an OtherRecipientInfo, or None when it holds another type."""
    if other.peek() != der.OID or other.oid() != oids.ORI_KEM:
        return None
    inside = other.enter()
    other.done()
    return inside


def _encapsulated(info: der.Reader, mine: _Names) -> Encapsulated | None:
    """KEMRecipientInfo (RFC 9629, 3)."""
    version = info.integer()
    if version != 0:
        raise _version(version)
    by_key = info.peek() == 0x80
    named = info.content(0x80) if by_key else info.element(der.SEQUENCE)
    if named != (mine.by_key if by_key else mine.by_issuer):
        return None
    algorithm = info.element(der.SEQUENCE)
    ciphertext = info.content(der.OCTET_STRING)
    kdf = info.element(der.SEQUENCE)
    kek_size = info.integer(3)
    ukm = _ukm(info, 0xA0)
    wrap = info.element(der.SEQUENCE)
    encrypted = info.content(der.OCTET_STRING)
    info.done()
    return Encapsulated(algorithm, ciphertext, kdf, kek_size, ukm, wrap, encrypted)


def _ukm(info: der.Reader, tag: int) -> bytes:
    """The sender's octets beside the key, if any."""
    if info.peek() != tag:
        return b""
    explicit = info.enter(tag)
    ukm = explicit.content(der.OCTET_STRING)
    explicit.done()
    return ukm


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


def _version(found: int) -> Refusal:
    return Refusal("cms-version", "the recipient's version is unknown here", version=found)
