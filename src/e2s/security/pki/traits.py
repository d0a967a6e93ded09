"""What a certificate claims about itself, read once; believing it is the verifier's part."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography import x509

from e2s.crypto.certificates import Certificate

#: Critical extensions that the verifier processes; any other critical one refuses the certificate.
_PROCESSED = frozenset(
    {
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.NameConstraints,
    }
)
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Traits:
    """Names and signed octets as DER, and what decides about paths; compared by identity.

    ``usages`` is None without keyUsage; ``signature`` is None when it is not whole octets.
    """

    certificate: Certificate
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    algorithm: str
    signature: bytes | None = field(repr=False)
    ca: bool
    path_length: int | None
    usages: frozenset[str] | None
    ekus_critical: bool
    key_id: bytes | None
    authority_key_id: bytes | None
    constraints: x509.NameConstraints | None
    unknown_critical: tuple[str, ...]

    @property
    def self_issued(self) -> bool:
        """Issuer and subject are one (RFC 5280, 6.1)."""
        return self.subject == self.issuer

    def may(self, *usages: str) -> bool:
        """Whether keyUsage, where present, allows one of ``usages``."""
        return self.usages is None or not self.usages.isdisjoint(usages)

    def issued_by(self, issuer: Traits) -> bool:
        """Whether ``issuer`` fits the names and key identifiers (6.1.3 a 4; 4.2.1.1)."""
        if self.issuer != issuer.subject:
            return False
        wanted, key_id = self.authority_key_id, issuer.key_id
        return wanted is None or key_id is None or wanted == key_id


@lru_cache(maxsize=4096)
def traits(certificate: Certificate) -> Traits:
    """The traits of ``certificate``."""
    slices = certificate.slices
    # By class, not by identifier: comparing the library's identifiers costs more than all the rest.
    values: dict[type, Any] = {}
    critical: set[type] = set()
    unknown: list[str] = []
    for extension in certificate.x509.extensions:
        value = extension.value
        kind = type(value)
        values[kind] = value
        if extension.critical:
            critical.add(kind)
            if kind not in _PROCESSED:
                unknown.append(extension.oid.dotted_string)
    basic, usage = values.get(x509.BasicConstraints), values.get(x509.KeyUsage)
    authority = values.get(x509.AuthorityKeyIdentifier)
    return Traits(
        certificate=certificate,
        subject=slices.subject,
        issuer=slices.issuer,
        tbs=slices.tbs,
        algorithm=slices.algorithm,
        signature=slices.signature,
        ca=basic is not None and basic.ca,
        path_length=basic.path_length if basic is not None else None,
        usages=None if usage is None else frozenset(u for u in _USAGES if getattr(usage, u)),
        ekus_critical=x509.ExtendedKeyUsage in critical,
        key_id=certificate.key_id,
        authority_key_id=authority.key_identifier if authority is not None else None,
        constraints=values.get(x509.NameConstraints),
        unknown_critical=tuple(unknown),
    )


def alternative_names(certificate: Certificate) -> tuple[x509.GeneralName, ...]:
    """All of the subject's alternative names, of whatever form."""
    for extension in certificate.x509.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return tuple(extension.value)
    return ()
