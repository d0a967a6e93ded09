"""Another provider's certificate identifies its user at registration: judged with its revocation, on record.

What is kept is the keyed digest of who she is there, so that she is recognised, and the certificate's digest.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from e2s.base.instants import format_instant
from e2s.base.wire import b64u
from e2s.crypto.certificates import Certificate
from e2s.security.external.mapping import identity_of
from e2s.security.external.providers import Provider
from e2s.security.registration.evidence import Evidence

KIND: Final = "certificate"
SEEN: Final = "verified"
_NUMBER: Final = 40


def evidence_by(
    provider: Provider,
    certificate: Certificate,
    *,
    digest: Callable[[str, str, str], str],
    officer: str,
    place: str,
    at: datetime,
) -> Evidence:
    """The record of a certificate that was judged good at ``at``; ``digest`` is the registration's own.

    It is that of kind, issuer and number (:meth:`e2s.security.registration.office.Office.document_digest`).
    """
    number = identity_of(provider.name, certificate).hex()[:_NUMBER]
    return Evidence(
        kind=KIND,
        issuer=provider.name,
        document=digest(KIND, provider.name, number),
        expires=f"{certificate.not_after:%Y-%m-%d}",
        seen=SEEN,
        place=place,
        at=format_instant(at),
        officer=officer,
        scan=b64u(certificate.digest),
    )
