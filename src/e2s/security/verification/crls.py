"""A CRL is read once into a dictionary by serial; it speaks only when well signed and fresh.

Its entries are read when they are first asked for, which is after its signature was checked.

A list with a critical extension that is not processed here is no list (RFC 5280, 5.2 and 6.3.3): the
certificate's status then stays unknown, which refuses it.  Which certificates a list covers, and whether it
only changes another, is read with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.verification import signatures
from e2s.security.verification.distribution import WHOLE, Scope, read_scope
from e2s.security.verification.name_forms import DIRECTORY_NAME, Form, form_of, general_names
from e2s.security.verification.structures import authority_key, each_extension, signed_body
from e2s.security.verification.traits import Traits, traits

MAX_CRL_BYTES = 64 * 1024 * 1024
_SERIAL_OCTETS = 21
_NUMBER, _REASON, _INVALIDITY = "2.5.29.20", "2.5.29.21", "2.5.29.24"
_AUTHORITY_KEY, _DELTA_LIST, _SCOPE, _ENTRY_ISSUER = "2.5.29.35", "2.5.29.27", "2.5.29.28", "2.5.29.29"
REMOVED, HELD = "removeFromCRL", "certificateHold"
#: RFC 5280, 5.3.1.
REASONS = MappingProxyType(
    {
        0: "unspecified",
        1: "keyCompromise",
        2: "cACompromise",
        3: "affiliationChanged",
        4: "superseded",
        5: "cessationOfOperation",
        6: HELD,
        8: REMOVED,
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
    #: The revoked certificates as they stand in the list, DER.
    entries: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    #: The number of the complete list that a delta list changes; None of a complete list.
    base: int | None = None
    scope: Scope = WHOLE

    @property
    def revoked(self) -> Mapping[int, Revocation]:
        """Its issuer's revoked certificates, by serial; raises :class:`Refusal` ``bad-crl``."""
        return self._read_entries[0]

    @property
    def foreign(self) -> Mapping[tuple[Form, int], Revocation]:
        """Of an indirect list: entries for certificates of other issuers; raises as :attr:`revoked`."""
        return self._read_entries[1]

    @cached_property
    def readable(self) -> bool:
        """Whether all its entries can be read; one that has another is no list."""
        try:
            return bool(self._read_entries)
        except Refusal:
            return False

    @cached_property
    def _read_entries(self) -> tuple[_Own, _Foreign]:
        """The entries, read when first asked for: a list that nobody signed costs its reader little."""
        try:
            return _entries(der.Reader(self.entries), self.scope, form_of(self.issuer))
        except Refusal as refusal:
            raise _unreadable(refusal) from refusal

    @cached_property
    def issuer_form(self) -> Form:
        """The issuer as it is compared (7.1)."""
        return form_of(self.issuer)

    def entry(self, certificate: Traits) -> Revocation | None:
        """What the list says of ``certificate``, whose issuer it is or, indirect, whose issuer it names."""
        serial = certificate.certificate.serial
        if certificate.issuer == self.issuer or certificate.issuer_form == self.issuer_form:
            return self.revoked.get(serial)
        return self.foreign.get((certificate.issuer_form, serial))

    @classmethod
    def read(cls, octets: bytes) -> CrlIndex:
        """Read a CRL; raises :class:`Refusal` ``bad-crl``.  The last ones read are kept."""
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
        if self.issuer != issuer.subject and self.issuer_form != issuer.subject_form:
            return False
        wanted, key_id = self.authority_key_id, issuer.key_id
        return wanted is None or key_id is None or wanted == key_id

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether ``issuer``'s key signed it and all of it can be read; metered as ``verify`` each time."""
        good = signatures.good(issuer.public_key, self.algorithm, self.signature, self.tbs, issuer.spki)
        return good and self.readable


@lru_cache(maxsize=64)
def _read(octets: bytes) -> CrlIndex:
    """The parts of a CertificateList (RFC 5280, 5.1)."""
    try:
        tbs, algorithm, signature = signed_body(octets)
        return _list(octets, tbs, algorithm, signature)
    except Refusal as refusal:
        raise _unreadable(refusal) from refusal


def _unreadable(refusal: Refusal) -> Refusal:
    """The one rule for all that is wrong with a CRL's form."""
    if refusal.rule == "bad-crl":
        return refusal
    return Refusal("bad-crl", "the octets are not a CRL that can be read", because=refusal.rule)


