"""Certificates travel bundled: a SignedData that nobody signs (RFC 5652, 5.1; RFC 8551, 3.2.2: certs-only).

Nothing proves such a bundle but the channel that brought it, or what is inside and is judged by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.normal import normalised

MAX_BYTES: Final = 512 * 1024
_MAX_INSIDE: Final = 32
_CERTIFICATES, _LISTS = 0xA0, 0xA1
_SIGNED_DATA: Final = der.oid(oids.SIGNED_DATA)
#: Version 1, no digests, and no content of the type that says nothing (RFC 5652, 5.2).
_BEFORE: Final = der.integer(1) + der.tlv(der.SET, b"") + der.sequence(der.oid(oids.DATA))
_NO_SIGNERS: Final = der.tlv(der.SET, b"")


class Bundle(NamedTuple):
    """What came bundled: certificates, and revocation lists, DER, that nobody looked into."""

    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]


def bundle(certificates: Iterable[bytes], crls: Iterable[bytes] = ()) -> bytes:
    """A ContentInfo with certificates and lists, DER each, as a set and so in no order of its own."""
    inside = [
        der.set_of(set(found), tag)
        for tag, found in ((_CERTIFICATES, list(certificates)), (_LISTS, list(crls)))
        if found
    ]
    data = der.sequence(_BEFORE, *inside, _NO_SIGNERS)
    return der.sequence(_SIGNED_DATA, der.tlv(0xA0, data))


def unbundled(octets: bytes, *, max_bytes: int = MAX_BYTES) -> Bundle:
    """What is bundled in a ContentInfo, DER or BER, of at most ``max_bytes``.

    Raises :class:`Refusal` ``too-large``, ``bad-certificate``, ``cms-...``, ``der-...`` or ``ber-...``.
    """
    whole = der.Reader(normalised(octets, max_bytes=max_bytes))
    info = whole.enter()
    whole.done()
    if info.oid() != oids.SIGNED_DATA:
        raise Refusal("cms-content-info", "the message is no SignedData")
    explicit = info.enter(0xA0)
    info.done()
    data = explicit.enter()
    explicit.done()
    version = data.integer()
    data.enter(der.SET).elements(der.SEQUENCE, _MAX_INSIDE)
    encapsulated = data.enter()
    if version != 1 or encapsulated.oid() != oids.DATA or encapsulated.pos != encapsulated.end:
        raise Refusal("cms-bundle", "a bundle of certificates has no content")
    certificates = _members(data, _CERTIFICATES)
    crls = _members(data, _LISTS)
    data.enter(der.SET).done()
    data.done()
    return Bundle(tuple(map(Certificate.read, certificates)), tuple(crls))


def _members(data: der.Reader, tag: int) -> list[bytes]:
    """The plain members of one of the two sets, if it is there."""
    return data.enter(tag).elements(der.SEQUENCE, _MAX_INSIDE) if data.peek() == tag else []
