"""A CRL is read once into a dictionary by serial; it speaks only when well signed and fresh.

A list with a critical extension that is not processed here, or for a part of the certificates only, is
no list (RFC 5280, 5.2 and 6.3.3): the certificate's status then stays unknown, which refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.pki import signatures
from e2s.security.pki.traits import Traits, traits

MAX_CRL_BYTES = 64 * 1024 * 1024
_SERIAL_OCTETS = 21
_MAX_EXTENSIONS = 32
_NUMBER, _REASON, _INVALIDITY = "2.5.29.20", "2.5.29.21", "2.5.29.24"
_AUTHORITY_KEY, _DELTA_LIST = "2.5.29.35", "2.5.29.27"
#: RFC 5280, 5.3.1.
_REASONS = MappingProxyType(
    {
        0: "unspecified",
        1: "keyCompromise",
        2: "cACompromise",
        3: "affiliationChanged",
        4: "superseded",
        5: "cessationOfOperation",
        6: "certificateHold",
        9: "privilegeWithdrawn",
        10: "aACompromise",
    }
)


@dataclass(frozen=True)
class Revocation:
    """When a certificate was revoked, and why (``unspecified``, ``keyCompromise``...)."""

    at: datetime
    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class CrlIndex:
    """A CRL as read; compared by identity, so that it can key a cache."""

    der: bytes = field(repr=False)
    issuer: bytes
    authority_key_id: bytes | None
    number: int
    this_update: datetime
    next_update: datetime
    revoked: Mapping[int, Revocation] = field(repr=False)
    algorithm: str
    signature: bytes = field(repr=False)
    tbs: bytes = field(repr=False)

    @classmethod
    def read(cls, octets: bytes) -> CrlIndex:
        """Read a complete CRL; raises :class:`Refusal` ``bad-crl``.  The last ones read are kept."""
        if len(octets) > MAX_CRL_BYTES:
            raise Refusal("bad-crl", "the CRL is larger than may be read", size=len(octets))
        return _read(bytes(octets))

    def fresh(self, at: datetime) -> bool:
        """Whether it speaks for the instant: thisUpdate − δ ≤ at < nextUpdate."""
        return self.this_update - DELTA <= at < self.next_update

    def later_than(self, other: CrlIndex) -> bool:
        """Whether it was made after ``other`` of the same issuer."""
        return (self.this_update, self.number) > (other.this_update, other.number)

    def names(self, issuer: Certificate) -> bool:
        """Whether ``issuer`` is whom the list names as its issuer."""
        return self.issued_by(traits(issuer))

    def issued_by(self, issuer: Traits) -> bool:
        """The same of an issuer's traits."""
        if self.issuer != issuer.subject:
            return False
        wanted, key_id = self.authority_key_id, issuer.key_id
        return wanted is None or key_id is None or wanted == key_id

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether ``issuer``'s key signed it; metered as ``verify`` each time."""
        return signatures.good(issuer.public_key, self.algorithm, self.signature, self.tbs)


@lru_cache(maxsize=64)
def _read(octets: bytes) -> CrlIndex:
    """The parts of a CertificateList (RFC 5280, 5.1)."""
    try:
        outer = der.Reader(octets)
        whole = outer.enter()
        outer.done()
        tbs = whole.element(der.SEQUENCE)
        algorithm = whole.element(der.SEQUENCE)
        signature = whole.content(der.BIT_STRING)
        whole.done()
        if signature[:1] != b"\0":
            raise Refusal("bad-crl", "the signature is not whole octets")
        return _list(octets, tbs, algorithm, signature[1:])
    except Refusal as refusal:
        if refusal.rule == "bad-crl":
            raise
        raise Refusal(
            "bad-crl", "the octets are not a CRL that can be read", because=refusal.rule
        ) from refusal


def _list(octets: bytes, tbs: bytes, algorithm: bytes, signature: bytes) -> CrlIndex:
    """A TBSCertList, version 2, complete and with nextUpdate."""
    reader = der.Reader(tbs).enter()
    if reader.integer() != 1 or reader.element(der.SEQUENCE) != algorithm:
        raise Refusal("bad-crl", "a CRL is of version 2 and names one algorithm (5.1.2.1, 5.1.2.2)")
    issuer = reader.element(der.SEQUENCE)
    this_update = reader.time()
    if reader.peek() not in {der.UTC_TIME, der.GENERALIZED_TIME}:
        raise Refusal("bad-crl", "a CRL without nextUpdate never ends (5.1.2.5)")
    next_update = reader.time()
    revoked: dict[int, Revocation] = {}
    if reader.peek() == der.SEQUENCE:
        entries = reader.enter()
        while entries.pos != entries.end:
            serial, revocation = _entry(entries.enter())
            revoked.setdefault(serial, revocation)
    number, key_id = _extensions(reader)
    reader.done()
    return CrlIndex(
        der=octets,
        issuer=issuer,
        authority_key_id=key_id,
        number=number,
        this_update=this_update,
        next_update=next_update,
        revoked=revoked,
        algorithm=der.Reader(algorithm).enter().oid(),
        signature=signature,
        tbs=tbs,
    )


def _entry(entry: der.Reader) -> tuple[int, Revocation]:
    """One revoked certificate (5.3)."""
    serial, at, reason = entry.integer(_SERIAL_OCTETS), entry.time(), "unspecified"
    if entry.pos != entry.end:
        for oid, critical, value in _each(entry.enter()):
            if oid == _REASON:
                reason = _reason(value)
            elif critical and oid != _INVALIDITY:
                raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
        entry.done()
    return serial, Revocation(at, reason)


def _reason(value: bytes) -> str:
    code = der.Reader(value).content(der.ENUMERATED)
    reason = _REASONS.get(code[0]) if len(code) == 1 else None
    if reason is None:
        raise Refusal("bad-crl", "the reason is none of a complete list (5.3.1)")
    return reason


def _extensions(reader: der.Reader) -> tuple[int, bytes | None]:
    """CRL number and authority key identifier; a critical extension makes it a partial or unknown list."""
    number, key_id = -1, None
    if reader.pos == reader.end:
        return number, key_id
    outer = reader.enter(0xA0)
    for oid, critical, value in _each(outer.enter()):
        if critical or oid == _DELTA_LIST:
            raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
        if oid == _NUMBER:
            number = der.Reader(value).integer(_SERIAL_OCTETS)
        elif oid == _AUTHORITY_KEY:
            inner = der.Reader(value).enter()
            key_id = inner.content(0x80) if inner.peek() == 0x80 else None
    outer.done()
    return number, key_id


def _each(extensions: der.Reader) -> Iterator[tuple[str, bool, bytes]]:
    """Identifier, criticality and value of each extension; none occurs twice (4.2)."""
    seen: set[str] = set()
    while extensions.pos != extensions.end:
        extension = extensions.enter()
        oid = extension.oid()
        critical = extension.boolean() if extension.peek() == der.BOOLEAN else False
        value = extension.content(der.OCTET_STRING)
        extension.done()
        if oid in seen or len(seen) > _MAX_EXTENSIONS:
            raise Refusal("bad-crl", "an extension occurs twice", oid=oid)
        seen.add(oid)
        yield oid, critical, value
