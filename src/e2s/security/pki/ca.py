"""A certification authority certifies what its profile lets it, for officers who hold the right, on record.

Each act commits its intent first, signs outside of any transaction, and commits the result with its
event.  A serial that was intended when the process died is revoked at the next start: if a certificate of
it exists anywhere, it is good for nothing.  The root works the same way, in its own folder, and is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from cryptography import x509

from e2s.base.errors import E2SError, Misuse
from e2s.crypto.certificates import Certificate
from e2s.crypto.keys import spki_of
from e2s.crypto.kinds import PublicKey
from e2s.security.certificates.certify import Wish
from e2s.security.certificates.profiles import NO_LIMITS, Limits
from e2s.security.pki import issuing, preparing, reading, withdrawing
from e2s.security.pki.feed import Change, Kind, Listed
from e2s.security.pki.listing import Lists
from e2s.security.pki.office import RIGHTS, Lifetimes, Office, Rights
from e2s.security.pki.orders import Order

__all__ = ["MOST_CHANGES", "RIGHTS", "Authority", "Lifetimes", "Rights"]

#: Changes that are told at once.
MOST_CHANGES = reading.MOST_CHANGES


class Authority(Office):
    """One CA: a key behind a signer, a register, and the rights of its officers."""

    def opened(self) -> None:
        """Void what the last process could not finish."""
        with self.database.transaction() as connection:
            issuing.void(self, connection)
        self._lists = Lists(self)

    def issue(
        self,
        kind: str,
        key: PublicKey | bytes,
        names: Sequence[str],
        *,
        officer: str,
        pan_commit: bytes | None = None,
        not_after: datetime | None = None,
        subject: x509.Name | None = None,
        confidence: str | None = None,
        case: str = "",
        limits: Limits = NO_LIMITS,
    ) -> Certificate:
        """Certify ``key`` (a public key, or a PKCS #10 request) for profile ``kind`` under ``names``.

        Raises :class:`Refusal` ``not-authorised``, ``wrong-profile``, ``foreign-name``, ``key-reused``, and
        for a bad request.
        """
        order = Order(
            profile=kind,
            key=key,
            names=tuple(names),
            officer=officer,
            pan_commit=pan_commit,
            not_after=not_after,
            subject=subject,
            confidence=confidence,
            case=case,
            limits=limits,
        )
        return _good(self.issue_all((order,))[0])

    def issue_all(self, orders: Sequence[Order]) -> list[Certificate | E2SError]:
        """Carry out orders in one group: for each its certificate, or why there is none.

        Raises :class:`Unreachable` ``disk-full`` where nothing can be kept; nothing is issued then.
        """
        return [_read(one) for one in self.issue_ders(orders)]

    def issue_ders(self, orders: Sequence[Order]) -> list[bytes | E2SError]:
        """The same, each certificate as its DER."""
        wanted, proofs = preparing.prepare(self, orders)
        try:
            return issuing.issue_wanted(self, wanted)
        finally:
            if proofs is not None:
                proofs.finish()

    def issue_wish(self, wish: Wish, *, officer: str, case: str = "") -> Certificate:
        """Certify what the officer wishes, beyond what this CA issues to everybody: cross-certificates, say.

        Raises :class:`Refusal` ``not-authorised`` or ``key-reused``.
        """
        name = wish.names[0] if wish.names else ""
        self.authorise(officer, RIGHTS.certify, profile=wish.profile.name, name=name)
        spki = sha256(spki_of(wish.public_key)).digest()
        wanted = preparing.Wanted(wish=wish, spki=spki, officer=officer, case=case)
        return _good(_read(issuing.issue_wanted(self, (wanted,))[0]))

    def revoke(self, serial: int, reason: str, *, officer: str, invalidity: datetime | None = None) -> None:
        """Revoke for good, from now on; repeating it changes nothing.

        ``invalidity``: since when the key may be lost (RFC 5280, 5.3.2).  Raises :class:`Refusal`
        ``not-authorised``, ``no-such-certificate`` or ``bad-invalidity``.
        """
        withdrawing.act(self, Kind.REVOKED, serial, officer=officer, reason=reason, invalidity=invalidity)

    def hold(self, serial: int, *, officer: str) -> None:
        """Suspend until released or revoked; repeating it changes nothing.

        Raises :class:`Refusal` ``not-authorised``, ``no-such-certificate`` or ``already-revoked``.
        """
        withdrawing.act(self, Kind.HELD, serial, officer=officer)

    def release(self, serial: int, *, officer: str) -> None:
        """End a hold; raises :class:`Refusal` ``not-authorised``, ``no-such-certificate`` or ``not-held``."""
        withdrawing.act(self, Kind.RELEASED, serial, officer=officer)

    def crl(self) -> bytes:
        """A new complete list as of now; of a CA whose list has no parts."""
        self._whole()
        self._lists.make(None)
        return self.current_crl()

    def current_crl(self) -> bytes:
        """The newest complete list; a new one when something was revoked since or half its time is over."""
        self._whole()
        return next(one.der for one in self.current_lists() if one.shard is None and not one.delta)

    def current_lists(self) -> tuple[Listed, ...]:
        """The newest complete list of each part and, where certificates name them, delta lists.

        After each call everything that was revoked is on one of them.
        """
        return self._lists.current()

    def changes(self, after: int, most: int = MOST_CHANGES) -> list[Change]:
        """What was issued, revoked, held and released behind change ``after`` (0: from the first on)."""
        with self.database.reading() as connection:
            return reading.changes(connection, after, most)

    def _whole(self) -> None:
        if self.places.shards != 1:
            raise Misuse("lists-in-parts", "this CA's list has parts", shards=self.places.shards)


def _read(made: bytes | E2SError) -> Certificate | E2SError:
    return Certificate.read(made) if isinstance(made, bytes) else made


def _good(made: Certificate | E2SError) -> Certificate:
    if isinstance(made, E2SError):
        raise made
    return made
