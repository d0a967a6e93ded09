"""What the attributes of a signature say, read strictly: the usual five at once, any others one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from e2s.base.errors import Refusal
from e2s.crypto import der, oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.cms.attributes import FIVE, MAX_ATTRIBUTES, MAX_VALUES, layout, signing_certificate
from e2s.crypto.suites import SignatureSuite, protection_of, signature_suites_of

T = TypeVar("T")

#: No attributes.
NONE: Mapping[str, bytes] = MappingProxyType({})
_TIME_SIZE = 15  # a UTCTime, which serves until 2049
_ESS_HASHES = {der.oid(oids.SHA256): "sha256", der.oid(oids.SHA384): "sha384", der.oid(oids.SHA512): "sha512"}


class Said(NamedTuple):
    """What the signed attributes say besides the content type; ``other`` are values by type."""

    message_digest: bytes
    signing_time: datetime | None
    certificate_digest: tuple[str, bytes] | None
    protection: bytes | None
    other: Mapping[str, bytes] = NONE


def said_of(attributes: bytes, content_type: str, certificate: Certificate, *, exact: bool) -> Said:
    """What the signed attributes of a message of this type by this signer say; only the five if ``exact``.

    Raises :class:`Refusal` ``cms-...`` or ``der-...``.
    """
    return _usual(attributes, content_type, certificate) or _said(attributes, content_type, exact=exact)


def unsigned_of(reader: der.Reader) -> Mapping[str, bytes]:
    """Values by type: a type may stand there several times with several values (RFC 5652, 11.4)."""
    values: dict[str, bytes] = {}
    elements = reader.elements(der.SEQUENCE, MAX_ATTRIBUTES)
    der.check(der.sequence(*elements))
    for element in elements:
        oid, held = _attribute(element)
        values[oid] = values.get(oid, b"") + b"".join(held)
    return MappingProxyType(values)


def _usual(attributes: bytes, content_type: str, certificate: Certificate) -> Said | None:
    """What E2S's own five attributes say, or None when they are others (or the year is 2050)."""
    suites = signature_suites_of(certificate.public_key)
    return usual_of(attributes, content_type, suites[0]) if suites else None


def usual_of(attributes: bytes, content_type: str, suite: SignatureSuite) -> Said | None:
    """The same by the signer's suite."""
    holes = layout(suite, content_type, _TIME_SIZE).read(attributes)
    if holes is None:
        return None
    protection = protection_of(suite.digest_algorithm, suite.signature_algorithm)
    time = _whole(holes.time, der.Reader.time)
    return Said(holes.message_digest, time, ("sha256", holes.certificate_digest), protection)


def _said(attributes: bytes, content_type: str, *, exact: bool) -> Said:
    """What any attributes say, read one by one."""
    values = _attributes(attributes, exact=exact)
    if _whole(values[oids.CONTENT_TYPE], der.Reader.oid) != content_type:
        raise Refusal("cms-content-type", "the signed content type is not the content's")
    return Said(
        _whole(values[oids.MESSAGE_DIGEST], _octets),
        _value(values, oids.SIGNING_TIME, der.Reader.time),
        _value(values, oids.SIGNING_CERTIFICATE_V2, _own_certificate if exact else _ess_certificate),
        values.get(oids.ALGORITHM_PROTECTION),
        MappingProxyType({oid: value for oid, value in values.items() if oid not in FIVE}),
    )


def _attributes(attributes: bytes, *, exact: bool) -> dict[str, bytes]:
    """Values by type: in DER's order, each type once, the five with one value; only those when ``exact``."""
    elements = der.Reader(attributes).elements(der.SEQUENCE, MAX_ATTRIBUTES)
    der.check_order(elements)
    values: dict[str, bytes] = {}
    others: list[bytes] = []
    for element in elements:
        oid, held = _attribute(element)
        if oid in values:
            raise Refusal("cms-attribute-twice", "an attribute occurs twice", attribute=oid)
        if oid in FIVE:
            if len(held) > 1:
                raise Refusal("cms-attribute-values", "an attribute has more than one value", attribute=oid)
        else:
            others.append(element)
            der.check_order(held)
        values[oid] = b"".join(held)
    der.check(der.sequence(*others))  # as one, so that many cost no more than one
    if exact and values.keys() != FIVE:
        raise Refusal("cms-signed-attributes", "the signed attributes are not the five that E2S signs")
    if oids.CONTENT_TYPE not in values or oids.MESSAGE_DIGEST not in values:
        raise Refusal("cms-signed-attributes", "the content type or the digest is not signed")
    return values


def _attribute(element: bytes) -> tuple[str, list[bytes]]:
    """An Attribute (RFC 5652, 5.3): its type, and its one or more values."""
    attribute = der.Reader(element).enter()
    oid = attribute.oid()
    held = attribute.enter(der.SET).elements(None, MAX_VALUES)
    attribute.done()
    if not held:
        raise Refusal("cms-attribute-values", "an attribute has no value", attribute=oid)
    return oid, held


def _whole(value: bytes, read: Callable[[der.Reader], T]) -> T:
    """Read ``value`` to its end."""
    reader = der.Reader(value)
    found = read(reader)
    reader.done()
    return found


def _value(values: dict[str, bytes], oid: str, read: Callable[[der.Reader], T]) -> T | None:
    """The attribute's value read, or None where it is absent."""
    return _whole(values[oid], read) if oid in values else None


def _octets(reader: der.Reader) -> bytes:
    return reader.content(der.OCTET_STRING)


def _ess_certificate(reader: der.Reader) -> tuple[str, bytes]:
    """Hash name and digest of the first ESSCertIDv2 (RFC 5035, 3)."""
    outer = reader.enter()
    return ess_id(outer.enter())


def ess_id(reader: der.Reader) -> tuple[str, bytes]:
    """Hash name and digest of an ESSCertIDv2; the name is empty for an unknown hash."""
    first = reader.enter()
    name = "sha256"
    if first.peek() == der.SEQUENCE:
        algorithm = first.enter()
        name = _ESS_HASHES.get(algorithm.element(der.OID), "")
        if algorithm.pos != algorithm.end:
            algorithm.content(der.NULL)
            algorithm.done()
    return name, first.content(der.OCTET_STRING)


def _own_certificate(reader: der.Reader) -> tuple[str, bytes]:
    """Digest of the one ESSCertIDv2 in the only form that E2S writes."""
    begin = reader.pos
    named = _ess_certificate(reader)
    if reader.data[begin : reader.pos] != signing_certificate(named[1]):
        raise Refusal("cms-signing-certificate", "the signing certificate is named otherwise than E2S does")
    return named
