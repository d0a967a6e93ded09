"""Among all the recipients of an envelope, the part that names a certificate is found and read.

KeyTransRecipientInfo and KeyAgreeRecipientInfo (RFC 5652, 6.2), and KEMRecipientInfo (RFC 9629, 3); of the
others' parts only what names them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.wrapping import KEY_AGREEMENT, MAX_RECIPIENTS, OTHER

_SHARED_KEY, _PASS_PHRASE = 0xA2, 0xA3


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


def _version(found: int) -> Refusal:
    return Refusal("cms-version", "the recipient's version is unknown here", version=found)
