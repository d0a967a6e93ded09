"""A CRL is read once and indexed by serial; it speaks only when well signed and fresh.

Its entries are read when they are first asked for, which is after its signature was checked.

A list with a critical extension that is not processed here is no list (RFC 5280, 5.2 and 6.3.3): the
certificate's status then stays unknown, which refuses it.  Which certificates a list covers, and whether it
only changes another, is read with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.verification import signatures
from e2s.security.verification.distribution import WHOLE, Scope, read_scope
from e2s.security.verification.name_forms import Form, form_of
from e2s.security.verification.revoked import HELD, REASONS, REMOVED, Index, Revocation, Revoked, index_of
from e2s.security.verification.structures import authority_key, each_extension
from e2s.security.verification.traits import Traits, traits

__all__ = ["HELD", "MAX_CRL_BYTES", "REASONS", "REMOVED", "CrlIndex", "Revocation"]

#: A list of two million entries fits.
MAX_CRL_BYTES = 128 * 1024 * 1024
_LARGE_BYTES = 1024 * 1024
_NUMBER_OCTETS = 21
_NUMBER, _AUTHORITY_KEY, _DELTA_LIST, _SCOPE = "2.5.29.20", "2.5.29.35", "2.5.29.27", "2.5.29.28"


@dataclass(frozen=True, eq=False, kw_only=True)
class CrlIndex:
    """A CRL as read; compared by identity, so that it can key a cache."""

    der: bytes = field(repr=False)
    issuer: bytes
    authority_key_id: bytes | None
    number: int
    this_update: datetime
    next_update: datetime
    #: Where in :attr:`der` the revoked certificates stand, and where what is signed.
    entries: tuple[int, int]
    signed: tuple[int, int]
    algorithm: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    #: The number of the complete list that a delta list changes; None of a complete list.
    base: int | None = None
    scope: Scope = WHOLE

    @property
    def tbs(self) -> bytes:
        """What is signed, DER."""
        return self.der[slice(*self.signed)]

    @property
    def revoked(self) -> Revoked:
        """Its issuer's revoked certificates, by serial; raises :class:`Refusal` ``bad-crl``."""
        return self._index[self.issuer_form]

    @cached_property
    def readable(self) -> bool:
        """Whether all its entries can be read; one that has another is no list."""
        try:
            return bool(self._index)
        except Refusal:
            return False

    @cached_property
    def _index(self) -> Index:
        """The entries, read when first asked for: a list that nobody signed costs its reader little."""
        try:
            return index_of(self.der, *self.entries, own=self.issuer_form, indirect=self.scope.indirect)
        except Refusal as refusal:
            raise _unreadable(refusal) from refusal

    @cached_property
    def issuer_form(self) -> Form:
        """The issuer as it is compared (7.1)."""
        return form_of(self.issuer)

    def entry(self, certificate: Traits) -> Revocation | None:
        """What the list says of ``certificate``, whose issuer it is or, indirect, whose issuer it names."""
        own = certificate.issuer == self.issuer
        listed = self._index.get(self.issuer_form if own else certificate.issuer_form)
        return None if listed is None else listed.get(certificate.certificate.serial)

    @classmethod
    def read(cls, octets: bytes, *, most: int = MAX_CRL_BYTES) -> CrlIndex:
        """Read a CRL of at most ``most`` octets; raises :class:`Refusal` ``bad-crl``.

        The last ones read are kept, of large ones the last few.
        """
        if len(octets) > most:
            raise Refusal("bad-crl", "the CRL is larger than may be read", size=len(octets))
        return (_read if len(octets) <= _LARGE_BYTES else _read_large)(bytes(octets))

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
        return _list(octets)
    except Refusal as refusal:
        raise _unreadable(refusal) from refusal


@lru_cache(maxsize=4)
def _read_large(octets: bytes) -> CrlIndex:
    """The same of a list so large that few are kept."""
    return _read.__wrapped__(octets)


def _unreadable(refusal: Refusal) -> Refusal:
    """The one rule for all that is wrong with a CRL's form."""
    if refusal.rule == "bad-crl":
        return refusal
    return Refusal("bad-crl", "the octets are not a CRL that can be read", because=refusal.rule)


def _list(octets: bytes) -> CrlIndex:
    """A TBSCertList, version 2 and with nextUpdate, and its signature; nothing large is copied."""
    outer = der.Reader(octets)
    whole = outer.enter()
    outer.done()
    begin = whole.pos
    reader = whole.enter()
    signed = begin, whole.pos
    algorithm = whole.element(der.SEQUENCE)
    signature = whole.content(der.BIT_STRING)
    whole.done()
    if signature[:1] != b"\0":
        raise Refusal("der-bits", "the signature is not whole octets")
    if reader.integer() != 1 or reader.element(der.SEQUENCE) != algorithm:
        raise Refusal("bad-crl", "a CRL is of version 2 and names one algorithm (5.1.2.1, 5.1.2.2)")
    issuer = reader.element(der.SEQUENCE)
    this_update = reader.time()
    if reader.peek() not in {der.UTC_TIME, der.GENERALIZED_TIME}:
        raise Refusal("bad-crl", "a CRL without nextUpdate never ends (5.1.2.5)")
    next_update = reader.time()
    entries = reader.span(der.SEQUENCE) if reader.peek() == der.SEQUENCE else (0, 0)
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
        signed=signed,
        algorithm=algorithm,
        signature=signature[1:],
        base=said.base,
        scope=scope,
    )


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
            said = said._replace(number=der.Reader(value).integer(_NUMBER_OCTETS))
        elif oid == _AUTHORITY_KEY:
            said = said._replace(key_id=authority_key(value))
        elif oid == _DELTA_LIST:
            said = said._replace(base=der.Reader(value).integer(_NUMBER_OCTETS))
        elif oid == _SCOPE:
            said = said._replace(scope=value)
        elif critical:
            raise Refusal("bad-crl", "a critical extension is not processed", oid=oid)
    outer.done()
    return said
