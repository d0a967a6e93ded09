"""The verifier's answer is data: accepted with the path and the CRLs used, or refused by rule and clause."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2s.base.errors import Refusal
from e2s.crypto.certificates import Certificate
from e2s.security.verification.notices import Notice


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """``path`` runs from the certificate to the anchor; ``culprit`` is the certificate at fault.

    ``policies`` are those that the path is valid for and the user accepts, in the anchor's terms (6.1.6), and
    ``notices`` what their issuers want said of them.  ``notes`` say what the verdict leans on besides.
    """

    accepted: bool
    rule: str = ""
    reason: str = ""
    path: tuple[Certificate, ...] = ()
    crls_used: tuple[bytes, ...] = field(default=(), repr=False)
    culprit: Certificate | None = None
    policies: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def anchor(self) -> Certificate | None:
        """The root that the path ends in, where there is a path."""
        return self.path[-1] if self.path else None

    def or_refuse(self) -> Verdict:
        """Itself when accepted; raises :class:`Refusal` of its rule otherwise."""
        if self.accepted:
            return self
        culprit = self.culprit
        raise Refusal(
            self.rule,
            self.reason,
            certificate=culprit.id if culprit else None,
            subject=(culprit.name or culprit.subject) if culprit else None,
        )
