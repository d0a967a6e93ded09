"""What a certificate claims about itself, read once; believing it is the verifier's part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography import x509

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.verification.distribution import Point, read_points
from e2s.security.verification.name_forms import Form, form_of
from e2s.security.verification.notices import NO_NOTICES, Notice, notices_of

#: Critical extensions that the verifier processes; any other critical one refuses the certificate.
_PROCESSED = frozenset(
    {
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.NameConstraints,
        x509.CertificatePolicies,
        x509.PolicyConstraints,
        x509.InhibitAnyPolicy,
        x509.CRLDistributionPoints,
    }
)
#: Those of which :func:`_further` reads.
_FURTHER = frozenset(
    {
        x509.CertificatePolicies,
        x509.PolicyConstraints,
        x509.InhibitAnyPolicy,
        x509.CRLDistributionPoints,
        x509.UnrecognizedExtension,
    }
)
#: The same of those that the library does not know.
_MAPPINGS = "2.5.29.33"
_MAX_MAPPINGS = 256
#: Certificates of honest CAs have a handful.
_MAX_POLICIES = 256
_POLICIES = "2.5.29.32"
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


class Traits(NamedTuple):
    """Names and signed octets as DER, and what decides about paths.

    ``usages`` is None without keyUsage; ``signature`` is None when it is not whole octets.
    """

    certificate: Certificate
    subject: bytes
    issuer: bytes
    tbs: bytes
    algorithm: bytes
    signature: bytes | None
    ca: bool
    path_length: int | None
    usages: frozenset[str] | None
    ekus_critical: bool
    key_id: bytes | None
    authority_key_id: bytes | None
    constraints: x509.NameConstraints | None
    unknown_critical: tuple[str, ...]
    policies: frozenset[str] | None = None
    mappings: tuple[tuple[str, str], ...] = ()
    require_explicit: int | None = None
    inhibit_mapping: int | None = None
    inhibit_any: int | None = None
    points_der: bytes = b""
    notices: Mapping[str, tuple[Notice, ...]] = NO_NOTICES

    @property
    def subject_form(self) -> Form:
        """The subject as it is compared (RFC 5280, 7.1)."""
        return form_of(self.subject)

    @property
    def issuer_form(self) -> Form:
        """The issuer as it is compared."""
        return form_of(self.issuer)

    @property
    def points(self) -> tuple[Point, ...]:
        """The distribution points; raises :class:`Refusal` ``der-...`` where they cannot be read."""
        return read_points(self.points_der) if self.points_der else ()

    @property
    def self_issued(self) -> bool:
        """Issuer and subject are one (RFC 5280, 6.1)."""
        return self.subject == self.issuer or self.subject_form == self.issuer_form

    def may(self, *usages: str) -> bool:
        """Whether keyUsage, where present, allows one of ``usages``."""
        return self.usages is None or not self.usages.isdisjoint(usages)

    def issued_by(self, issuer: Traits) -> bool:
        """Whether ``issuer`` fits the names and key identifiers (6.1.3 a 4; 4.2.1.1)."""
        if self.issuer != issuer.subject and self.issuer_form != issuer.subject_form:
            return False
        wanted, key_id = self.authority_key_id, issuer.key_id
        return wanted is None or key_id is None or wanted == key_id


@lru_cache(maxsize=4096)
def traits(certificate: Certificate) -> Traits:
    """The traits of ``certificate``."""
    slices = certificate.slices
    values = certificate.values
    critical = {type(extension.value) for extension in certificate.critical}
    unknown: list[str] = []
    if not critical <= _PROCESSED:
        for extension in certificate.critical:
            oid = extension.oid.dotted_string
            if type(extension.value) not in _PROCESSED and oid != _MAPPINGS:
                unknown.append(oid)
    basic, usage = values.get(x509.BasicConstraints), values.get(x509.KeyUsage)
    authority = values.get(x509.AuthorityKeyIdentifier)
    found = Traits(
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
    return found if _FURTHER.isdisjoint(values) else _further(found, values)


def _further(found: Traits, values: Mapping[type, Any]) -> Traits:
    """``found`` with what not every certificate says: its policies, and where its status is told."""
    policies, limits = values.get(x509.CertificatePolicies), values.get(x509.PolicyConstraints)
    inhibit_any, points = values.get(x509.InhibitAnyPolicy), values.get(x509.CRLDistributionPoints)
    mappings = _mappings(values.get(x509.UnrecognizedExtension, ()))
    unreadable = () if mappings is not None else (_MAPPINGS,)
    if policies is not None and len(policies) > _MAX_POLICIES:
        policies, unreadable = None, (*unreadable, _POLICIES)
    return found._replace(
        unknown_critical=(*found.unknown_critical, *unreadable),
        policies=None if policies is None else frozenset(p.policy_identifier.dotted_string for p in policies),
        mappings=mappings or (),
        require_explicit=limits.require_explicit_policy if limits is not None else None,
        inhibit_mapping=limits.inhibit_policy_mapping if limits is not None else None,
        inhibit_any=inhibit_any.skip_certs if inhibit_any is not None else None,
        points_der=points.public_bytes() if points is not None else b"",
        notices=notices_of(policies) if policies is not None else NO_NOTICES,
    )


def _mappings(unrecognised: Any) -> tuple[tuple[str, str], ...] | None:
    """PolicyMappings (4.2.1.5) among the extensions that the library does not know; None if unreadable."""
    for extension in unrecognised:
        if extension.oid.dotted_string == _MAPPINGS:
            try:
                return tuple(_pairs(extension.value))
            except Refusal:
                return None
    return ()


def _pairs(value: bytes) -> Iterator[tuple[str, str]]:
    outer = der.Reader(value)
    pairs = outer.enter()
    outer.done()
    for element in pairs.elements(der.SEQUENCE, _MAX_MAPPINGS):
        pair = der.Reader(element).enter()
        yield pair.oid(), pair.oid()
        pair.done()


def alternative_names(certificate: Certificate) -> tuple[x509.GeneralName, ...]:
    """All of the subject's alternative names, of whatever form."""
    return tuple(certificate.values.get(x509.SubjectAlternativeName, ()))
