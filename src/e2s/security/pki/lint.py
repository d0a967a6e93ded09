"""What must not be signed is found before it is signed: rules of RFC 5280 on a TBSCertificate."""

from __future__ import annotations

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.pki.profile import Profile


def check(tbs: bytes, profile: Profile | None = None, issuer: Certificate | None = None) -> None:  # noqa: ARG001
    """Raise :class:`Refusal` ``lint-...`` for the first rule that a TBSCertificate breaks."""
    der.check(tbs)


def check_parts(number: bytes, subject: bytes, names: bytes) -> None:  # noqa: ARG001
    """The same for what differs between certificates of a template."""
    if len(number) > 22:
        raise Refusal("lint-serial", "a serial number has at most 20 octets (RFC 5280, 4.1.2.2)")
