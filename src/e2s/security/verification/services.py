"""The client services (6.1.1): lists, answers and certificates of the repositories, for every component.

Lists are asked for again at most every two seconds and only when something is checked, by one thread for all;
a list that did not change costs an empty answer.  What a repository does not give stays as it is until its
nextUpdate, and from then on the verifier refuses: failure is closed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from e2s.base.errors import E2SError, Refusal
from e2s.base.http import Exchange, Request, expect
from e2s.base.instants import Clock
from e2s.crypto.certificates import Certificate
from e2s.security.verification import inquiring, signatures
from e2s.security.verification.fetching import crl_path
from e2s.security.verification.followed import FollowedList
from e2s.security.verification.places import KnownPlaces
from e2s.security.verification.searching import CERTIFICATES_PATH, look_up, read_found
from e2s.security.verification.traits import traits

#: How old what is known of a list may be before it is asked for again.
EVERY: Final = timedelta(seconds=2)
#: Lists that certificates name besides those of the known CAs; beyond it the longest unused is let go.
MAX_NAMED: Final = 64
_MAX_READ: Final = 4096
_MAX_ISSUERS: Final = 64
#: What says that nobody is there: the other lists of the place are not asked for in vain as well.
_AWAY: Final = frozenset({"unreachable", "timed-out"})


class ClientServices:
    """What one component knows of its repositories; safe to share among threads."""

    def __init__(
        self,
        exchange: Exchange,
        issuers: Sequence[tuple[str, Certificate]],
        clock: Clock,
        *,
        every: timedelta = EVERY,
        longest: timedelta | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        """``issuers``: the repository's origin and the CA's certificate, for each CA.

        A repository is asked over HTTP; a directory (``ldap://host:port``) where ``exchange`` knows it.

        ``longest``: for how long a list counts that no repository confirmed, if that is to be less than its
        own time.  ``origins``: repositories besides those of the CAs.
        """
        self._exchange = exchange
        self._clock = clock
        self._every = every
        self._longest = longest
        self._origins = tuple(dict.fromkeys((*(origin for origin, _ in issuers), *origins)))
        self._places = KnownPlaces(self._origins)
        self._issuers = OrderedDict((issuer.digest, issuer) for _, issuer in issuers)
        self._own = [FollowedList(origin, crl_path(issuer), issuer) for origin, issuer in issuers]
        self._named: OrderedDict[tuple[str, str], FollowedList] = OrderedDict()
        self._read: OrderedDict[bytes, tuple[tuple[str, str], ...]] = OrderedDict()
        self._known = {(one.origin, one.path) for one in self._own}
        self._fetching = threading.Lock()
        self._lock = threading.Lock()

    def crls(self, *certificates: Certificate) -> Sequence[bytes]:
        """The newest lists known, those that ``certificates`` name at a known repository among them.

        While one thread asks, others take what is at hand, unless there is nothing yet.  Nobody is asked
        where no certificates are given: evidence is put together within a transaction.
        """
        now = self._clock.now()
        self._learn(certificates)
        followed = self._followed()
        if certificates and any(one.due(now, self._every) for one in followed):
            lacking = any(one.held is None for one in followed)
            if self._fetching.acquire(blocking=lacking):
                try:
                    self._fetch(now)
                finally:
                    self._fetching.release()
        return tuple(one.held.der for one in followed if one.held is not None and self._counts(one, now))

    def status(
        self, certificate: Certificate, issuer: Certificate, random: Callable[[int], bytes]
    ) -> bytes | None:
        """What a known responder answers of ``certificate``, to a question of ours; None where none is named.

        Raises :class:`Refusal` ``bad-ocsp`` or ``wrong-nonce``, or :class:`Unreachable`.  The verifier judges
        the answer.
        """
        for origin, path in self._places.responders(certificate):
            return inquiring.ask(self._exchange, origin, path, certificate, issuer, random)
        return None

    def issuers(self, certificate: Certificate) -> tuple[Certificate, ...]:
        """Certificates of its issuer, from the known places that it names (RFC 5280, 4.2.2.1); unchecked.

        Raises :class:`Unreachable` where one does not answer, :class:`Refusal` of its rule.
        """
        found: dict[Certificate, None] = {}
        for origin, path in self._places.issuers(certificate):
            response = self._exchange.send(origin, Request("GET", path))
            body, kind = expect(response, what="certificate"), response.headers.get("content-type", "")
            several = read_found(kind, body) if kind.startswith("multipart/") else (body,)
            found.update(dict.fromkeys(map(Certificate.read, several)))
        return tuple(found)

    def find(self, attribute: str, value: str, *, path: str = CERTIFICATES_PATH) -> tuple[bytes, ...]:
        """What the repositories find by one attribute (RFC 4387), DER and unchecked, each once.

        Raises :class:`Unreachable` where one does not answer, :class:`Refusal` of its rule.
        """
        found: dict[bytes, None] = {}
        for origin in self._origins:
            found.update(dict.fromkeys(look_up(self._exchange, origin, attribute, value, path=path)))
        return tuple(found)

    def _counts(self, one: FollowedList, now: datetime) -> bool:
        """Whether a list was confirmed lately enough."""
        return self._longest is None or (one.confirmed is not None and now - one.confirmed <= self._longest)

    def _followed(self) -> list[FollowedList]:
        with self._lock:
            return [*self._own, *self._named.values()]

    def _fetch(self, now: datetime) -> None:
        """Ask for each list whose time it is; one that is refused or lost leaves what is held."""
        away: set[str] = set()
        for one in self._followed():
            if not one.due(now, self._every):
                continue
            if one.origin in away:
                one.given_up(now)
                continue
            try:
                one.fetch(self._exchange, now)
            except E2SError as error:
                if error.rule in _AWAY:
                    away.add(one.origin)

    def _learn(self, certificates: Sequence[Certificate]) -> None:
        """Follow the lists that certificates of known CAs name, where they are not followed already."""
        with self._lock:
            for certificate in certificates:
                places = self._read.get(certificate.digest)
                if places is None:
                    places = self._places_of(certificate, certificates)
                for place in places or ():
                    if place in self._named:
                        self._named.move_to_end(place)

    def _places_of(
        self, certificate: Certificate, others: Sequence[Certificate]
    ) -> tuple[tuple[str, str], ...] | None:
        """Read a certificate for the first time; None where its issuer is not known (yet)."""
        lists = tuple(self._places.lists(certificate))
        deltas = tuple(self._places.deltas(certificate))
        places = (*lists, *deltas)
        if not self._known.issuperset(places):
            issuer = self._issuer_of(certificate, others)
            if issuer is None:
                return None
            self._follow(lists, deltas, issuer)
        self._read[certificate.digest] = places
        while len(self._read) > _MAX_READ:
            self._read.popitem(last=False)
        return places

    def _follow(
        self, lists: Sequence[tuple[str, str]], deltas: Sequence[tuple[str, str]], issuer: Certificate
    ) -> None:
        for place in lists:
            self._add(place, issuer, delta=False)
        for place in deltas:
            changing = self._add(place, issuer, delta=True)
            for one in (*self._own, *self._named.values()):
                if (one.origin, one.path) in lists:
                    one.changed_by = changing

    def _add(self, place: tuple[str, str], issuer: Certificate, *, delta: bool) -> FollowedList | None:
        if place in self._known:
            return self._named.get(place)
        self._named[place] = added = FollowedList(*place, issuer, delta=delta)
        self._known.add(place)
        while len(self._named) > MAX_NAMED:
            gone, _ = self._named.popitem(last=False)
            self._known.discard(gone)
            self._read.clear()  # whoever names it is read again
        return added

    def _issuer_of(self, certificate: Certificate, others: Sequence[Certificate]) -> Certificate | None:
        """The known CA that signed ``certificate``; one that a known CA certified becomes known."""
        for _ in range(_MAX_DEPTH):
            for issuer in self._issuers.values():
                if _issued(certificate, issuer):
                    return issuer
            if not self._introduce(others):
                return None
        return None

    def _introduce(self, others: Sequence[Certificate]) -> bool:
        """Let CAs among ``others`` become known that a known CA signed; whether there was one."""
        for other in _authorities(others):
            if other.digest in self._issuers or len(self._issuers) >= _MAX_ISSUERS:
                continue
            if any(_issued(other, issuer) for issuer in self._issuers.values()):
                self._issuers[other.digest] = other
                return True
        return False


_MAX_DEPTH: Final = 8


def _authorities(certificates: Sequence[Certificate]) -> Iterator[Certificate]:
    """Those that are CAs; one that cannot be read is none."""
    for one in certificates:
        try:
            if traits(one).ca:
                yield one
        except Refusal:
            continue


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    slices = certificate.slices
    if slices.issuer != issuer.slices.subject or slices.signature is None:
        return False
    return signatures.good(issuer.public_key, slices.algorithm, slices.signature, slices.tbs, issuer.spki)
