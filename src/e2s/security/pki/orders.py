"""What a CA is asked to certify, before anything was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from e2s.crypto.kinds import PublicKey
from e2s.security.certificates.possession import Proven
from e2s.security.certificates.profiles import NO_LIMITS, Limits


@dataclass(frozen=True, kw_only=True)
class Order:
    """``key`` (public, proven, or a PKCS #10 request) under ``names`` for ``profile``, by ``officer``.

    ``confidence`` is low, substantial or high, or the profile's own; ``case`` names the registration that it
    follows from.  An ``approval``, the digest of what the order follows from, leads to one certificate of the
    key, however often it is carried out.  ``limits`` confine a CA further than its profile does.
    """

    profile: str
    key: PublicKey | bytes | Proven
    names: tuple[str, ...]
    officer: str
    pan_commit: bytes | None = None
    not_after: datetime | None = None
    subject: x509.Name | None = None
    confidence: str | None = None
    case: str = ""
    approval: bytes = b""
    limits: Limits = NO_LIMITS
