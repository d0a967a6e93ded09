"""A CRL is read once into a dictionary by serial; it speaks only when well signed and fresh.

A list with a critical extension that is not processed here, or for a part of the certificates only, is
no list (RFC 5280, 5.2 and 6.3.3): the certificate's status then stays unknown, which refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from e2s.base.errors import Refusal
from e2s.base.instants import DELTA
from e2s.crypto.certificates import Certificate
from e2s.security.pki import signatures
from e2s.security.pki.traits import traits

MAX_CRL_BYTES = 64 * 1024 * 1024
_PROCESSED_ENTRY = frozenset({CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE})


@dataclass(frozen=True)
class Revocation:
    """When a certificate was revoked, and why (``unspecified``, ``keyCompromise``...)."""

    at: datetime
    reason: str


@dataclass(frozen=True, eq=False)
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
    def read(cls, der: bytes) -> CrlIndex:
        """Read a complete CRL; raises :class:`Refusal` ``bad-crl``.  The last ones read are kept."""
        if len(der) > MAX_CRL_BYTES:
            raise Refusal("bad-crl", "the CRL is larger than may be read", size=len(der))
        return _read(der)

    def fresh(self, at: datetime) -> bool:
        """Whether it speaks for the instant: thisUpdate − δ ≤ at < nextUpdate."""
        return self.this_update - DELTA <= at < self.next_update

    def names(self, issuer: Certificate) -> bool:
        """Whether ``issuer`` is whom the list names as its issuer."""
        key_id = self.authority_key_id
        if key_id is not None and issuer.key_id is not None and key_id != issuer.key_id:
            return False
        return self.issuer == traits(issuer).subject

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether ``issuer``'s key signed it; metered as ``verify`` each time."""
        return signatures.good(issuer.public_key, self.algorithm, self.signature, self.tbs)


@lru_cache(maxsize=64)
def _read(der: bytes) -> CrlIndex:
    try:
        crl = x509.load_der_x509_crl(der)
        next_update = crl.next_update_utc
        number, key_id = _extensions(crl.extensions)
        revoked = {entry.serial_number: _revocation(entry) for entry in crl}
        if next_update is None:
            raise Refusal("bad-crl", "a CRL without nextUpdate never ends (RFC 5280, 5.1.2.5)")
        return CrlIndex(
            der=der,
            issuer=crl.issuer.public_bytes(),
            authority_key_id=key_id,
            number=number,
            this_update=crl.last_update_utc,
            next_update=next_update,
            revoked=revoked,
            algorithm=crl.signature_algorithm_oid.dotted_string,
            signature=crl.signature,
            tbs=crl.tbs_certlist_bytes,
        )
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Refusal("bad-crl", "the octets are not a CRL that can be read") from error


def _extensions(extensions: x509.Extensions) -> tuple[int, bytes | None]:
    """CRL number and authority key identifier; refuses every critical extension (partial and delta lists)."""
    number, key_id = -1, None
    for extension in extensions:
        if extension.critical or extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            raise Refusal("bad-crl", "a critical extension is not processed", oid=extension.oid.dotted_string)
        if isinstance(extension.value, x509.CRLNumber):
            number = extension.value.crl_number
        elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
            key_id = extension.value.key_identifier
    return number, key_id


def _revocation(entry: x509.RevokedCertificate) -> Revocation:
    reason = "unspecified"
    for extension in entry.extensions:
        if extension.critical and extension.oid not in _PROCESSED_ENTRY:
            raise Refusal("bad-crl", "a critical extension is not processed", oid=extension.oid.dotted_string)
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason.value
    return Revocation(entry.revocation_date_utc, reason)
