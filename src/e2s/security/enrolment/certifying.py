"""How enrolment reaches its CA: an open one in this process, or another by what officers sign.

The CA gives the same certificate for the same approval and key, however often it is ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from e2s.base.errors import E2SError, Refusal
from e2s.base.rights import Authoriser
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.possession import Proven
from e2s.security.certificates.profile import Profile
from e2s.security.pki import store, withdrawing
from e2s.security.pki.ca import Authority
from e2s.security.pki.feed import Kind
from e2s.security.pki.orders import Order

#: What cases begin with that enrolment itself orders.
CASE: Final = "e-"
#: Carries out orders: an authority's, or that of a queue before it.
Issue: TypeAlias = Callable[[Sequence[Order]], Sequence["bytes | E2SError"]]


class Ca(Protocol):
    """Port: what enrolment needs of a CA."""

    @property
    def component(self) -> str:
        """Its component name, in which its officers have rights."""

    @property
    def kind(self) -> str:
        """Its own profile."""

    @property
    def certificate(self) -> Certificate:
        """Its certificate."""

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates above it, up to below the root."""

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Every profile that it knows."""

    @property
    def issues(self) -> frozenset[str]:
        """The profiles that it certifies."""

    @property
    def authoriser(self) -> Authoriser:
        """Who holds which right there."""

    def prove(self, request: bytes) -> Proven:
        """The key that a PKCS #10 request proves possession of; raises why it does not."""

    def issue(self, order: Order, request: bytes) -> bytes:
        """The certificate, DER; ``request`` is what the order's key came in.

        Raises what the CA refuses it with, and :class:`~e2s.base.errors.Unreachable` where it did not answer.
        """

    def profile_of(self, certificate: Certificate) -> str:
        """By which profile it was issued.

        Raises :class:`Refusal` ``other-ca``, ``certificate-revoked`` or ``certificate-held``.
        """

    def revoked(self, serial: int) -> bool:
        """Whether it is revoked or held, or was never issued."""

    def certified(self, spki: bytes, profile: str, since: datetime) -> bytes | None:
        """The certificate, DER, that the key of this digest was given by another way since then."""

    def withdraw(self, serial: int, reason: str, by: str) -> None:
        """Revoke, for the holder or whoever else was found to have the right to it."""


class OwnCa:
    """An open CA of this process."""

    def __init__(self, authority: Authority, issue: Issue | None = None) -> None:
        """``issue`` is a queue's, where there is one."""
        self._authority = authority
        self._issue = issue or authority.issue_ders

    @property
    def component(self) -> str:
        """Its component name, in which its officers have rights."""
        return self._authority.component

    @property
    def kind(self) -> str:
        """Its own profile."""
        return self._authority.profile.name

    @property
    def certificate(self) -> Certificate:
        """Its certificate."""
        return self._authority.certificate

    @property
    def chain(self) -> tuple[Certificate, ...]:
        """The certificates above it, up to below the root."""
        return self._authority.chain

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Every profile that it knows."""
        return self._authority.profiles

    @property
    def issues(self) -> frozenset[str]:
        """The profiles that it certifies."""
        return self._authority.profile.issues

    @property
    def authoriser(self) -> Authoriser:
        """Who holds which right there."""
        return self._authority.authoriser

    def prove(self, request: bytes) -> Proven:
        """The key that a PKCS #10 request proves possession of; raises why it does not."""
        (proven,) = self._authority.prove([request])
        if isinstance(proven, Refusal):
            raise proven
        return proven

    def issue(self, order: Order, request: bytes) -> bytes:  # noqa: ARG002 - its proof was read here
        """The certificate, DER; raises what the CA refuses it with."""
        (made,) = self._issue((order,))
        if isinstance(made, E2SError):
            raise made
        return made

    def profile_of(self, certificate: Certificate) -> str:
        """By which profile it was issued.

        Raises :class:`Refusal` ``other-ca``, ``certificate-revoked`` or ``certificate-held``.
        """
        with self._authority.database.reading() as connection:
            row = store.by_serial(connection, self._authority.finder, certificate.serial)
            gone = None if row is None else store.revocation(connection, row.id)
        # octet for octet what is on record: so its signature was this CA's
        if row is None or row.der != certificate.der:
            raise Refusal("other-ca", "this CA did not issue that certificate")
        if gone is not None:
            held = gone.reason == "certificateHold"
            raise Refusal(
                "certificate-held" if held else "certificate-revoked", "the certificate is not good"
            )
        return str(row.profile)

    def revoked(self, serial: int) -> bool:
        """Whether it is revoked or held, or was never issued."""
        with self._authority.database.reading() as connection:
            row = store.by_serial(connection, self._authority.finder, serial)
            return row is None or store.revocation(connection, row.id) is not None

    def certified(self, spki: bytes, profile: str, since: datetime) -> bytes | None:
        """The certificate, DER, that the key of this digest was given by another way since then."""
        authority = self._authority
        with authority.database.reading() as connection:
            for serial in reversed(store.of_key(connection, authority.finder, spki, profile)):
                row = store.by_serial(connection, authority.finder, int(serial, 16))
                if (
                    row is not None
                    and row.at >= store.seconds(since)
                    and not row.registration.startswith(CASE)
                ):
                    gone = store.revocation(connection, row.id) is not None
                    return None if gone else bytes(row.der)
        return None

    def withdraw(self, serial: int, reason: str, by: str) -> None:
        """Revoke, for the holder or whoever else was found to have the right to it."""
        authority = self._authority
        at: datetime = authority.clock.now()
        with authority.database.transaction() as connection:
            withdrawing.withdraw(
                authority, connection, Kind.REVOKED, serial, officer=by, at=at, reason=reason
            )
