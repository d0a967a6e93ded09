"""What an application reads of a user's security attributes through her PSE (document 6.1.1).

Names, levels of confidence and purposes are the certificates'; what else the file says is nobody's proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.crypto.suites import sealing_suites_of, signature_suites_of
from e2s.security.environments.holding import ROOT, names_of
from e2s.security.keys.software import SoftwarePse
from e2s.security.verification.traits import traits


@dataclass(frozen=True, kw_only=True)
class KeyAttributes:
    """What one certificate of a PSE says; ``confidence`` is empty where none is stated."""

    label: str
    name: str
    names: tuple[str, ...]
    confidence: str
    policies: tuple[str, ...]
    purposes: tuple[str, ...]
    suite: str
    serial: int
    not_before: datetime
    not_after: datetime
    fresh: bool
    certified: bool


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Those of a PSE: of each key, and what the file says besides."""

    keys: tuple[KeyAttributes, ...]
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The holder's name: the first key's."""
        return self.keys[0].name if self.keys else ""


def attributes_of(pse: SoftwarePse) -> Attributes:
    """The security attributes in an open PSE; no pass phrase is needed for them."""
    kept = {name: value for name, value in pse.attributes.items() if name != ROOT}
    return Attributes(keys=tuple(_key(pse, label) for label in pse.labels()), kept=kept)


def _key(pse: SoftwarePse, label: str) -> KeyAttributes:
    certificate = pse.certificate(label)
    policies = policies_in(certificate)
    levels = {oid: level for level, oid in oids.CONFIDENCE.items()}
    names = names_of(certificate)
    signs = traits(certificate).may("digital_signature", "content_commitment")
    suites = [one.name for one in signature_suites_of(certificate.public_key)] if signs else []
    suites = suites or [one.name for one in sealing_suites_of(certificate.public_key)]
    return KeyAttributes(
        label=label,
        name=certificate.name or (names[0] if names else certificate.subject),
        names=names,
        confidence=next((levels[oid] for oid in policies if oid in levels), ""),
        policies=tuple(oid for oid in policies if oid not in levels),
        purposes=tuple(sorted(certificate.ekus)),
        suite=suites[0] if suites else "",
        serial=certificate.serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        fresh=pse.is_fresh(label),
        certified=certificate.slices.subject != certificate.slices.issuer,
    )


def policies_in(certificate: Certificate) -> tuple[str, ...]:
    """The policies that a certificate states, dotted."""
    extension = certificate.values.get(x509.CertificatePolicies)
    return tuple(one.policy_identifier.dotted_string for one in extension or ())
