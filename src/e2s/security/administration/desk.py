"""What every act of administration needs: the registration authority, the book, the records, the policies."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from e2s.base.database import Database
from e2s.base.errors import E2SError, Fact, Refusal
from e2s.base.events import Event
from e2s.base.rights import Granted, Refused
from e2s.crypto.certificates import Certificate
from e2s.security.administration.book import Book
from e2s.security.administration.reports import Sources
from e2s.security.administration.subjects import Subject
from e2s.security.administration.tables import OUTBOX
from e2s.security.ceremonies.ceremony_record import Chain
from e2s.security.ceremonies.folder import read_chain
from e2s.security.certificates.profiles import FILE as PROFILES
from e2s.security.certificates.profiles import profiles_in
from e2s.security.enrolment.office import Office as Enrolment
from e2s.security.pki.rights import RULE, decide
from e2s.security.registration.home import POLICY, Home, policy_in
from e2s.security.registration.office import Office


@dataclass(kw_only=True)
class Desk:
    """Administration of one domain: a registration authority with its CA, open.

    ``database`` is the registration's register with the tables of administration; ``folder`` is the
    registration authority's, with the records of ceremonies; ``names`` are those of components that were
    founded without a case.
    """

    home: Home
    database: Database
    book: Book
    folder: Path
    root: Certificate
    subjects: Mapping[str, Subject]
    enrolment: Enrolment | None = None
    names: frozenset[str] = frozenset()
    closing: ExitStack = field(default_factory=ExitStack, repr=False)
    _mark: tuple[int, ...] = field(default=(), repr=False)

    @property
    def office(self) -> Office:
        """The registration authority, by its policy and profiles as their files are now."""
        mark = tuple(_changed(self.folder / file) for file in (POLICY, PROFILES))
        if mark != self._mark:
            policy, profiles = policy_in(self.folder), profiles_in(self.folder)
            self.home = replace(self.home, office=replace(self.home.office, policy=policy, profiles=profiles))
            self._mark = mark
        return self.home.office

    @property
    def sources(self) -> Sources:
        """Where reports read; officers by a ceremony's record are known without a case."""
        return Sources(
            book=self.book.database,
            registration=self.office.database,
            profiles=self.office.profiles,
            enrolment=None if self.enrolment is None else self.enrolment.database,
            names=self.names | {name for name, _, _ in self.chain().newest.rights},
            parties=self.office.parties,
        )

    def now(self) -> datetime:
        """The instant by the office's clock."""
        return self.office.now()

    def chain(self) -> Chain:
        """The ceremonies' records, each verified; raises :class:`Refusal` ``bad-ceremony``..."""
        return read_chain(self.folder, self.root)

    def subject(self, name: str) -> Subject:
        """The policy called ``name``; raises :class:`Refusal` ``no-such-policy``."""
        found = self.subjects.get(name)
        if found is None:
            raise Refusal("no-such-policy", f"the policies are {' '.join(self.subjects)}", policy=name[:64])
        return found

    @property
    def enrolling(self) -> Enrolment:
        """The office of enrolment; raises :class:`Refusal` ``no-enrolment`` where there is none."""
        if self.enrolment is None:
            raise Refusal("no-enrolment", "there is no office of enrolment beside this CA")
        return self.enrolment

    def require(self, officer: str, *rights: str) -> None:
        """Raise unless the officer holds one of the rights; that she does not is an event.

        :class:`Refusal` ``not-authorised`` or ``duties-not-separate``.
        """
        decisions = [decide(self.office.authoriser, officer, right, self.office.ca) for right in rights]
        if any(isinstance(one, Granted) for one in decisions):
            return
        refused = [one for one in decisions if isinstance(one, Refused)]
        first = next((one for one in refused if one.rule == RULE), refused[0])
        refusal = Refusal(first.rule, first.because, officer=officer, right=rights[0])
        self.refused(refusal, officer=officer, right=rights[0])
        raise refusal

    def holds(self, officer: str, *rights: str) -> bool:
        """Whether the officer holds one of the rights, and none beside it that is to be another's."""
        return any(
            isinstance(decide(self.office.authoriser, officer, right, self.office.ca), Granted)
            for right in rights
        )

    def event(
        self,
        connection: sa.Connection,
        kind: str,
        at: datetime,
        facts: Mapping[str, Fact],
        outcome: str = "done",
    ) -> None:
        """Write an event in the transaction of its effect."""
        event = Event(kind=kind, at=at, component=self.office.component, outcome=outcome, facts=facts)
        OUTBOX.sink(connection).append(event)

    def told(self, kind: str, **facts: Fact) -> None:
        """An event of something that changed nothing: a log-in, a report that was read."""
        with self.database.transaction() as connection:
            self.event(connection, kind, self.now(), facts)

    def refused(self, refusal: E2SError, **facts: Fact) -> None:
        """The event of a refusal."""
        with self.database.transaction() as connection:
            self.event(connection, "refused", self.now(), {**facts, "rule": refusal.rule}, "refused")

    def close(self) -> None:
        """Give back everything."""
        self.closing.close()


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
