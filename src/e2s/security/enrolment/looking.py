"""A CA that is only looked at: its folder says who may what there; its key stays closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from e2s.base.errors import Misuse
from e2s.base.rights import Authoriser
from e2s.crypto.certificates import Certificate
from e2s.security.ceremonies.standalone import Look
from e2s.security.certificates.possession import Proven
from e2s.security.certificates.profile import Profile
from e2s.security.pki.orders import Order


class SeenCa:
    """A :class:`~e2s.security.enrolment.certifying.Ca` that certifies nothing."""

    def __init__(self, seen: Look, profiles: Mapping[str, Profile]) -> None:
        """``profiles`` are those of the CA's folder."""
        self.component = seen.component
        self.kind = seen.kind
        self.certificate = seen.own
        self.chain = seen.between
        self.profiles = profiles
        self.issues = profiles[seen.kind].issues
        self.authoriser: Authoriser = seen.chain.authoriser()

    def prove(self, request: bytes) -> Proven:
        """Nothing."""
        raise self._closed(request)

    def issue(self, order: Order, request: bytes) -> bytes:
        """Nothing."""
        raise self._closed(order, request)

    def profile_of(self, certificate: Certificate) -> str:
        """Nothing."""
        raise self._closed(certificate)

    def revoked(self, serial: int) -> bool:
        """Nothing."""
        raise self._closed(serial)

    def certified(self, spki: bytes, profile: str, since: datetime) -> bytes | None:
        """Nothing."""
        raise self._closed(spki, profile, since)

    def withdraw(self, serial: int, reason: str, by: str) -> None:
        """Nothing."""
        raise self._closed(serial, reason, by)

    def _closed(self, *_what: object) -> Misuse:
        return Misuse("ca-closed", "this CA is not open here", ca=self.component)
