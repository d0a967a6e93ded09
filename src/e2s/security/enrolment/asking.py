"""What a door asks of enrolment and what it is told: values, the same for every protocol.

A door finds out who asks, by its protocol's own means, and brings the request; what is certified is decided
behind it, by one policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from e2s.crypto.certificates import Certificate
from e2s.security.certificates.possession import Proven


@dataclass(frozen=True, kw_only=True)
class Invited:
    """Who asks showed that she knows the secret of this invitation."""

    reference: str


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who asks signed with the key of this certificate, or used it in TLS; it was not judged yet."""

    certificate: Certificate
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Controls:
    """The account showed that it controls these hosts; ``reference``: the invitation it is bound to."""

    account: str
    hosts: tuple[str, ...]
    reference: str = ""


Shown: TypeAlias = Invited | Holder | Controls


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request at one door.

    ``transaction`` names it there: a repeat is answered as the first was.  ``request`` is PKCS #10, DER, or a
    key whose possession the door's protocol proved.  ``profile`` and ``names`` are wishes: within what was
    shown, or refused; empty takes what it gives.  ``protection`` is how the key is kept, by the policy's
    names: as its holder says, or ``attested``.
    """

    door: str
    transaction: bytes
    request: bytes | Proven
    shown: Shown
    profile: str = ""
    names: tuple[str, ...] = ()
    not_after: datetime | None = None
    protection: str = ""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """The certificate, DER, and the certificates of its issuers, up to below the root."""

    certificate: bytes
    chain: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An officer has to say so first; ask again after ``retry_seconds``."""

    transaction: bytes
    retry_seconds: int


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What may be asked for with what was shown: one profile and every name that it gives."""

    profile: str
    names: tuple[str, ...]
    suites: tuple[str, ...]
    confidence: str


class Desk(Protocol):
    """Port: what every door asks.  Each raises :class:`~e2s.base.errors.Refusal` with its rule."""

    @property
    def issuer(self) -> Certificate:
        """The CA's certificate."""

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates above it, up to below the root."""

    @property
    def root(self) -> Certificate:
        """The anchor."""

    def secret(self, reference: str) -> bytes:
        """An invitation's secret, for doors that compute with it; raises ``no-such-invitation``..."""

    def show(self, reference: str, secret: bytes, *, client: str = "") -> Invited:
        """Compare a secret that was sent, in constant time; wrong ones are counted and soon refused.

        ``client`` is the address that it came from.  Raises ``bad-code``, ``wrong-code`` or
        ``too-many-tries``.
        """

    def wrong(self, reference: str, *, client: str = "") -> None:
        """Count what was computed with a wrong secret; raises ``wrong-code`` or ``too-many-tries``."""

    def offer(self, shown: Shown, profile: str = "", *, door: str = "") -> Offer:
        """What may be asked for, at this ``door`` where the policy tells doors apart."""

    def ask(self, asked: Asked) -> Issued | Pending:
        """Certify, or let it wait for an officer."""

    def poll(self, door: str, transaction: bytes, shown: Shown) -> Issued | Pending:
        """What became of a request that waited; raises what it was declined with, or ``no-such-request``."""

    def withdraw(self, serial: int, reason: str, shown: Shown, *, door: str) -> None:
        """Revoke a certificate of who asks (RFC 5280, 5.3.1 names the reasons)."""

    def revoked(self, serial: int) -> bool:
        """Whether a certificate of this serial is revoked or held, or there is none."""
