"""A signer seen before is recognised at a glance: all but content, three holes and signature is known.

Nothing is refused here: what is not recognised to the last octet is read in full, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.said import Said, usual_of
from e2s.crypto.suites import SignatureSuite, signature_suites_of

_SIGNED_DATA: Final = der.oid(oids.SIGNED_DATA)
_VERSION: Final = der.integer(1)
#: How many signers are remembered, and how large their certificates may be together.
_MOST: Final = 256
_MAX_SET: Final = 32 * 1024


class _Unusual(Exception):
    """The message is not in the usual form, or its signer is not known."""


class Glance(NamedTuple):
    """What varies in a message of a known signer."""

    content_type: str
    content: bytes | None
    signature: bytes
    attributes: bytes
    said: Said


@dataclass(frozen=True, eq=False)
class Known:
    """A signer: the certificates that come along, and the constant octets of the suite."""

    certificates: tuple[Certificate, ...]
    certificate: Certificate
    suite: SignatureSuite
    certificate_set: bytes
    #: Version and digests of a message, of id-data and of any other content.
    before: Mapping[bool, bytes]


_KNOWN: dict[bytes, Known] = {}
_SEEN: dict[bytes, None] = {}


def remember(certificates: tuple[Certificate, ...], certificate: Certificate) -> None:
    """Know the signer with these certificates from the second message on."""
    name = _VERSION + certificate.issuer_and_serial
    if name not in _SEEN:
        if len(_SEEN) >= _MOST:
            _SEEN.clear()
        _SEEN[name] = None
        return
    suites = signature_suites_of(certificate.public_key)
    whole = der.tlv(0xA0, b"".join([one.der for one in certificates]))
    if not suites or len(whole) > _MAX_SET:
        return
    if len(_KNOWN) >= _MOST:
        _KNOWN.clear()
    digests = der.tlv(der.SET, suites[0].digest_algorithm)
    before = {True: der.integer(1) + digests, False: der.integer(3) + digests}
    _KNOWN[name] = Known(certificates, certificate, suites[0], whole, before)


def glance(octets: bytes) -> tuple[Known, Glance] | None:
    """The signer and what varies, or None for a message that must be read in full."""
    if not _KNOWN:
        return None
    try:
        return _glance(octets)
    except (_Unusual, Refusal):
        return None


def _span(data: bytes, pos: int, end: int, tag: int) -> tuple[int, int]:
    """Start and stop of the content of the element at ``pos``, its length in the shortest form."""
    start = pos + 2
    if start > end or data[pos] != tag:
        raise _Unusual
    size = data[pos + 1]
    if size == 0x82 and start + 2 <= end and data[start]:
        # the usual length, without a call
        size = data[start] << 8 | data[start + 1]
        start += 2
    elif size >= 0x80:
        width = size & 0x7F
        size = int.from_bytes(data[start : start + width], "big")
        start += width
        if not 0 < width <= 4 or size < 0x80 or not size >> 8 * (width - 1):
            raise _Unusual
    if size > end - start:
        raise _Unusual
    return start, start + size


def _last(data: bytes, pos: int, end: int, tag: int) -> int:
    """Start of the content of an element that reaches to ``end``."""
    start, stop = _span(data, pos, end, tag)
    if stop != end:
        raise _Unusual
    return start


def _glance(octets: bytes) -> tuple[Known, Glance]:
    end = len(octets)
    pos = _last(octets, 0, end, der.SEQUENCE)
    if not octets.startswith(_SIGNED_DATA, pos):
        raise _Unusual
    data = _last(octets, _last(octets, pos + len(_SIGNED_DATA), end, 0xA0), end, der.SEQUENCE)
    _, pos = _span(octets, data + len(_VERSION), end, der.SET)
    encapsulated = pos
    start, stop = _span(octets, pos, end, der.SEQUENCE)
    start, pos = _span(octets, start, stop, der.OID)
    named = octets[start:pos]
    content = None
    if pos != stop:
        content = octets[_last(octets, _last(octets, pos, stop, 0xA0), stop, der.OCTET_STRING) : stop]
    _, certificates = _span(octets, stop, end, 0xA0)
    info = _last(octets, _last(octets, certificates, end, der.SET), end, der.SEQUENCE)
    _, signer = _span(octets, info + len(_VERSION), end, der.SEQUENCE)
    known = _KNOWN.get(octets[info:signer])
    if known is None or octets[stop:certificates] != known.certificate_set:
        raise _Unusual
    content_type, suite = der.dotted(named), known.suite
    if octets[data:encapsulated] != known.before[content_type == oids.DATA]:
        raise _Unusual
    return known, _signature(octets, signer, suite, content_type, content)


def _signature(
    octets: bytes, pos: int, suite: SignatureSuite, content_type: str, content: bytes | None
) -> Glance:
    """The rest of the SignerInfo from the digest's identifier on."""
    end = len(octets)
    if not octets.startswith(suite.digest_algorithm, pos):
        raise _Unusual
    start, pos = _span(octets, pos + len(suite.digest_algorithm), end, 0xA0)
    attributes = octets[start:pos]
    if not octets.startswith(suite.signature_algorithm, pos):
        raise _Unusual
    start = _last(octets, pos + len(suite.signature_algorithm), end, der.OCTET_STRING)
    said = usual_of(attributes, content_type, suite)
    if said is None:
        raise _Unusual
    return Glance(content_type, content, octets[start:], attributes, said)
