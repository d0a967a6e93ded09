"""A TBSCertificate (RFC 5280, 4.1) taken apart as it stands, unjudged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from e2s.base.errors import Refusal
from e2s.crypto import der

_MAX_EXTENSIONS = 64


@dataclass(frozen=True)
class Said:
    """One extension; ``written`` is whether it says in octets that it is not critical."""

    oid: str
    critical: bool
    value: bytes
    written: bool = False


@dataclass(frozen=True, kw_only=True)
class Tbs:
    """``serial`` and the times are contents, the others are elements; ``version`` counts from 1."""

    version: int
    serial: bytes
    algorithm: bytes
    issuer: bytes
    validity: bytes
    subject: bytes
    spki: bytes
    unique_ids: bool
    extensions: tuple[Said, ...]

    @classmethod
    def read(cls, octets: bytes) -> Tbs:
        """Raises :class:`Refusal` ``der-...``."""
        der.check(octets)
        reader = der.Reader(octets).enter()
        version = 1
        if reader.peek() == 0xA0:
            explicit = reader.enter(0xA0)
            version = explicit.integer() + 1
            explicit.done()
        serial = reader.content(der.INTEGER)
        algorithm, issuer, validity, subject, spki = (reader.element(der.SEQUENCE) for _ in range(5))
        unique_ids = False
        while reader.peek() in {0x81, 0x82}:
            reader.span(reader.peek())
            unique_ids = True
        found: tuple[Said, ...] = ()
        if reader.peek() == 0xA3:
            explicit = reader.enter(0xA3)
            extensions = explicit.enter()
            explicit.done()
            found = tuple(map(_extension, extensions.elements(der.SEQUENCE, _MAX_EXTENSIONS)))
        reader.done()
        return cls(
            version=version,
            serial=serial,
            algorithm=algorithm,
            issuer=issuer,
            validity=validity,
            subject=subject,
            spki=spki,
            unique_ids=unique_ids,
            extensions=found,
        )

    @cached_property
    def by_oid(self) -> dict[str, Said]:
        """Extensions by their identifier, the first of each."""
        found: dict[str, Said] = {}
        for one in self.extensions:
            found.setdefault(one.oid, one)
        return found

    def value(self, oid: str) -> bytes | None:
        """The value of an extension, DER, or None."""
        one = self.by_oid.get(oid)
        return one.value if one else None

    @cached_property
    def ca(self) -> bool:
        """Whether its basic constraints say that it is a CA's."""
        return basic(self)[0]


def basic(tbs: Tbs) -> tuple[bool, int | None]:
    """What the basic constraints say (4.2.1.9); raises :class:`Refusal` ``der-...``."""
    value = tbs.value("2.5.29.19")
    if value is None:
        return False, None
    reader = only(value)
    ca = reader.boolean() if reader.peek() == der.BOOLEAN else False
    length = reader.integer() if reader.peek() == der.INTEGER else None
    reader.done()
    return ca, length


def only(value: bytes, tag: int = der.SEQUENCE) -> der.Reader:
    """A reader of the content of the one element that ``value`` is."""
    outer = der.Reader(value)
    inner = outer.enter(tag)
    outer.done()
    return inner


def _extension(octets: bytes) -> Said:
    reader = der.Reader(octets).enter()
    oid = reader.oid()
    critical = written = False
    if reader.peek() == der.BOOLEAN:
        critical = reader.boolean()
        written = not critical
    value = reader.content(der.OCTET_STRING)
    reader.done()
    if not value:
        raise Refusal("der-truncated", "an extension has a value")
    return Said(oid, critical, value, written)
