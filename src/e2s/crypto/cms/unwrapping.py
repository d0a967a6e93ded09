"""The way to the content key that names a certificate is found among all, and walked by its opener.

Exact reading takes only what :mod:`e2s.crypto.cms.wrapping` writes.  Foreign reading takes other derivations,
key sizes and paddings too.  That the way led nowhere is not told apart from content that does not open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
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
#: Algorithms of originators' keys by kind and curve, and the sizes of their BIT STRINGs.
_ORIGINATORS: Final = {
    "secp256r1": (der.sequence(_EC_KEY, der.oid(oids.P256)), 66),
    "secp384r1": (der.sequence(_EC_KEY, der.oid(oids.P384)), 98),
    "secp521r1": (der.sequence(_EC_KEY, der.oid(oids.P521)), 134),
    "x25519": (der.sequence(der.oid(oids.X25519)), 33),
    "x448": (der.sequence(der.oid(oids.X448)), 57),
}


class Transported(NamedTuple):
    """A content key under an RSA key."""

    named: bytes
    algorithm: bytes
    encrypted_key: bytes


class Agreed(NamedTuple):
    """A content key under a secret with the originator's key (its algorithm and its BIT STRING)."""

    named: bytes
    algorithm: bytes
    encrypted_key: bytes
    originator: tuple[bytes, bytes]
    ukm: bytes


class Encapsulated(NamedTuple):
    """A content key under an encapsulated secret; ``kek_size`` in octets."""

    named: bytes
    algorithm: bytes
    ciphertext: bytes
    kdf: bytes
    kek_size: int
    ukm: bytes
    wrap: bytes
    encrypted_key: bytes


Recipient: TypeAlias = Transported | Agreed | Encapsulated


def read_recipients(data: der.Reader, *, foreign: bool = False) -> list[Recipient]:
    """All recipients of the RecipientInfos that follow (RFC 5652, 6.2), in order and at most a thousand.

    Ways that nobody here has (a shared key, a pass phrase, unknown ones) are passed over in ``foreign``
    envelopes, where they are other recipients', and refused otherwise.
    """
    if data.peek() == 0xA0:
        raise Refusal("cms-originator", "an envelope brings no certificates of its originator")
    elements = data.enter(der.SET).elements(None, MAX_RECIPIENTS)
    der.check_order(elements)
    found: list[Recipient] = []
    for element in elements:
        tag, info = element[0], der.Reader(element)
        if tag == der.SEQUENCE:
            found.append(_transported(info.enter()))
        elif tag == KEY_AGREEMENT:
            found.extend(_agreed(info.enter(KEY_AGREEMENT), MAX_RECIPIENTS - len(found)))
        elif tag == OTHER and (kem := _kem(info.enter(OTHER))) is not None:
            found.append(_encapsulated(kem))
        elif foreign and tag in {_SHARED_KEY, _PASS_PHRASE, OTHER}:
            der.check(element)
        else:
            raise Refusal("cms-recipient", "a recipient is addressed in a way that is not accepted")
    return found


def _transported(info: der.Reader) -> Transported:
    """KeyTransRecipientInfo: version 0 names by issuer and serial, 2 by key identifier."""
    version = info.integer()
    if version not in {0, 2}:
        raise _version(version)
    named = info.content(0x80) if version else info.element(der.SEQUENCE)
    algorithm = info.element(der.SEQUENCE)
    encrypted = info.content(der.OCTET_STRING)
    info.done()
    return Transported(named, algorithm, encrypted)


def _agreed(info: der.Reader, most: int) -> Iterator[Agreed]:
    """KeyAgreeRecipientInfo with the originator's key inside: an ephemeral one."""
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
    while keys.pos != keys.end:
        most -= 1
        if most < 0:
            raise Refusal("der-count", "more recipients than may be read")
        key = keys.enter()
        if key.peek() == 0xA0:
            identifier = key.enter(0xA0)
            named = identifier.content(der.OCTET_STRING)
            identifier.done()
        else:
            named = key.element(der.SEQUENCE)
        encrypted = key.content(der.OCTET_STRING)
        key.done()
        yield Agreed(named, algorithm, encrypted, public, ukm)


def _kem(other: der.Reader) -> der.Reader | None:
    """The KEMRecipientInfo in an OtherRecipientInfo, or None when it holds another type."""
    if other.peek() != der.OID or other.oid() != oids.ORI_KEM:
        return None
    inside = other.enter()
    other.done()
    return inside


def _encapsulated(info: der.Reader) -> Encapsulated:
    """KEMRecipientInfo (RFC 9629, 3)."""
    version = info.integer()
    if version != 0:
        raise _version(version)
    named = info.content(0x80) if info.peek() == 0x80 else info.element(der.SEQUENCE)
    algorithm = info.element(der.SEQUENCE)
    ciphertext = info.content(der.OCTET_STRING)
    kdf = info.element(der.SEQUENCE)
    kek_size = info.integer(3)
    ukm = _ukm(info, 0xA0)
    wrap = info.element(der.SEQUENCE)
    encrypted = info.content(der.OCTET_STRING)
    info.done()
    return Encapsulated(named, algorithm, ciphertext, kdf, kek_size, ukm, wrap, encrypted)


def _ukm(info: der.Reader, tag: int) -> bytes:
    """The sender's octets beside the key, if any."""
    if info.peek() != tag:
        return b""
    explicit = info.enter(tag)
    ukm = explicit.content(der.OCTET_STRING)
    explicit.done()
    return ukm


def content_key(
    recipients: list[Recipient], opener: Opener, size: int, *, foreign: bool = False
) -> bytes | None:
    """The content key of ``size`` octets, by the first way that names the opener's certificate.

    None where the way leads nowhere: decrypt all the same, under any key, and refuse as for altered content.
    Raises :class:`Refusal` ``not-for-me``, and ``suite-unknown`` or ``cms-recipient`` for a way that is not
    accepted, as anyone can see that it is not.
    """
    certificate = opener.certificate
    mine = {certificate.issuer_and_serial, certificate.key_id}
    for recipient in recipients:
        if recipient.named in mine:
            break
    else:
        raise Refusal("not-for-me", "the envelope does not name this certificate")
    suite = sealing_suite_of(certificate.public_key)
    try:
        key: bytes | None
        if isinstance(recipient, Transported):
            key = _by_transport(recipient, opener, size, foreign=foreign)
        elif isinstance(recipient, Agreed):
            key = _by_agreement(recipient, suite, opener, size, foreign=foreign)
        else:
            key = _by_encapsulation(recipient, suite, opener, size, foreign=foreign)
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
    known = _ORIGINATORS.get(suite.curve.name if suite.curve else suite.kind)
    if known is None:
        return None
    derivation = AGREEMENTS.get(recipient.algorithm)
    if derivation is None or (not foreign and recipient.algorithm != suite.algorithm):
        raise _underived()
    _check_ukm(recipient.ukm, foreign=foreign)
    algorithm, point = recipient.originator
    if len(recipient.encrypted_key) != size + 8:
        return None
    full, octets = known
    bare = suite.curve is not None and algorithm in _EC_BARE
    # no unused bits; on a curve of X9.62 an uncompressed point (4.3.6)
    start = b"\x00\x04" if suite.curve else b"\x00"
    if (algorithm != full and not bare) or len(point) != octets or not point.startswith(start):
        return None
    secret = opener.agree(der.sequence(full, der.tlv(der.BIT_STRING, point)))
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
