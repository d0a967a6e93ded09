"""A frame is all that stands before (in parts, to be joined once) and after an envelope's ciphertext.

AuthEnvelopedData (RFC 5083, 2.1) with AES-256-GCM (RFC 5084, 3.2), and EnvelopedData (RFC 5652, 6.1) with
AES-256-CBC (RFC 3565, 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from e2s.crypto import der, oids
from e2s.crypto.cms.attributes import attribute
from e2s.crypto.cms.wrapping import OTHER

NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
BLOCK: Final = 16

_TAG_HEADER = der.header(der.OCTET_STRING, TAG_SIZE)
_AUTH_ENVELOPED = der.oid(oids.AUTH_ENVELOPED_DATA)
_ENVELOPED = der.oid(oids.ENVELOPED_DATA)


@lru_cache(maxsize=256)
def associated(content_type: str) -> bytes | None:
    """The authenticated attributes as a SET, which GCM authenticates: none for id-data (RFC 5083, 2.2)."""
    if content_type == oids.DATA:
        return None
    return der.tlv(der.SET, attribute(oids.CONTENT_TYPE, der.oid(content_type)))


def frame(size: int, content_type: str, infos: Sequence[bytes], nonce: bytes) -> tuple[list[bytes], bytes]:
    """What stands before ``size`` octets of ciphertext in an AuthEnvelopedData, and before the tag."""
    first, second, after = constants(content_type)
    return _before(_AUTH_ENVELOPED, 0, infos, (first + nonce + second, size), len(after) + TAG_SIZE), after


@lru_cache(maxsize=256)
def constants(content_type: str) -> tuple[bytes, bytes, bytes]:
    """What stands before the nonce, between it and the ciphertext, and before the tag."""
    nonce = bytes(NONCE_SIZE)
    parameters = der.sequence(der.octet_string(nonce), der.integer(TAG_SIZE))
    first, second = (der.oid(content_type) + der.sequence(der.oid(oids.AES256_GCM), parameters)).split(nonce)
    authenticated = associated(content_type)
    # the same octets, tagged [1] where they travel
    return first, second, (b"\xa1" + authenticated[1:] if authenticated else b"") + _TAG_HEADER


def old_frame(size: int, content_type: str, infos: Sequence[bytes], iv: bytes) -> list[bytes]:
    """What stands before ``size`` octets of padded ciphertext in an EnvelopedData (RFC 5652, 6.1)."""
    # version 0 when every recipient is a version 0 KeyTransRecipientInfo, 3 with other recipients
    tags = {info[0] for info in infos}
    version = 3 if OTHER in tags else 0 if tags == {der.SEQUENCE} else 2
    said = der.oid(content_type) + der.sequence(der.oid(oids.AES256_CBC), der.octet_string(iv))
    return _before(_ENVELOPED, version, infos, (said, size), 0)


def _before(
    kind: bytes, version: int, infos: Sequence[bytes], encrypted: tuple[bytes, int], after: int
) -> list[bytes]:
    """The ContentInfo up to the ciphertext, for ``after`` octets behind it."""
    said, size = encrypted
    information = said + der.header(0x80, size)
    # a SET OF in order (X.690, 11.6), joined by the caller with all the rest: it may be large
    every = sum(map(len, infos))
    head = der.integer(version) + der.header(der.SET, every)
    tail = der.header(der.SEQUENCE, len(information) + size) + information
    inside = len(head) + every + len(tail) + size + after
    data = der.header(der.SEQUENCE, inside)
    explicit = der.header(0xA0, len(data) + inside)
    whole = der.header(der.SEQUENCE, len(kind) + len(explicit) + len(data) + inside)
    return [whole + kind + explicit + data + head, *sorted(infos), tail]
