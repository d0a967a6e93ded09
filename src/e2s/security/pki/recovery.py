"""When a CA or the root is lost, everything valid is certified again for the same keys.

A plan is data: what is to be certified again, in order, on disk before the first step.  Each step asks
whether it was done before, so that whoever was killed begins again and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cryptography import x509

from e2s.crypto import oids
from e2s.crypto.certificates import Certificate
from e2s.security.pki.ca import Authority
from e2s.security.pki.holdings import Holding
from e2s.security.pki.orders import Order
from e2s.security.pki.profiles import profile

_LEVELS: Mapping[str, str] = {oid: level for level, oid in oids.CONFIDENCE.items()}


def order_again(old: Holding, *, officer: str, not_after: datetime | None = None, case: str = "") -> Order:
    """What certifies the key of ``old`` again as it was; until its end, or ``not_after``."""
    certificate = old.certificate
    commitment = _pan_commit(certificate)
    return Order(
        profile=old.profile,
        key=certificate.public_key,
        names=names_of(certificate),
        officer=officer,
        pan_commit=commitment,
        not_after=not_after,
        subject=certificate.x509.subject,
        confidence=confidence_of(certificate) if profile(old.profile).confidence else None,
        case=case,
    )


def again(
    authority: Authority, old: Holding, *, officer: str, not_after: datetime | None = None
) -> Certificate:
    """Certify the key of ``old`` again by ``authority``: same names, subject, profile and confidence."""
    (made,) = authority.issue_all((order_again(old, officer=officer, not_after=not_after),))
    if isinstance(made, Certificate):
        return made
    raise made


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """The names in the certificate, as an order gives them and in their order."""
    alternative = certificate.values.get(x509.SubjectAlternativeName, ())
    return tuple(str(name.value) for name in alternative)


def confidence_of(certificate: Certificate) -> str | None:
    """The level of confidence that the certificate states, the highest if it states several."""
    policies = certificate.values.get(x509.CertificatePolicies, ())
    stated = {_LEVELS[one.policy_identifier.dotted_string] for one in policies if _is_level(one)}
    return next((level for level in ("high", "substantial", "low") if level in stated), None)


def _is_level(policy: x509.PolicyInformation) -> bool:
    return policy.policy_identifier.dotted_string in _LEVELS


def _pan_commit(certificate: Certificate) -> bytes | None:
    """The commitment to a card number, of a card-holder's certificate."""
    for extension in certificate.values.get(x509.UnrecognizedExtension, ()):
        if extension.oid.dotted_string == oids.PAN_COMMIT:
            return bytes(extension.value[2:])
    return None
