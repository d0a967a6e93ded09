"""What a certificate claims about itself, read once; believing it is the verifier's part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from e2s.crypto.certificates import Certificate

#: Critical extensions that the verifier processes; any other critical one refuses the certificate.
_PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
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


@dataclass(frozen=True)
class Traits:
    """Names as DER, and what decides about paths; ``usages`` is None without keyUsage."""

    subject: bytes
    issuer: bytes
    algorithm: str
    ca: bool
    path_length: int | None
    usages: frozenset[str] | None
    ekus_critical: bool
    authority_key_id: bytes | None
    constraints: x509.NameConstraints | None
    alternative_names: tuple[x509.GeneralName, ...]
    unknown_critical: tuple[str, ...]

    @property
    def self_issued(self) -> bool:
        """Issuer and subject are one (RFC 5280, 6.1)."""
        return self.subject == self.issuer

    def may(self, *usages: str) -> bool:
        """Whether keyUsage, where present, allows one of ``usages``."""
        return self.usages is None or any(usage in self.usages for usage in usages)


@lru_cache(maxsize=4096)
def traits(certificate: Certificate) -> Traits:
    """The traits of ``certificate``."""
    parsed = certificate.x509
    found = {e.oid: e for e in parsed.extensions}
    values = [e.value for e in found.values()]
    basic = next((v for v in values if isinstance(v, x509.BasicConstraints)), None)
    usage = next((v for v in values if isinstance(v, x509.KeyUsage)), None)
    authority = next((v for v in values if isinstance(v, x509.AuthorityKeyIdentifier)), None)
    names = next((v for v in values if isinstance(v, x509.SubjectAlternativeName)), None)
    extended = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
    return Traits(
        subject=parsed.subject.public_bytes(),
        issuer=parsed.issuer.public_bytes(),
        algorithm=parsed.signature_algorithm_oid.dotted_string,
        ca=basic is not None and basic.ca,
        path_length=basic.path_length if basic is not None else None,
        usages=None if usage is None else frozenset(u for u in _USAGES if getattr(usage, u)),
        ekus_critical=extended is not None and extended.critical,
        authority_key_id=authority.key_identifier if authority is not None else None,
        constraints=next((v for v in values if isinstance(v, x509.NameConstraints)), None),
        alternative_names=tuple(names) if names is not None else (),
        unknown_critical=tuple(
            e.oid.dotted_string for e in found.values() if e.critical and e.oid not in _PROCESSED
        ),
    )
