"""A root is trusted for what its user says, not for all that it could certify.

RFC 5937: constraints of a trust anchor come from who trusts it and narrow whatever its path allows; they
never widen it.  What is not said is not limited, and an empty set allows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from e2s.crypto.certificates import Certificate
from e2s.security.verification import constraints
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Fault, Path, Wanted
from e2s.security.verification.traits import alternative_names


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """One root, and for which purposes (EKU), names and policies it is trusted here.

    ``closed``: it is trusted for no holder with an alternative name of a form that ``names`` permits nothing
    of; by RFC 5280 (4.2.1.10) such a form is not limited.
    """

    certificate: Certificate
    purposes: frozenset[str] | None = None
    names: x509.NameConstraints | None = None
    policies: frozenset[str] | None = None
    closed: bool = False

    @property
    def limited(self) -> bool:
        """Whether anything is limited."""
        return self.closed or not (self.purposes is None and self.names is None and self.policies is None)

    def fault(self, path: Path, purpose: str | None) -> Fault | None:
        """What in the path goes beyond the trust; where purposes are limited, one must be named."""
        if self.purposes is not None and purpose not in self.purposes:
            reason = "its root is trusted here for other purposes only (RFC 5937, 3)"
            return Fault("beyond-trust", reason, path[0].certificate)
        if self.names is None and not self.closed:
            return None
        for place, link in enumerate(path[:-1]):
            if place and link.self_issued:
                continue
            why = constraints.violation(self.names, link.certificate) if self.names else ""
            why = why or ("" if place else self._of_other_form(link.certificate))
            if why:
                reason = f"{why}, for which alone its root is trusted here (RFC 5937, 3)"
                return Fault("beyond-trust", reason, link.certificate)
        return None

    def _of_other_form(self, certificate: Certificate) -> str:
        """Why an alternative name is of a form of which nothing is permitted, or the empty string."""
        if not self.closed:
            return ""
        permitted = (self.names.permitted_subtrees if self.names else None) or ()
        forms = {type(tree) for tree in permitted}
        stray = next((one for one in alternative_names(certificate) if type(one) not in forms), None)
        return "" if stray is None else "a name of another form than those"

    def narrowed(self, wanted: Wanted) -> Wanted:
        """What the user wants of policies, within those that the root is trusted for."""
        if self.policies is None:
            return wanted
        both = self.policies if ANY in wanted.policies else wanted.policies & self.policies
        return wanted._replace(policies=both, explicit=True)


def anchor_of(given: Certificate | Anchor) -> Anchor:
    """``given`` as an anchor; a bare certificate is trusted without limits."""
    return given if isinstance(given, Anchor) else Anchor(certificate=given)
