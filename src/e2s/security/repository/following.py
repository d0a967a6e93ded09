"""A repository follows each CA: newest lists first, then how certificates stand, then the certificates.

It asks; the CA knows nothing of who follows it.  How far it came is written down in the transaction of what
it took, so an outage on either side delays, and loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Unreachable
from e2s.base.events import Event
from e2s.base.instants import Clock
from e2s.base.outbox import Outbox
from e2s.crypto.certificates import Certificate
from e2s.security.repository import store
from e2s.security.repository.files import Repository
from e2s.security.repository.lookup import Lookup
from e2s.security.repository.published import Label, Listed, PublishedLists
from e2s.security.status import store as status_store

#: How many changes are taken in one transaction, and how often in one go.
MOST_CHANGES: Final = 200
_MOST_ROUNDS: Final = 25
#: How many certificates are written before the lists are asked for again: each costs the disk two flushes.
MOST_CERTIFICATES: Final = 50


class Change(status_store.Change, Protocol):
    """One change of a CA's register, with the certificate where one was issued."""

    @property
    def der(self) -> bytes:
        """The certificate, where it was issued; empty otherwise."""


class Feed(Protocol):
    """Port: what a CA tells those who follow it."""

    def changes(self, after: int, most: int) -> Sequence[Change]:
        """The changes behind number ``after``, at most so many; raises :class:`Unreachable`."""

    def lists(self, known: Iterable[Label]) -> Sequence[Listed]:
        """The lists that stand now and are not ``known``."""


class Statuses(Protocol):
    """Port: a responder, which knows by itself how far it followed a CA."""

    def followed(self, connection: sa.Connection, ca: Certificate) -> int:
        """The number of the last change that it knows."""

    def apply(
        self, connection: sa.Connection, ca: Certificate, changes: Sequence[Change], at: datetime
    ) -> int:
        """Take the next changes, or hear that there are none."""


class Following:
    """What is followed of one CA."""

    def __init__(
        self,
        feed: Feed,
        ca: Certificate,
        *,
        files: Repository,
        lookup: Lookup,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        component: str,
        statuses: Statuses | None = None,
    ) -> None:
        """``database`` has the tables of the repository and those of ``statuses``."""
        self._feed = feed
        self._ca = ca
        self._files = files
        self._lookup = lookup
        self._database = database
        self._outbox = outbox
        self._clock = clock
        self._component = component
        self._statuses = statuses
        self._published = PublishedLists(files, ca)
        self._lost = ""

    def tick(self) -> None:
        """Take what is new; what cannot be taken now is an event once, and tried again at the next tick.

        However many certificates wait, no revocation waits for them.
        """
        try:
            for _ in range(_MOST_ROUNDS):
                self._take_lists()
                if not self._take_certificates(self._take_statuses()):
                    break
        except E2SError as error:
            self._tell(error.rule)
        else:
            self._tell("")

    def _take_lists(self) -> None:
        taken = self._published.take(self._feed.lists(self._published.known))
        if taken:
            with self._database.transaction() as connection:
                for one in taken:
                    self._lookup.add_list(connection, self._ca, one.der, one.shard, delta=one.delta)

    def _take_statuses(self) -> int | None:
        """Let the responder take every change; the number of the newest, None without a responder."""
        statuses = self._statuses
        if statuses is None:
            return None
        for _ in range(_MOST_ROUNDS):
            with self._database.reading() as connection:
                after = statuses.followed(connection, self._ca)
            changes = self._feed.changes(after, MOST_CHANGES)
            if not changes:
                # No row is written: it only hears that there is nothing.
                with self._database.reading() as connection:
                    statuses.apply(connection, self._ca, (), self._clock.now())
                return after
            with self._database.transaction() as connection:
                statuses.apply(connection, self._ca, changes, self._clock.now())
        return None

    def _take_certificates(self, newest: int | None) -> bool:
        """Publish the next certificates that were issued and let them be found; whether more may wait."""
        with self._database.reading() as connection:
            after = store.followed(connection, self._ca.id)
        changes = self._feed.changes(after, MOST_CERTIFICATES) if after != newest else ()
        if not changes:
            return False
        issued = [Certificate.read(change.der) for change in changes if change.der]
        for certificate in issued:
            self._files.publish_certificate(certificate)
        with self._database.transaction() as connection:
            for certificate in issued:
                self._lookup.add_certificate(connection, certificate)
            store.follow(connection, self._ca.id, changes[-1].number)
        return changes[-1].number != newest

    def _tell(self, rule: str) -> None:
        """Record that the CA was lost, by which rule, and that it was found again: once each."""
        if rule == self._lost:
            return
        kind, outcome = ("feed.lost", rule) if rule else ("feed.found", "done")
        event = Event(
            kind=kind,
            at=self._clock.now(),
            component=self._component,
            outcome=outcome,
            facts={"ca": self._ca.id},
        )
        # Where there is no room for the event, it is written when there is again.
        with suppress(Unreachable):
            with self._database.transaction() as connection:
                self._outbox.sink(connection).append(event)
            self._lost = rule
