"""One revocation list at one place of a repository, asked for again only when it may have changed.

A list is taken when its issuer signed it, and never in place of a newer one.  What the repository does not
give is asked for again after a second or two, then after twice as long each time, but within ten seconds:
one lost answer does not stop a component, and a repository that comes back is heard soon.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Exchange, Request, Response, expect
from e2s.crypto.certificates import Certificate
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.searching import read_found

SOON: Final = timedelta(seconds=1)
SLOWEST: Final = timedelta(seconds=10)
_MAX_DOUBLINGS: Final = 8
#: RFC 9110, 13.1: what a server says of a file, and how it is asked whether it is another one now.
_VALIDATORS: Final = (("etag", "if-none-match"), ("last-modified", "if-modified-since"))


def older(found: CrlIndex, held: CrlIndex) -> bool:
    """Whether ``found`` was made before ``held`` of the same issuer and scope: by number (RFC 5280, 5.2.3).

    The issuer's clock may have been set back in between.  Only without a number the instants decide.
    """
    if min(found.number, held.number) < 0 or found.number == held.number:
        return found.this_update < held.this_update
    return found.number < held.number


class FollowedList:
    """The list of ``issuer`` at ``path`` of ``origin``; ``delta``: one that changes another."""

    def __init__(self, origin: str, path: str, issuer: Certificate, *, delta: bool = False) -> None:
        """Nothing is held yet."""
        self.origin = origin
        self.path = path
        self.issuer = issuer
        self.delta = delta
        #: What the repository last gave, and when it last said that this is the newest.
        self.held: CrlIndex | None = None
        self.confirmed: datetime | None = None
        #: Where what changes this list is followed: then this one is asked for more rarely.
        self.changed_by: FollowedList | None = None
        #: What the repository said by which it knows what it gave: tag, date.
        self._validators: dict[str, str] = {}
        self._asked: datetime | None = None
        self._failures = 0

    def due(self, now: datetime, every: timedelta) -> bool:
        """Whether it is time to ask; a clock that was set back asks at once."""
        if self._asked is None or now < self._asked:
            return True
        if now - self._asked < self._wait(every):
            return False
        return self._failures > 0 or self.held is None or not self._spared(now)

    def fetch(self, exchange: Exchange, now: datetime) -> None:
        """Ask the repository; raises :class:`~e2s.base.errors.E2SError` where it gave nothing usable."""
        self._asked = now
        headers = self._validators if self.held is not None else {}
        try:
            response = exchange.send(self.origin, Request("GET", self.path, headers=headers))
            if response.status != 304 or self.held is None:
                self.held = self._newer(self._own(response))
                self._validators = {
                    asked: response.headers[said] for said, asked in _VALIDATORS if said in response.headers
                }
        except E2SError:
            self._failures += 1
            raise
        self._failures = 0
        self.confirmed = now

    def given_up(self, now: datetime) -> None:
        """Count as asked in vain: another list of the same place was just asked for so."""
        self._asked = now
        self._failures += 1

    def _own(self, response: Response) -> bytes:
        """The list that came or, of several at one place of a directory, that which the issuer signed.

        Two keys of one CA have one entry.  Raises :class:`Refusal` ``bad-crl`` or ``bad-look-up``.
        """
        body, kind = expect(response, what="CRL"), response.headers.get("content-type", "")
        if not kind.startswith("multipart/"):
            return body
        for octets in read_found(kind, body):
            found = CrlIndex.read(octets)
            if found.names(self.issuer) and found.signed_by(self.issuer):
                return octets
        raise Refusal("bad-crl", "none of the lists is signed by the issuer whose it should be")

    def _newer(self, octets: bytes) -> CrlIndex:
        """The list that came; raises :class:`Refusal` ``bad-crl`` or ``old-crl`` where it is not taken."""
        found = CrlIndex.read(octets)
        if not (found.names(self.issuer) and found.signed_by(self.issuer)):
            raise Refusal("bad-crl", "the list is not signed by the issuer whose it should be")
        if (found.base is not None) != self.delta:
            raise Refusal("bad-crl", "a complete list and what changes one are not at one place")
        if self.held is not None and older(found, self.held):
            raise Refusal("old-crl", "an older list does not take a newer one's place")
        return found

    def _wait(self, every: timedelta) -> timedelta:
        if not self._failures:
            return every
        first = SOON if self.held is None else every
        return min(first * (1 << min(self._failures - 1, _MAX_DOUBLINGS)), max(SLOWEST, every))

    def _spared(self, now: datetime) -> bool:
        """Whether what changes this list tells all that a new one would, for the first half of its time."""
        delta = self.changed_by.held if self.changed_by is not None else None
        if delta is None or delta.base is None or self.held is None or delta.base > self.held.number:
            return False
        half = self.held.this_update + (self.held.next_update - self.held.this_update) / 2
        return now < half and delta.fresh(now)