def _list(octets: bytes, tbs: bytes, algorithm: bytes, signature: bytes) -> CrlIndex:
    """A TBSCertList, version 2 and with nextUpdate."""
    reader = der.Reader(tbs).enter()
    if reader.integer() != 1 or reader.element(der.SEQUENCE) != algorithm:
        raise Refusal("bad-crl", "a CRL is of version 2 and names one algorithm (5.1.2.1, 5.1.2.2)")
    issuer = reader.element(der.SEQUENCE)
    this_update = reader.time()
    if reader.peek() not in {der.UTC_TIME, der.GENERALIZED_TIME}:
        raise Refusal("bad-crl", "a CRL without nextUpdate never ends (5.1.2.5)")
    next_update = reader.time()
    entries = reader.content(der.SEQUENCE) if reader.peek() == der.SEQUENCE else b""
    said = _extensions(reader)
    reader.done()
    scope = read_scope(said.scope) if said.scope is not None else WHOLE
    return CrlIndex(
        der=octets,
        issuer=issuer,
        authority_key_id=said.key_id,
        number=said.number,
        this_update=this_update,
        next_update=next_update,
        entries=entries,
        algorithm=algorithm,
        signature=signature,
        tbs=tbs,
        base=said.base,
        scope=scope,
    )


_Own: TypeAlias = dict[int, Revocation]
_Foreign: TypeAlias = dict[tuple[Form, int], Revocation]


def _entries(held: der.Reader, scope: Scope, own: Form) -> tuple[_Own, _Foreign]:
    """The revoked certificates of the list's issuer and, of an indirect list, of others (5.3.3)."""
    revoked: _Own = {}
    foreign: _Foreign = {}
    issuer = own
    while held.pos != held.end:
        serial, revocation, named = _entry(held.enter())
        if named:
            if not scope.indirect:
                raise Refusal("bad-crl", "an entry of another issuer in a list that is not indirect")
            issuer = named
        if issuer == own:
            revoked.setdefault(serial, revocation)
        else:
            foreign.setdefault((issuer, serial), revocation)
    return revoked, foreign


def _entry(entry: der.Reader) -> tuple[int, Revocation, Form]:
    """One revoked certificate (5.3), and the issuer that it names for itself and those after it."""
    serial, at, reason = entry.integer(_SERIAL_OCTETS), entry.time(), "unspecified"
    issuer: Form = ()
    if entry.pos != entry.end:
        for oid, critical, value in each_extension(entry.enter()):
            if oid == _REASON:
                reason = _reason(value)
            elif oid == _ENTRY_ISSUER:
                issuer = _entry_issuer(value)
            elif critical and oid != _INVALIDITY:
                raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
        entry.done()
    return serial, Revocation(at, reason), issuer


def _entry_issuer(value: bytes) -> Form:
    """CertificateIssuer (5.3.3): its one directory name."""
    outer = der.Reader(value)
    names = [form for tag, form in general_names(outer.enter()) if tag == DIRECTORY_NAME]
    outer.done()
    if len(names) != 1:
        raise Refusal("bad-crl", "an entry's issuer is one directory name (5.3.3)")
    return names[0]


def _reason(value: bytes) -> str:
    code = der.Reader(value).content(der.ENUMERATED)
    reason = REASONS.get(code[0]) if len(code) == 1 else None
    if reason is None:
        raise Refusal("bad-crl", "there is no such reason (5.3.1)")
    return reason


class _Said(NamedTuple):
    """What a list's extensions say."""

    number: int = -1
    key_id: bytes | None = None
    base: int | None = None
    scope: bytes | None = None


def _extensions(reader: der.Reader) -> _Said:
    """CRL number, authority key identifier, base of a delta list, scope; no other may be critical (5.2)."""
    said = _Said()
    if reader.pos == reader.end:
        return said
    outer = reader.enter(0xA0)
    for oid, critical, value in each_extension(outer.enter()):
        if oid == _NUMBER:
            said = said._replace(number=der.Reader(value).integer(_SERIAL_OCTETS))
        elif oid == _AUTHORITY_KEY:
            said = said._replace(key_id=authority_key(value))
        elif oid == _DELTA_LIST:
            said = said._replace(base=der.Reader(value).integer(_SERIAL_OCTETS))
        elif oid == _SCOPE:
            said = said._replace(scope=value)
        elif critical:
            raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
    outer.done()
    return said
